import assert from "node:assert/strict";
import { looksLikeKey, OwnKeys } from "../../../src/core/own_keys.ts";

const KEY = "sk-own-0123456789abcdef";

Deno.test("looksLikeKey() distinguishes keys from words and from parts of a request", () => {
  const keys = [
    KEY,
    "sk-ant-api03-AbCd_EfGh-0123",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "0123456789abcdef0123456789abcdef",
    "sk-onlylettersfollow",
    "user:0123456789abcdef",
  ];
  for (const key of keys) assert.ok(looksLikeKey(key), key);
  const others = [
    "",
    "sk-short",
    '{"model":"m","messages":[',
    '"messages":[{"role"',
    "send-me-the-customers",
    "exfiltrateTheCustomers",
    "4111111111111111",
    "two words 0123456789",
    "comma,0123456789abcdef",
    "<b>0123456789abcdef</b>",
    "a1".repeat(129),
    "schl\u00fcssel-0123456789abcdef",
  ];
  for (const other of others) assert.ok(!looksLikeKey(other), other);
});

Deno.test("mask() masks and counts keys that are whole words", () => {
  const table: [text: string, masked: string, count: number][] = [
    ["nothing here", "nothing here", 0],
    [KEY, "sk-…cdef", 1],
    [`Incorrect API key provided: ${KEY}.`, "Incorrect API key provided: sk-…cdef.", 1],
    [`{"key":"${KEY}","again":"${KEY}"}`, '{"key":"sk-…cdef","again":"sk-…cdef"}', 2],
    [`?key=${KEY}&x=${KEY}`, "?key=sk-…cdef&x=sk-…cdef", 2],
    [`a${KEY} ${KEY}0 ${KEY}Z`, `a${KEY} ${KEY}0 ${KEY}Z`, 0],
    [`x${KEY}, ${KEY}`, `x${KEY}, sk-…cdef`, 1],
    [`cut: ${KEY.slice(0, 14)}`, "cut: sk-…", 1],
    [`cut: ${KEY.slice(0, 11)}`, `cut: ${KEY.slice(0, 11)}`, 0],
    [`${KEY} cut: ${KEY.slice(0, 14)}`, "sk-…cdef cut: sk-…", 2],
  ];
  for (const [text, masked, count] of table) {
    const own = new OwnKeys([KEY, KEY, "model"]);
    assert.equal(own.mask(text), masked);
    assert.equal(own.count, count, text);
  }
});

Deno.test("note() tells how often, and shows no key", () => {
  const own = new OwnKeys([KEY]);
  assert.equal(own.note(), null);
  own.mask(KEY);
  assert.equal(own.note(), "its own key sk-…cdef masked once in this record");
  own.mask(`${KEY} ${KEY}`);
  assert.equal(own.note(), "its own key sk-…cdef masked 3 times in this record");
});
