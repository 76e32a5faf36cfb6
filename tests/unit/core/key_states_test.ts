import assert from "node:assert/strict";
import { keyNotesText, keysSummary, listedKeys, parseKeyNotes } from "../../../src/core/key_states.ts";

const NOTE = { n: 2, key: "sk-…wxyz", state: "refused", untilMs: 5, reason: "HTTP 401" } as const;

Deno.test("notes of keys come back as they were written", () => {
  assert.deepEqual(parseKeyNotes(keyNotesText([NOTE, { ...NOTE, n: 3, untilMs: null }])), [
    NOTE,
    { ...NOTE, n: 3, untilMs: null },
  ]);
  assert.equal(keyNotesText([]), null);
  assert.equal(keyNotesText(undefined), null);
});

Deno.test("what is no note of a key is left out", () => {
  const row = (more: Record<string, unknown>) => ({
    n: 1,
    key: "sk-…wxyz",
    state: "refused",
    until: 1,
    ...more,
  });
  const rows = [
    ...[null, 1, "a", []],
    ...[
      row({ n: 0 }),
      row({ n: 1.5 }),
      row({ n: "1" }),
      row({ state: "ok" }),
      row({ state: "x" }),
      row({ key: 1 }),
    ],
    row({ key: "x".repeat(100) }),
    row({ until: 1e300, reason: 7 }),
  ];
  assert.deepEqual(parseKeyNotes(JSON.stringify(rows)), [
    { n: 1, key: "sk-…wxyz", state: "refused", untilMs: null, reason: "" },
  ]);
  for (const text of [null, "", "{", "{}", "null"]) assert.deepEqual(parseKeyNotes(text), []);
});

Deno.test("a note about another key than the one of that number does not count", () => {
  assert.deepEqual(listedKeys(["…", "sk-…wxyz"], [NOTE]).map(({ state }) => state), ["ok", "refused"]);
  assert.deepEqual(listedKeys(["sk-…wxyz", "…"], [NOTE]).map(({ state }) => state), ["ok", "ok"]);
});

Deno.test("a summary counts what is held back", () => {
  const of = (...states: ("ok" | "refused" | "no_credit")[]) =>
    keysSummary(states.map((state) => ({ state })));
  assert.equal(of("ok", "ok"), "2 keys");
  assert.equal(of("ok", "refused", "no_credit", "refused"), "4 keys (2 refused, 1 without credit)");
});
