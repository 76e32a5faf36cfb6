import assert from "node:assert/strict";
import { redactor } from "../../../src/observe/redact.ts";

const redact = redactor(() => ["known-secret-value"]);

const CASES: readonly (readonly [name: string, text: string, expected: string])[] = [
  ["a known secret", "x known-secret-value y", "x kno…alue y"],
  ["an OpenAI key", "key sk-proj-abcdefghijkl is wrong", "key sk-…ijkl is wrong"],
  ["a masked key, which stays", "key sk-…wxyz", "key sk-…wxyz"],
  ["a Bearer token", "authorization: bearer abcdef.123", "authorization: bearer …"],
  ["a URL's user information", "https://me:pw@host/x", "https://…@host/x"],
  ["a URL's token", "https://h/x?a=1&access_token=abc&b=2", "https://h/x?a=1&access_token=…&b=2"],
  ["the message about Bearer, which stays", "should start with 'Bearer'", "should start with 'Bearer'"],
  ["words with sk- inside, which stay", "task-forces-of-the-world", "task-forces-of-the-world"],
  ["an address without credentials, which stays", "http://host:80/a@b", "http://host:80/a@b"],
];

for (const [name, text, expected] of CASES) {
  Deno.test(`redactor() handles ${name}`, () => assert.equal(redact(text), expected));
}
