import assert from "node:assert/strict";
import { Troubles } from "../../../../src/store/postgres/troubles.ts";

Deno.test("Troubles: all is well when each part is, and not before the start", () => {
  const said: string[] = [];
  const troubles = new Troubles({
    trouble: (kind, message) => said.push(`${kind} ${message}`),
    resumed: () => said.push("resumed"),
  });
  troubles.well("configuration");
  assert.deepEqual(said, []);
  troubles.report("start", "retry", "refused");
  troubles.well("start");
  assert.deepEqual(said.splice(0), ["retry refused", "resumed"]);

  troubles.report("configuration", "retry", "late");
  troubles.report("records", "journal", "full");
  troubles.well("configuration");
  troubles.well("chores");
  assert.deepEqual(said.splice(0), ["retry late", "journal full"]);
  troubles.well("records");
  troubles.well("records");
  assert.deepEqual(said, ["resumed"]);
});
