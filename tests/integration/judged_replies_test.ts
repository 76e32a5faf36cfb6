/**
 * What counts as an answer, from outside: errors and nothing in the disguise of a success move on to the next upstream and
 * are recorded as failures of the last one; look-ups, opaque items and refusals are relayed.
 */
import assert from "node:assert/strict";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { Router } from "../support/router.ts";
import {
  chatCompletion,
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  reply,
  type Script,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const ROLE = chatEvent({ role: "assistant", content: "" });
const CHAT = { path: "/chat/completions", body: { model: "m", messages: [] } };

interface Call {
  readonly path: string;
  readonly body?: Record<string, unknown>;
  readonly method?: string;
}

interface Seen {
  readonly who: string;
  readonly status: number;
  readonly text: string;
  readonly outcome: unknown;
  readonly error: unknown;
  readonly classes: unknown[];
}

/** One upstream that misbehaves, and one behind it that answers. */
class Stage implements AsyncDisposable {
  private constructor(
    readonly first: FakeUpstream,
    readonly second: FakeUpstream | null,
    readonly router: Router,
  ) {}

  static async set({ isBacked }: { readonly isBacked: boolean }): Promise<Stage> {
    const first = new FakeUpstream(hang);
    const second = isBacked ? new FakeUpstream(hang) : null;
    const upstreams = [{ endpoint: first.endpoint, name: "first" }];
    if (second !== null) upstreams.push({ endpoint: second.endpoint, name: "second" });
    return new Stage(first, second, await Router.start({ upstreams }));
  }

  async ask(
    script: Script,
    { path, body, method = "POST" }: Call,
    answer = chatReply("well"),
  ): Promise<Seen> {
    // A success, so that earlier failures do not move the first one to the end.
    this.first.script = chatReply("healthy");
    await (await this.router.chat({ model: "m" })).text();
    this.first.script = script;
    if (this.second !== null) this.second.script = answer;
    const response = await this.router.fetch(path, {
      method,
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text().catch(() => "not decodable");
    const { outcome, error, id } = await this.router.recordOf(response);
    return {
      who: response.headers.get("x-oar-upstream") ?? "nobody",
      status: response.status,
      text,
      outcome,
      error,
      classes: this.router.attempts(id).map(({ error_class }) => error_class ?? "ok"),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    await this.first[Symbol.asyncDispose]();
    await this.second?.[Symbol.asyncDispose]();
  }
}

const ERROR = '{"error":{"message":"quota"}}';
const PAGE = "<!doctype html><html><body>Just a moment...</body></html>";

function encoded(contentEncoding: string, bytes: Uint8Array, contentType = "application/json"): Script {
  return async (_request, wire) => {
    const fields = { "content-type": contentType, "content-encoding": contentEncoding };
    await wire.write(head(200, { ...fields, "content-length": String(bytes.length) }));
    await wire.write(bytes);
  };
}

/** Replies to a chat that are no answer. */
const REFUSED: Readonly<Record<string, Script>> = {
  "an error with companions": reply(200, '{"error":{"message":"quota"},"model":"m","id":"x"}'),
  "an error by its object": reply(200, '{"object":"error","message":"quota","code":429}'),
  "an envelope": reply(200, '{"code":401,"msg":"token invalid","data":null}'),
  "base_resp": reply(200, '{"choices":null,"base_resp":{"status_code":1008,"status_msg":"balance"}}'),
  "no choices": reply(200, '{"object":"chat.completion","choices":[]}'),
  "a page": reply(200, PAGE, { "content-type": "text/html" }),
  "a page without a label": reply(200, PAGE, { "content-type": "" }),
  "an error labelled text": reply(200, ERROR, { "content-type": "text/plain" }),
  "nothing, labelled text": reply(200, "", { "content-type": "text/plain" }),
  "an error labelled as a stream": reply(200, ERROR, { "content-type": "text/event-stream" }),
  "an error in gzip": encoded("gzip", gzipSync(ERROR)),
  "an error in br": encoded("BR", brotliCompressSync(ERROR)),
  "an error in deflate": encoded("deflate", deflateSync(ERROR)),
  "an error in zstd": encoded("zstd", zstdCompressSync(ERROR)),
  "an error, labelled gzip": encoded("gzip", new TextEncoder().encode(ERROR)),
};

for (const isStream of [false, true]) {
  const call = { ...CHAT, body: { ...CHAT.body, stream: isStream } };
  Deno.test(`what is no answer moves on, stream ${isStream}`, async (t) => {
    await using stage = await Stage.set({ isBacked: true });
    for (const [name, script] of Object.entries(REFUSED)) {
      await t.step(name, async () => {
        const seen = await stage.ask(
          script,
          call,
          isStream ? stream(chatEvents(["well"])) : chatReply("well"),
        );
        assert.deepEqual(seen.classes, ["bad_reply", "ok"]);
        assert.equal(seen.who, "second");
        assert.equal(seen.outcome, "complete");
      });
    }
  });

  Deno.test(`what is no answer is relayed from the last upstream, and recorded as a failure, stream ${isStream}`, async (t) => {
    await using stage = await Stage.set({ isBacked: false });
    for (const [name, script] of Object.entries(REFUSED)) {
      await t.step(name, async () => {
        const seen = await stage.ask(script, call);
        assert.deepEqual(seen.classes, ["bad_reply"]);
        assert.equal(seen.status, 200);
        assert.equal(seen.outcome, "error_event");
        assert.notEqual(seen.error, null);
      });
    }
  });
}

Deno.test("a large page is recorded as no answer, not as a cut one", async () => {
  await using stage = await Stage.set({ isBacked: false });
  const page = PAGE + "x".repeat(1_500_000);
  const seen = await stage.ask(reply(200, page, { "content-type": "text/html" }), CHAT);
  assert.equal(seen.text, page);
  assert.equal(seen.outcome, "error_event");
  assert.deepEqual(seen.classes, ["bad_reply"]);
});

Deno.test("a JSON answer is relayed whatever its label says", async (t) => {
  await using stage = await Stage.set({ isBacked: true });
  const body = JSON.stringify(chatCompletion("mislabelled"));
  for (const type of ["text/event-stream", "text/plain", "text/html", ""]) {
    for (const isStream of [false, true]) {
      await t.step(`"${type}", stream ${isStream}`, async () => {
        const call = { ...CHAT, body: { ...CHAT.body, stream: isStream } };
        const seen = await stage.ask(reply(200, body, { "content-type": type }), call);
        assert.equal(seen.text, body);
        assert.equal(seen.who, "first");
        assert.equal(seen.outcome, "complete");
      });
    }
  }
});

Deno.test("kinds that may be answered by any bytes are relayed as they come", async (t) => {
  await using stage = await Stage.set({ isBacked: true });
  for (const path of ["/audio/transcriptions", "/audio/speech", "/files", "/rerank", "/threads/t/runs"]) {
    for (const type of ["text/plain", "text/html", "application/octet-stream", ""]) {
      await t.step(`${path} "${type}"`, async () => {
        const seen = await stage.ask(reply(200, PAGE, { "content-type": type }), { path, body: {} });
        assert.equal(seen.text, PAGE);
        assert.equal(seen.who, "first");
        assert.equal(seen.outcome, "complete");
      });
    }
  }
});

Deno.test("JSON lines are relayed as they come", async () => {
  await using stage = await Stage.set({ isBacked: true });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  stage.first.script = async (_request, wire) => {
    const fields = { "content-type": "application/x-ndjson", "transfer-encoding": "chunked" };
    await wire.write(head(200, fields) + chunk('{"message":{"content":"a"}}\n'));
    await released;
    await wire.write(chunk('{"done":true}\n') + LAST_CHUNK);
  };
  const response = await stage.router.chat({ stream: true });
  assert.equal(response.headers.get("x-oar-upstream"), "first");
  release();
  assert.equal(await response.text(), '{"message":{"content":"a"}}\n{"done":true}\n');
  assert.equal((await stage.router.recordOf(response)).outcome, "complete");
});

const FAILED = '{"id":"r","object":"response","status":"failed","error":{"message":"broke"},"output":[]}';
const typed = (data: Record<string, unknown>) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const FAILED_STREAM = [
  typed({ type: "response.failed", response: { status: "failed", error: { message: "broke" } } }),
];

Deno.test("a look-up is not judged", async (t) => {
  await using stage = await Stage.set({ isBacked: true });
  const found: Readonly<Record<string, readonly [Call, Script, string]>> = {
    "a failed response": [{ method: "GET", path: "/responses/r" }, reply(200, FAILED), FAILED],
    "its stream": [
      { method: "GET", path: "/responses/r?stream=true" },
      stream(FAILED_STREAM),
      FAILED_STREAM.join(""),
    ],
    "a stream of nothing but its end": [
      { method: "GET", path: "/responses/r?stream=true&starting_after=40" },
      stream([typed({ type: "response.completed", response: { status: "completed", output: [] } })]),
      typed({ type: "response.completed", response: { status: "completed", output: [] } }),
    ],
    "a stored chat": [{ method: "GET", path: "/chat/completions" }, reply(200, '{"data":[]}'), '{"data":[]}'],
    "an error that was found": [{ method: "GET", path: "/files/f/content" }, reply(200, ERROR), ERROR],
    "a deleted response": [{ method: "DELETE", path: "/responses/r" }, reply(200, "{}"), "{}"],
    // Not a look-up, but it tells what became of another request.
    "a cancelled response": [{ path: "/responses/r/cancel", body: {} }, reply(200, FAILED), FAILED],
  };
  for (const [name, [call, script, text]] of Object.entries(found)) {
    await t.step(name, async () => {
      const seen = await stage.ask(script, call, reply(404, ERROR));
      assert.equal(seen.text, text);
      assert.deepEqual(seen.classes, ["ok"]);
      assert.equal(seen.outcome, "complete");
    });
  }
  await t.step("its stream is relayed before anything is said in it", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    stage.first.script = async (_request, wire) => {
      await wire.write(STREAM_HEAD + chunk(typed({ type: "response.in_progress", response: {} })));
      await released;
      await wire.write(chunk(FAILED_STREAM.join("")) + LAST_CHUNK);
    };
    const response = await stage.router.fetch("/responses/r?stream=true");
    assert.equal(response.headers.get("x-oar-upstream"), "first");
    const reader = response.body?.getReader();
    assert.match(new TextDecoder().decode((await reader?.read())?.value), /in_progress/);
    release();
    while ((await reader?.read())?.done === false);
  });
});

Deno.test("an answer that begins in the background is an answer", async () => {
  await using stage = await Stage.set({ isBacked: true });
  const queued =
    '{"id":"r","object":"response","status":"queued","background":true,"output":[],"error":null}';
  const call = { path: "/responses", body: { model: "m", input: "x", background: true } };
  const seen = await stage.ask(reply(200, queued), call);
  assert.equal(seen.text, queued);
  assert.deepEqual(seen.classes, ["ok"]);
  assert.equal(seen.outcome, "complete");
});

Deno.test("what is finished without a word is given by the last upstream, and complete", async (t) => {
  await using stage = await Stage.set({ isBacked: false });
  const document = JSON.stringify({ choices: [{ message: { content: "" }, finish_reason: "length" }] });
  const events = [ROLE, chatEvent({}, "length"), "data: [DONE]\n\n"];
  for (
    const [name, script, text, isStream] of [
      ["a document", reply(200, document), document, false],
      ["a stream", stream(events), events.join(""), true],
    ] as const
  ) {
    await t.step(name, async () => {
      const seen = await stage.ask(script, { ...CHAT, body: { ...CHAT.body, stream: isStream } });
      assert.equal(seen.text, text);
      assert.equal(seen.outcome, "complete");
    });
  }
});

Deno.test("a refusal is an answer: no other upstream is asked", async (t) => {
  await using stage = await Stage.set({ isBacked: true });
  const filtered = JSON.stringify({
    choices: [{ message: { content: null }, finish_reason: "content_filter" }],
  });
  const events = [ROLE, chatEvent({}, "content_filter"), "data: [DONE]\n\n"];
  for (
    const [name, script, text, isStream] of [
      ["a document", reply(200, filtered), filtered, false],
      ["a stream", stream(events), events.join(""), true],
    ] as const
  ) {
    await t.step(name, async () => {
      const seen = await stage.ask(script, { ...CHAT, body: { ...CHAT.body, stream: isStream } });
      assert.equal(seen.text, text);
      assert.deepEqual(seen.classes, ["ok"]);
      assert.equal(seen.outcome, "complete");
    });
  }
});

Deno.test("a stream whose coding is none, or cannot be undone, is relayed as it comes", async (t) => {
  await using stage = await Stage.set({ isBacked: true });
  const events = chatEvents(["one ", "two"]).join("");
  for (const coding of ["none", "UTF-8", "identity, identity", "foo", "compress"]) {
    await t.step(coding, async () => {
      const first = coding === "compress" ? "\x1f\x9d\x90" : events.slice(0, -1);
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      stage.first.script = async (_request, wire) => {
        const fields = { "content-type": "text/event-stream", "content-encoding": coding };
        await wire.write(head(200, { ...fields, "transfer-encoding": "chunked" }) + chunk(first));
        await released;
        await wire.write(chunk("\n") + LAST_CHUNK);
      };
      const response = await stage.router.chat({ stream: true });
      assert.equal(response.headers.get("x-oar-upstream"), "first");
      release();
      assert.equal(await response.text(), `${first}\n`);
      const record = await stage.router.recordOf(response);
      assert.equal(record.outcome, "complete");
      if (coding !== "compress") assert.equal(record.response, "one two");
    });
  }
});

Deno.test("an error in an encoded stream moves on; its content makes the choice final", async (t) => {
  await using stage = await Stage.set({ isBacked: true });
  const call = { ...CHAT, body: { ...CHAT.body, stream: true } };
  const codings = { gzip: gzipSync, br: brotliCompressSync, deflate: deflateSync, zstd: zstdCompressSync };
  for (const [coding, encode] of Object.entries(codings)) {
    await t.step(coding, async () => {
      const bad = encode(`${ROLE}data: ${ERROR}\n\n`);
      const moved = await stage.ask(
        encoded(coding, bad, "text/event-stream"),
        call,
        stream(chatEvents(["well"])),
      );
      assert.deepEqual(moved.classes, ["bad_stream", "ok"]);
      const good = encode(chatEvents(["fine"]).join(""));
      const kept = await stage.ask(encoded(coding, good, "text/event-stream"), call);
      assert.equal(kept.who, "first");
      assert.equal(kept.outcome, "complete");
    });
  }
});
