import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { TokenGuard } from "../../../src/core/token_guard.ts";

const TOKEN = "tok-0123456789/+Ab=x";
const SHORT = "s3cret";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const base64url = (text: string) => Buffer.from(text).toString("base64url");
const percent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

const LONG_FORMS: readonly [name: string, value: string][] = [
  ["alone", TOKEN],
  ["after a scheme", `Bearer ${TOKEN}`],
  ["after a scheme and a tab", `bearer\t${TOKEN}`],
  ["after two schemes", `Bearer Bearer ${TOKEN}`],
  ["after another scheme", `Token token="${TOKEN}", realm="x"`],
  ["in a list", `a, ${TOKEN}, b`],
  ["inside a longer word", `openai-insecure-api-key.${TOKEN}.v1`],
  ["in lower case, as names of headers are", `x-${TOKEN.toLowerCase()}`],
  ["percent-encoded", encodeURIComponent(TOKEN)],
  ["every octet percent-encoded", percent(TOKEN)],
  ["percent-encoded twice", encodeURIComponent(percent(TOKEN))],
  ["percent-encoded three times", encodeURIComponent(encodeURIComponent(percent(TOKEN)))],
  ["in a URL", `https://a.example/?x=1&key=${encodeURIComponent(TOKEN)}#top`],
  ...["", "u", "us", "user:", "a longer user:"].flatMap((before) =>
    ["", ":", ":password", "!?"].flatMap((after): [string, string][] => [
      [`in base64 after "${before}" before "${after}"`, `Basic ${base64(before + TOKEN + after)}`],
      [`in URL-safe base64 after "${before}" before "${after}"`, base64url(before + TOKEN + after)],
    ])
  ),
];

Deno.test("holds() finds a token of 12 characters or more anywhere, in every form", () => {
  const guard = new TokenGuard(["another-0123456789", TOKEN, SHORT]);
  const alone = new TokenGuard([TOKEN]);
  for (const [name, value] of LONG_FORMS) {
    assert.ok(guard.holds(value), name);
    assert.ok(alone.holds(value), name);
    assert.ok(alone.holds(value), `${name}, again`);
    assert.ok(alone.isInPath(`/v1/${value}/x`), name);
  }
});

Deno.test("holds() finds a shorter token only as a whole value", () => {
  const guard = new TokenGuard([SHORT]);
  const found = [
    SHORT,
    ` ${SHORT} `,
    `Bearer ${SHORT}`,
    `bearer\t${SHORT}`,
    `Token ${SHORT}`,
    `Bearer Bearer ${SHORT}`,
    `other, ${SHORT}`,
    `Token token="${SHORT}"`,
    percent(SHORT),
    `Basic ${base64(`user:${SHORT}`)}`,
    `Basic ${base64(`${SHORT}:`)}`,
    `Basic ${base64(SHORT)}`,
  ];
  for (const value of found) assert.ok(guard.holds(value), value);
  const words = ["s3cretly", `my-${SHORT}`, `${SHORT}.example`, `/models/${SHORT}-1`, "", "Basic", "%"];
  for (const value of words) assert.ok(!guard.holds(value), value);
  assert.ok(!guard.isInPath(`/v1/models/${SHORT}`));
});

Deno.test("nothing is found where there is no token", () => {
  const texts = ["", "application/json", `Bearer ${TOKEN.slice(0, -1)}`, TOKEN.slice(1), "%zz%4", "%25%2525"];
  for (const guard of [new TokenGuard([]), new TokenGuard(["", "  "]), new TokenGuard([TOKEN])]) {
    for (const text of texts) {
      assert.ok(!guard.holds(text), text);
      assert.ok(!guard.holds(text), `${text}, again`);
    }
  }
});

Deno.test("a token with characters beyond ASCII is found by its octets, as sent over the wire", () => {
  const token = "schlüssel-für-alle";
  const guard = new TokenGuard([token]);
  const octets = Buffer.from(token).toString("latin1");
  for (
    const value of [octets, `Bearer ${octets}`, encodeURIComponent(token), `Basic ${base64(`:${token}`)}`]
  ) {
    assert.ok(guard.holds(value), value);
  }
});

Deno.test("any number of tokens is found in one search", () => {
  const tokens = Array.from({ length: 500 }, (_, n) => `${n * 7919}-token-${n}-abcdefghij`);
  const guard = new TokenGuard(tokens);
  for (const token of tokens) {
    assert.ok(guard.holds(`Bearer ${token}`), token);
    assert.ok(guard.holds(`Basic ${base64(`u:${token}`)}`), token);
  }
  for (let n = 0; n < 3000; n++) assert.ok(!guard.holds(`request-${n}-of-somebody`));
  for (const token of tokens) assert.ok(guard.holds(token), token);
});
