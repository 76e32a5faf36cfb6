import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { maskFor, SecretMask } from "../../../../src/proxy/relay/masking.ts";

const SECRET = "sk-secret-0123";
const MASKED = "sk-***********";

function masked(secret: string | readonly string[], chunks: readonly Uint8Array[]): string {
  const mask = new SecretMask(typeof secret === "string" ? [secret] : secret);
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
  [
    "a secret that repeats itself",
    "aabaabaabaab",
    "aabaabaabaabaab aabaabaabaab",
    "aab*********aab aab*********",
  ],
  ["a beginning of one that repeats itself", "aaaaaaaaaaaab", "aaaaaaaaaaaaaab", "aaaaa**********"],
  ["beyond ASCII", "der schlüssel", "der schlüssel: é", "der***********: é"],
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
  const mask = new SecretMask([SECRET]);
  assert.equal(mask.push(Buffer.from("plain text")).length, 10);
  assert.equal(mask.push(Buffer.from(`x${SECRET.slice(0, 5)}`)).length, 1);
  const input = Buffer.from(SECRET);
  new SecretMask([SECRET]).push(input);
  assert.equal(input.toString(), SECRET);
});

Deno.test("SecretMask masks each of several secrets, one that is a part of another, and two that overlap", () => {
  const secrets = ["sk-secret-0123", "sk-secret-0123-and-more", "0123-and-less", "other-secret-456"];
  const text =
    "sk-secret-0123 sk-secret-0123-and-more sk-secret-0123-and-less other-secret-456 other-secret-45";
  const expected =
    "sk-*********** sk-******************** sk-******************** oth************* other-secret-45";
  const bytes = Buffer.from(text);
  for (let at = 0; at <= bytes.length; at++) {
    assert.equal(masked(secrets, [bytes.subarray(0, at), bytes.subarray(at)]), expected, `split at ${at}`);
  }
  assert.equal(masked(secrets, [...bytes].map((byte) => Uint8Array.of(byte))), expected);
});

Deno.test("SecretMask looks at each byte once, whatever the secret repeats", () => {
  const length = 16_384;
  const secret = `${"a".repeat(length - 1)}b`;
  const mask = new SecretMask([secret]);
  // Looked for anew at each place, this would be 10^11 comparisons.
  const text = "a".repeat(8 * 1024 * 1024);
  let bytes = 0;
  for (let at = 0; at < text.length; at += 65_536) {
    bytes += mask.push(Buffer.from(text.slice(at, at + 65_536))).length;
  }
  assert.equal(bytes, text.length - (length - 1));
  const rest = Buffer.concat([mask.push(Buffer.from("b")), mask.flush()]).toString();
  assert.equal(rest, `aaa${"*".repeat(length - 3)}`);
});

function maskedBy(upstream: { readonly sk: string; readonly endpoint: string }, text: string): string {
  const mask = maskFor(upstream);
  if (mask === null) return text;
  assert.equal(mask.maskText(text), Buffer.from(mask.maskWithin(Buffer.from(text))).toString());
  return mask.maskText(text);
}

Deno.test("maskFor() masks all keys of an upstream, in the forms in which replies quote them", () => {
  const host = "https://a.example/v1";
  const query = `${host}?api-version=2024-10-21-preview&key=q-secret%2f0123456789&code=short`;
  const table: [sk: string, endpoint: string, text: string, expected: string][] = [
    ["sk-secret-0123456789", host, "bad sk-secret-0123456789", "bad sk-*****************"],
    ["sk-secret-0123456789", query, "bad sk-secret-0123456789", "bad sk-*****************"],
    ["sk-a", query, "q-secret/0123456789", "q-s****************"],
    ["asis", query, "/v1?key=q-secret%2f0123456789&", "/v1?key=q-s******************&"],
    ["asis", query, "/v1?key=q-secret%2F0123456789&", "/v1?key=q-s******************&"],
    ["asis", query, '{"key":"q-secret\\/0123456789"}', '{"key":"q-s*****************"}'],
    ["sk/secret/0123456789", host, '{"key":"sk\\/secret\\/0123456789"}', '{"key":"sk\\*******************"}'],
    ["asis", query, "api-version=2024-10-21-preview code=short", "api-version=2024-10-21-preview code=short"],
  ];
  for (const [sk, endpoint, text, expected] of table) {
    assert.equal(maskedBy({ sk, endpoint }, text), expected);
  }
});

Deno.test("maskFor() has nothing to mask for asis and for keys that may be words", () => {
  for (const sk of ["asis", "null", "ollama", "EMPTY", "true", "error", "message", "lm-studio01"]) {
    assert.equal(maskFor({ sk, endpoint: "https://a.example/v1?api-version=1" }), null, sk);
  }
  assert.ok(maskFor({ sk: "twelve-chars", endpoint: "https://a.example/v1" }));
});
