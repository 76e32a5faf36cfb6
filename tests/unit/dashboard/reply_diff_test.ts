import assert from "node:assert/strict";
import { diffRows } from "../../../src/dashboard/components/reply_diff.tsx";

Deno.test("diffRows() puts new lines next to the old ones that they replace", () => {
  assert.deepEqual(
    diffRows([
      { type: "same", text: "a\nb" },
      { type: "removed", text: "c\nd" },
      { type: "added", text: "C" },
      { type: "same", text: "e" },
      { type: "added", text: "f" },
    ]),
    [
      { before: "a", after: "a", isSame: true },
      { before: "b", after: "b", isSame: true },
      { before: "c", after: "C", isSame: false },
      { before: "d", after: null, isSame: false },
      { before: "e", after: "e", isSame: true },
      { before: null, after: "f", isSame: false },
    ],
  );
  assert.deepEqual(diffRows([]), []);
});
