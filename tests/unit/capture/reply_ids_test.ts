/** The ids that replies name, as soon as they are read. */
import assert from "node:assert/strict";
import { createCapture } from "../../../src/capture/create.ts";
import { namesIds } from "../../../src/capture/reply_ids.ts";
import { idOfEncrypted } from "../../../src/core/named_ids.ts";
import type { EndpointKind } from "../../../src/core/types.ts";

interface Facts {
  readonly kind?: EndpointKind;
  readonly status?: number;
  readonly isLookUp?: boolean;
}

function idsOf(document: unknown, { kind = "other", status = 200, isLookUp = false }: Facts = {}): string[] {
  const ids: string[] = [];
  const capture = createCapture({
    ...{ kind, status, isLookUp, contentType: "application/json", isEventStream: false },
    onId: (id) => void ids.push(id),
  });
  capture.push(new TextEncoder().encode(JSON.stringify(document)));
  capture.finish(true);
  return ids;
}

const SECRET = "e".repeat(300);

Deno.test("documents name their id, what they hold, and what they are about", () => {
  assert.deepEqual(idsOf({ id: "file-1", object: "file" }, { kind: "files" }), ["file-1"]);
  assert.deepEqual(
    idsOf({ id: "batch_1", input_file_id: "file-1", output_file_id: "file-2", error_file_id: null }),
    ["batch_1", "file-2", "file-1"],
  );
  assert.deepEqual(
    idsOf({
      id: "resp_1",
      conversation: { id: "conv_1" },
      output: [{ type: "reasoning", id: "rs_1", encrypted_content: SECRET }, {
        id: "ci_1",
        container_id: "cntr_1",
      }],
    }, { kind: "responses" }),
    ["resp_1", "conv_1", "rs_1", idOfEncrypted(SECRET), "ci_1", "cntr_1"],
  );
  assert.deepEqual(idsOf({ value: "ek_1", session: { id: "sess_1" } }), ["sess_1", "ek_1"]);
  assert.deepEqual(idsOf({ id: "sess_1", client_secret: { value: "ek_1" } }), ["sess_1", "ek_1"]);
  assert.deepEqual(idsOf({ data: [{ id: "a" }, { id: "b" }, 3] }, { isLookUp: true }), ["a", "b"]);
  const many = Array.from({ length: 5_000 }, (_, n) => ({ id: `file-${n}` }));
  assert.equal(idsOf({ data: many }).length, 128);
});

Deno.test("errors, deleted things, and what is too long name nothing", () => {
  assert.deepEqual(idsOf({ id: "resp_1" }, { status: 404 }), []);
  assert.deepEqual(idsOf({ id: "file-1", deleted: true }), []);
  assert.deepEqual(idsOf({ id: "x".repeat(257) }), []);
  assert.deepEqual(idsOf([{ id: "x" }]), []);
});

Deno.test("only kinds whose things can be asked for again are looked at", () => {
  assert.equal(namesIds("chat", false), false);
  assert.equal(namesIds("chat", true), true);
  for (const kind of ["responses", "files", "other", "messages"] as const) {
    assert.equal(namesIds(kind, false), true);
  }
  for (const kind of ["embeddings", "models", "images", "completions"] as const) {
    assert.equal(namesIds(kind, true), false);
  }
});

Deno.test("a stream names its response with its first event", () => {
  const ids: string[] = [];
  const capture = createCapture({
    ...{ kind: "responses", status: 200, contentType: "text/event-stream", isEventStream: true },
    onId: (id) => void ids.push(id),
  });
  const send = (type: string, fields: unknown) =>
    capture.push(
      new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields as object })}\n\n`),
    );
  send("response.created", { response: { id: "resp_1", conversation: { id: "conv_1" } } });
  assert.deepEqual(ids, ["resp_1", "conv_1"]);
  send("response.output_text.delta", { item_id: "msg_9", delta: "x", output_index: 0, content_index: 0 });
  send("response.output_item.done", {
    output_index: 0,
    item: { id: "rs_1", type: "reasoning", encrypted_content: SECRET },
  });
  assert.deepEqual(ids.slice(2), ["rs_1", idOfEncrypted(SECRET)]);
});

Deno.test("a stream of an assistant names thread and run", () => {
  const ids: string[] = [];
  const capture = createCapture({
    ...{ kind: "other", status: 200, contentType: "text/event-stream", isEventStream: true },
    onId: (id) => void ids.push(id),
  });
  capture.push(new TextEncoder().encode(
    'event: thread.run.created\ndata: {"id":"run_1","object":"thread.run","thread_id":"thread_1"}\n\n',
  ));
  assert.deepEqual(ids, ["run_1", "thread_1"]);
});

Deno.test("a message of Anthropic names its container, whole or at the end of its stream", () => {
  assert.deepEqual(
    idsOf({ id: "msg_1", container: { id: "container_1" }, content: [] }, { kind: "messages" }),
    [
      "container_1",
    ],
  );
  const ids: string[] = [];
  const capture = createCapture({
    ...{ kind: "messages", status: 200, contentType: "text/event-stream", isEventStream: true },
    onId: (id) => void ids.push(id),
  });
  const delta = {
    type: "message_delta",
    delta: { stop_reason: "end_turn", container: { id: "container_1" } },
  };
  capture.push(new TextEncoder().encode(`event: message_delta\ndata: ${JSON.stringify(delta)}\n\n`));
  assert.deepEqual(ids, ["container_1"]);
});
