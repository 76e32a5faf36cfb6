import assert from "node:assert/strict";
import { isLoopback, isSingleLabel, splitHost } from "../../../src/core/loopback.ts";

Deno.test("isLoopback() knows the loopback addresses and name", () => {
  for (
    const name of ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LOCALHOST"]
  ) {
    assert.equal(isLoopback(name), true, name);
  }
  for (const name of ["128.0.0.1", "127.evil.example", "::2", "2001:db8::1", "", "localhost.evil.example"]) {
    assert.equal(isLoopback(name), false, name);
  }
});

Deno.test("splitHost() splits a Host header, and returns no name for a malformed one", () => {
  assert.deepEqual(splitHost("localhost:8888"), { name: "localhost", port: 8888 });
  assert.deepEqual(splitHost("[::1]:80"), { name: "[::1]", port: 80 });
  assert.deepEqual(splitHost("localhost"), { name: "localhost", port: 80 });
  for (const host of ["a:b:c", "[", "[::1", "localhost:999999", "localhost:x"]) {
    assert.equal(splitHost(host).name, "", host);
  }
});

Deno.test("isSingleLabel() takes names without a dot, and no address", () => {
  for (const name of ["router", "LLM-1", "a", "x".repeat(63)]) assert.ok(isSingleLabel(name), name);
  for (
    const name of [
      "",
      "evil.example",
      "evil.",
      "127.0.0.1",
      "2130706433",
      "[::2]",
      "a_b",
      "x".repeat(64),
      "a:1",
    ]
  ) {
    assert.equal(isSingleLabel(name), false, name);
  }
});
