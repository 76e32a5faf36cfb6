/** The ids that a request names, wherever they stand, and what is none. */
import assert from "node:assert/strict";
import { idOfEncrypted, idsOfPath, idsOfRequest } from "../../../src/core/named_ids.ts";
import { hashOfId, OwnerMemory } from "../../../src/core/owned_ids.ts";
import { readFields } from "../../../src/core/request_fields.ts";
import type { OwnedId } from "../../../src/core/types.ts";

function jsonOf(text: string) {
  return readFields({ contentType: "application/json", bytes: new TextEncoder().encode(text), text }).json;
}

function idsIn(body: unknown, { isResponse = true, query = "" } = {}): readonly string[] {
  return idsOfRequest({
    query,
    json: jsonOf(typeof body === "string" ? body : JSON.stringify(body)),
    isResponse,
  });
}

const SECRET = "gAAAAAB".padEnd(400, "x");

Deno.test("idsOfRequest() finds ids in every place", () => {
  const cases: readonly [unknown, readonly string[]][] = [
    [{ previous_response_id: "resp_1", input: "x" }, ["resp_1"]],
    [{ conversation: "conv_1" }, ["conv_1"]],
    [{ conversation: { id: "conv_1" } }, ["conv_1"]],
    [{ container: "cntr_1" }, ["cntr_1"]],
    [{ vector_store_ids: ["vs_1", "vs_2", 3, null] }, ["vs_1", "vs_2"]],
    [{ training_file: "file-1", validation_file: "file-2" }, ["file-1", "file-2"]],
    [{ tools: [{ type: "file_search", vector_store_ids: ["vs_1", "vs_2"] }] }, ["vs_1", "vs_2"]],
    ['{"messages":[{"content":[{"type":"file","file":{"file_id" : \n "file-ü"}}]}]}', []],
    ['{"messages":[{"content":[{"type":"file","file":{"file_id" : \n "file-9"}}]}],"x":"ü"}', ["file-9"]],
    [{ input: [{ type: "reasoning", id: "rs_1", encrypted_content: SECRET }] }, [
      idOfEncrypted(SECRET) ?? "",
      "rs_1",
    ]],
    [{ input: [{ type: "item_reference", id: "msg_1" }] }, ["msg_1"]],
    [{ input: [{ type: "message", id: "msg_1" }] }, []],
    [{ input: 'say "file_id": "file-1"' }, []],
    [{ user: "x", messages: [] }, []],
    [{ file_id: "x".repeat(257), previous_response_id: "" }, []],
    [{ previous_response_id: { id: 3 }, conversation: 7, vector_store_ids: {} }, []],
  ];
  for (const [body, expected] of cases) {
    assert.deepEqual(idsIn(body), expected, JSON.stringify(body).slice(0, 80));
  }
});

Deno.test("idsOfRequest() puts the most telling first, and takes a bounded number", () => {
  assert.deepEqual(idsIn({ file_id: "f", conversation: "c", previous_response_id: "r" }), ["r", "c", "f"]);
  const many = Array.from({ length: 500 }, (_, n) => `vs_${n}`);
  assert.equal(idsIn({ vector_store_ids: many }).length <= 64, true);
  assert.equal(idsIn({ input: many.map((id) => ({ file_id: id })) }).length <= 64, true);
});

Deno.test("idsOfRequest() prefers the latest items of a long conversation", () => {
  const input = Array.from(
    { length: 40 },
    (_, n) => ({ type: "reasoning", id: `rs_${n}`, encrypted_content: "-" }),
  );
  assert.equal(idsIn({ input })[0], "rs_39");
});

Deno.test("ids in paths and queries are found decoded", () => {
  assert.deepEqual(idsOfPath("/v1/responses"), []);
  assert.deepEqual(idsOfPath("/v1/responses/resp_1"), ["resp_1"]);
  assert.deepEqual(idsOfPath("/v1/threads/thread_1/runs/run%5F2/"), ["thread_1", "runs", "run_2"]);
  assert.deepEqual(idsOfPath(`/v1/files/${"x".repeat(300)}`), []);
  assert.deepEqual(idsOfPath(`/v1/files${"/a".repeat(10_000)}`).length, 12);
  assert.deepEqual(idsOfRequest({ query: "limit=2&after=file%2D1&x=y", json: null, isResponse: false }), [
    "file-1",
  ]);
});

Deno.test("hostile bodies take linear time", () => {
  for (
    const piece of [
      '"file_id":',
      '"encrypted_content":"',
      '"rs_',
      '"file_ids":["',
      '"file_ids":[' + " ".repeat(60),
    ]
  ) {
    const startedMs = performance.now();
    idsIn(`{"input":[${JSON.stringify(piece.repeat(100_000))}],"x":"${"\\\\".repeat(100_000)}"}`);
    idsOfRequest({ query: "", json: jsonOf(`{"a":[${piece.repeat(100_000)}`), isResponse: true });
    assert.ok(performance.now() - startedMs < 5_000);
  }
});

Deno.test("OwnerMemory keeps the latest, asks for others, and says what has to be written", () => {
  const asked: string[] = [];
  const stored: OwnedId = { hash: hashOfId("old"), upstreamId: 3, keyHash: 5, kind: "files", seenMs: 1 };
  const memory = new OwnerMemory((hash) => {
    asked.push(hash);
    if (hash === "broken") throw new Error("the database is locked");
    return hash === stored.hash ? stored : null;
  }, 3);
  const owned = (id: string, upstreamId: number, seenMs = 1_000): OwnedId => ({
    hash: hashOfId(id),
    upstreamId,
    keyHash: null,
    kind: "responses",
    seenMs,
  });
  assert.equal(memory.remember(owned("a", 1)), true);
  assert.equal(memory.remember(owned("a", 1)), false);
  assert.equal(memory.remember(owned("a", 2)), true);
  assert.equal(memory.remember(owned("a", 2, 90_000_000)), true);
  assert.equal(memory.find(hashOfId("a"))?.upstreamId, 2);
  assert.deepEqual(asked, []);
  assert.equal(memory.find(stored.hash)?.upstreamId, 3);
  assert.equal(memory.find(stored.hash)?.keyHash, 5);
  assert.equal(asked.length, 1);
  assert.equal(memory.find("broken"), null);
  for (const id of ["b", "c", "d"]) memory.remember(owned(id, 1));
  memory.find(hashOfId("a"));
  assert.equal(asked.at(-1), hashOfId("a"));
});

Deno.test("hashOfId() is the same on all machines", () => {
  assert.equal(hashOfId("resp_1"), "8830340303854924255");
});
