import assert from "node:assert/strict";
import { modelFindings } from "../../../src/control/model_findings.ts";
import { anUpstream } from "../../support/upstream_value.ts";

Deno.test("the doctor names aliases and names that lead nowhere, and nothing that is not known", () => {
  const a = anUpstream(1, {
    name: "a",
    modelMap: { x: "one", y: "two", z: "three" },
    allow: ["four", "five", "gpt-*", "/v1/files*"],
  });
  const b = anUpstream(2, { name: "b", modelMap: { x: "unknown" } });
  const off = anUpstream(3, { name: "off", isEnabled: false, modelMap: { x: "gone" } });
  const listed = new Map([[1, ["one", "models/five"]], [3, ["one"]], [4, ["two"]]]);
  assert.deepEqual(
    modelFindings([a, b, off], listed).map(({ subject, level, message }) => [subject, level, message]),
    [
      ["a", "warn", "does not list two, which it gets for y (--model-map)"],
      ["a", "warn", "does not list three, which it gets for z (--model-map), nor does any other upstream"],
      ["a", "warn", "no upstream lists four, which it is used for (--allow)"],
    ],
  );
  assert.deepEqual(modelFindings([a], new Map()), []);
  assert.deepEqual(modelFindings([a], new Map([[1, []]])), []);
});
