/**
 * Lines of a terminal in raw mode, where nobody else interprets keys.
 */
import assert from "node:assert/strict";
import { isYes, promptsOn } from "../../../src/cli/prompts.ts";

/** What arrives with each read; after it the end of input. */
function keyboard(...chunks: string[]) {
  const modes: boolean[] = [];
  const written: string[] = [];
  const rest = chunks.map((chunk) => new TextEncoder().encode(chunk));
  const source = {
    read: (into: Uint8Array) => {
      const next = rest.shift();
      if (next !== undefined) into.set(next);
      return Promise.resolve(next?.length ?? null);
    },
    setRaw: (mode: boolean) => void modes.push(mode),
  };
  return { modes, written, prompts: promptsOn(source, (text) => void written.push(text)) };
}

Deno.test("a secret is read up to Return, however it arrives, and never shown", async () => {
  const cases: readonly (readonly [chunks: readonly string[], secret: string | null])[] = [
    [["secret\r"], "secret"],
    [["se", "cr", "et", "\n"], "secret"],
    [["sex\x7fcret\r"], "secret"],
    [["wrong\x15secret\r"], "secret"],
    // Arrow keys, and the marks of pasted text.
    [["\x1b[Dsec\x1b[1;5Cret\r"], "secret"],
    [["\x1b[200~secret\x1b[201~\r"], "secret"],
    [["geheimnis-ü\r"], "geheimnis-ü"],
    [["secret"], "secret"],
    [["\x04"], null],
    [[], null],
    [["\r"], ""],
  ];
  for (const [chunks, secret] of cases) {
    const { prompts, modes, written } = keyboard(...chunks);
    assert.equal(await prompts.askSecret("key: "), secret, JSON.stringify(chunks));
    assert.deepEqual([modes, written.join("")], [[true, false], "key: \n"]);
  }
});

Deno.test("Ctrl-C cancels, and the terminal is as before", async () => {
  const { prompts, modes } = keyboard("secr\x03");
  await assert.rejects(prompts.askSecret("key: "), /cancelled/);
  assert.deepEqual(modes, [true, false]);
});

Deno.test("what is typed ahead answers the next question", async () => {
  const { prompts } = keyboard("secret\ry\n");
  assert.equal(await prompts.askSecret("key: "), "secret");
  assert.equal(await prompts.ask("sure? "), "y");
  assert.equal(await prompts.ask("sure? "), null);
});

Deno.test("an answer is bounded", async () => {
  const { prompts } = keyboard(...new Array<string>(100).fill("x".repeat(1_000)), "\r");
  assert.equal((await prompts.askSecret("key: "))?.length, 16_384);
});

Deno.test("only a clear yes is one", () => {
  for (const answer of ["y", "Y", " yes ", "YES\r"]) assert.ok(isYes(answer), answer);
  for (const answer of [null, "", "n", "yess", "yes no", "1", "ja"]) {
    assert.ok(!isYes(answer), String(answer));
  }
});
