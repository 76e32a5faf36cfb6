/** What ties a request to its session: names first, then the beginning of the prompt. */
import assert from "node:assert/strict";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { readFields } from "../../../src/core/request_fields.ts";
import { sessionKeyOf } from "../../../src/core/session_key.ts";

function keyOf(body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const fields = new HeaderFields();
  for (const [name, value] of Object.entries(headers)) fields.append(name, value);
  const bytes = new TextEncoder().encode(text);
  const key = sessionKeyOf(fields, readFields({ contentType: "application/json", bytes, text }).json);
  assert.deepEqual(sessionKeyOf(fields, readFields({ contentType: "application/json", bytes }).json), key);
  return key;
}

const LONG = "You are a careful assistant, größer als alles. ".repeat(120);
const user = (content: string) => ({ role: "user", content });
const assistant = { role: "assistant", content: 'said "user" and \\"]' };

Deno.test("the first name counts", () => {
  const all = {
    prompt_cache_key: "a",
    metadata: { session_id: "c", user_id: "d" },
    safety_identifier: "e",
    user: "f",
  };
  const { prompt_cache_key: _a, ...withoutKey } = all;
  assert.deepEqual(keyOf(all, { "x-session-id": "b" }), keyOf({ user: "a" }));
  assert.deepEqual(keyOf(withoutKey, { "x-session-id": "b" }), keyOf({ user: "b" }));
  assert.deepEqual(keyOf(withoutKey), keyOf({ user: "c" }));
  assert.deepEqual(keyOf({ ...withoutKey, metadata: { user_id: "d" } }), keyOf({ user: "d" }));
  assert.deepEqual(keyOf({ ...withoutKey, metadata: { session_id: 3 } }), keyOf({ user: "e" }));
  assert.equal(keyOf({ user: "f" })?.type, "session");
});

Deno.test("what is no name ties nothing", () => {
  for (
    const body of [{}, { user: "" }, { user: 3 }, { metadata: null }, { metadata: ["x"] }, "[]", "{", {
      user: "x".repeat(2_000),
    }]
  ) {
    assert.equal(keyOf(body), null, JSON.stringify(body).slice(0, 40));
  }
  assert.equal(keyOf({ messages: [user("short")] }), null);
});

Deno.test("a long beginning is a session: all turns of it, and no other one", () => {
  const turns = (question: string, more: readonly unknown[] = []) => [
    { messages: [{ role: "system", content: LONG }, user(question), ...more] },
    { system: LONG, messages: [user(question), ...more] },
    { instructions: LONG, input: [user(question), ...more] },
    { tools: [{ name: LONG }], messages: [user(question), ...more] },
  ];
  const [first, later, other] = [turns("q"), turns("q", [assistant, user("more")]), turns("other")];
  for (const [index, body] of first.entries()) {
    const key = keyOf(body);
    assert.equal(key?.type, "prefix");
    assert.deepEqual(keyOf(later[index]), key, String(index));
    assert.notDeepEqual(keyOf(other[index]), key);
  }
  assert.equal(keyOf({ input: LONG })?.type, "prefix");
  for (const [index, body] of first.entries()) {
    const shared = keyOf(body)?.sharedHash;
    assert.equal(typeof shared, "number");
    assert.equal(keyOf(other[index])?.sharedHash, shared, "the system prompt is the same");
  }
  const own = keyOf({ messages: [{ role: "system", content: "short" }, user(LONG)] });
  assert.equal(own?.type, "prefix");
  assert.equal(own?.sharedHash, null, "nobody else begins so");
  assert.equal(keyOf({ prompt_cache_key: "a", system: LONG, messages: [user("q")] })?.sharedHash, null);
});
