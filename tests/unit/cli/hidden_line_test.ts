import assert from "node:assert/strict";
import { HiddenLine } from "../../../src/cli/hidden_line.ts";

const encoder = new TextEncoder();

function typed(...pieces: readonly string[]): string | null | undefined {
  const line = new HiddenLine();
  for (const piece of pieces) {
    const ended = line.take(encoder.encode(piece));
    if (ended !== undefined) return ended;
  }
  return undefined;
}

Deno.test("HiddenLine ends at a line end, however it is cut into pieces", () => {
  assert.equal(typed("sk-abc\r"), "sk-abc");
  assert.equal(typed("sk-", "abc", "\n", "more"), "sk-abc");
  assert.equal(typed("sk-abc\x04"), "sk-abc");
  assert.equal(typed("\r"), "");
  assert.equal(typed("sk-abc"), undefined);
});

Deno.test("HiddenLine erases characters and lines, and Ctrl-C breaks it off", () => {
  assert.equal(typed("ab\x7f\x08\x7fsk\n"), "sk");
  assert.equal(typed("wrong\x15right\n"), "right");
  assert.equal(typed("sk-abc\x03"), null);
});

Deno.test("HiddenLine gives up on what no person types", () => {
  assert.equal(typed("x".repeat(65_537)), null);
});
