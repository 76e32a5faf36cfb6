import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { maskFor, SecretMask } from "../../../src/proxy/masking.ts";

const SECRET = "sk-secret-0123";
const MASKED = "sk-***********";

function masked(secret: string, chunks: readonly Uint8Array[]): string {
  const mask = new SecretMask(secret);
  const out = chunks.map((chunk) => Buffer.from(mask.push(chunk)));
  return Buffer.concat([...out, Buffer.from(mask.flush())]).toString("utf8");
}

const TEXTS: [name: string, secret: string, text: string, expected: string][] = [
  ["the secret alone", SECRET, SECRET, MASKED],
  ["in the middle", SECRET, `key: ${SECRET}.`, `key: ${MASKED}.`],
  ["twice, adjoining", SECRET, SECRET + SECRET, MASKED + MASKED],
  ["a beginning of it", SECRET, "sk-secret-012", "sk-secret-012"],
  ["a beginning, then the whole", SECRET, `sk-sec${SECRET}`, `sk-sec${MASKED}`],
  ["absent", SECRET, "nothing to hide", "nothing to hide"],
  ["a secret that repeats itself", "aabaab", "aabaabaab aabaab", "aab***aab aab***"],
  ["beyond ASCII", "schlüssel", "der schlüssel: é", "der sch*******: é"],
];

for (const [name, secret, text, expected] of TEXTS) {
  Deno.test(`SecretMask masks ${name}, wherever the text is split`, () => {
    const bytes = Buffer.from(text);
    for (let at = 0; at <= bytes.length; at++) {
      assert.equal(masked(secret, [bytes.subarray(0, at), bytes.subarray(at)]), expected, `split at ${at}`);
    }
    assert.equal(masked(secret, [...bytes].map((byte) => Uint8Array.of(byte))), expected, "byte by byte");
    assert.equal(Buffer.byteLength(expected), bytes.length);
  });
}

Deno.test("SecretMask holds back less than the secret is long, and does not change its input", () => {
  const mask = new SecretMask(SECRET);
  assert.equal(mask.push(Buffer.from("plain text")).length, 10);
  assert.equal(mask.push(Buffer.from(`x${SECRET.slice(0, 5)}`)).length, 1);
  const input = Buffer.from(SECRET);
  new SecretMask(SECRET).push(input);
  assert.equal(input.toString(), SECRET);
});

Deno.test("maskFor() has nothing to mask for asis and keys too short to be one", () => {
  assert.equal(maskFor("asis"), null);
  assert.equal(maskFor("abc"), null);
  assert.ok(maskFor("abcd"));
});
