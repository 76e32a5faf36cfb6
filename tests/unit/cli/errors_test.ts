import assert from "node:assert/strict";
import { CommandError, exitCodeOf, textOf, UsageError } from "../../../src/cli/errors.ts";
import { ControlError, invalidValue } from "../../../src/control/errors.ts";

Deno.test("a field is spelled as its flag, and a hint names the command", () => {
  const cases: readonly [error: Error, text: string, exitCode: number][] = [
    [invalidValue("name", "must be one line"), "--name must be one line", 2],
    [invalidValue("key", "is empty"), "--key is empty", 2],
    [invalidValue("timeoutSeconds", "cannot be 0"), "--timeout cannot be 0", 2],
    [invalidValue("modelMap", "cannot be a"), "--model-map cannot be a", 2],
    [
      new ControlError("duplicate", "upstream 1 is named a already", { field: "name", hint: "x" }),
      "upstream 1 is named a already: use another --name",
      1,
    ],
    [new ControlError("ambiguous", "several match", { hint: "use the id" }), "several match: use the id", 1],
    [new ControlError("failed", "it failed"), "it failed", 1],
    [new UsageError("wrong"), "wrong", 2],
    [new CommandError("cannot"), "cannot", 1],
  ];
  for (const [error, text, exitCode] of cases) {
    assert.deepEqual([textOf(error), exitCodeOf(error)], [text, exitCode]);
  }
});
