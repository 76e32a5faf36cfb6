import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCapture } from "../../../../src/capture/create.ts";
import { systemClock } from "../../../../src/server/clock.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { assess } from "../../../../src/proxy/assess/assess.ts";
import type { AssessmentContext } from "../../../../src/proxy/assess/assessment.ts";
import { HeldBudget } from "../../../../src/proxy/assess/held_budget.ts";
import type { LendingSource } from "../../../../src/wire/byte_source.ts";
import { collect } from "../../../../src/wire/collect.ts";
import { TimedReader } from "../../../../src/wire/timed_reader.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const UPSTREAM = anUpstream();

/** A whole stream that has come already; once it is released, another reply lies where it lay. */
class OverwrittenBody implements LendingSource {
  isDone = false;
  isReleased = false;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(text: string) {
    this.#bytes = Uint8Array.from(Buffer.from(text));
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    if (this.isDone) return null;
    this.isDone = true;
    return this.#bytes;
  }

  release(): void {
    this.isReleased = true;
    this.#bytes.fill(0x78);
  }

  take(): Uint8Array<ArrayBuffer> | null {
    return this.lend()?.slice() ?? null;
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return Promise.resolve(this.take());
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  cancel(): void {}
}

/** A body of empty lines that comes to no end. */
class EmptyLines implements LendingSource {
  readonly isDone = false;
  bytes = 0;

  lend(): Uint8Array<ArrayBuffer> {
    this.bytes += 1024;
    if (this.bytes > 16 * 1024 * 1024) throw new Error("more is read than can be of use");
    return new Uint8Array(1024).fill(0x0a);
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.lend();
  }

  read(): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(this.lend());
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  release(): void {}
  cancel(): void {}
}

function contextOf(contentType: string): AssessmentContext {
  return {
    head: {
      upstream: UPSTREAM,
      status: 200,
      headers: new HeaderFields([["content-type", contentType]]),
      contentLength: null,
    },
    inbound: { method: "POST", kind: "chat", isStream: true },
    clock: systemClock,
    times: { gateMs: 1_000, firstTokenTimeoutMs: 1_000, idleTimeoutMs: 1_000 },
    isLast: false,
    bodyStartTimeoutMs: 1_000,
    mask: null,
    capture: (isEventStream) => createCapture({ kind: "chat", contentType, isEventStream, status: 200 }),
    budget: new HeldBudget(1_000_000),
    early: { hasSent: false, send: () => Promise.resolve() },
    holding: { mode: "content", keep: () => {}, degraded: () => {} },
    onContent: () => {},
  };
}

Deno.test("assess() waits for the first line of an unlabelled stream within a bound", async () => {
  for (const contentType of ["application/json", "text/plain"]) {
    const reply = await assess(new EmptyLines(), contextOf(contentType));
    assert.equal(reply.type, "open", contentType);
  }
});

for (
  const { name, stream, isReleased } of [
    { name: "an error", stream: `data: {"error":{"message":"overloaded"}}\n\n`, isReleased: true },
    {
      name: "content",
      stream: `data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n`,
      isReleased: false,
    },
  ]
) {
  Deno.test(`what assess() holds of a stream with ${name} stays as it came`, async () => {
    const body = new OverwrittenBody(stream);
    const reply = await assess(body, contextOf("text/event-stream"));
    assert.equal(body.isReleased, isReleased);
    assert.equal(reply.type === "open" && Buffer.concat(reply.held).toString(), stream);
  });
}

/** A body that comes in these pieces, each when it is waited for. */
class PiecedBody implements LendingSource {
  readonly #pieces: Uint8Array<ArrayBuffer>[];
  isCancelled = false;

  constructor(pieces: readonly string[]) {
    this.#pieces = pieces.map((piece) => Uint8Array.from(Buffer.from(piece)));
  }

  get isDone(): boolean {
    return this.#pieces.length === 0;
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    return null;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    return null;
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return Promise.resolve(this.#pieces.shift() ?? null);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  release(): void {}

  cancel(): void {
    this.isCancelled = true;
  }
}

Deno.test("assess() keeps all of a stream that is finished and says nothing", async () => {
  const events = [
    'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n',
    "data: [DONE]\n\n",
    ": what comes behind its end\n\n",
  ];
  for (const pieces of [events, [events.join("")]]) {
    const reply = await assess(new PiecedBody(pieces), contextOf("text/event-stream"));
    assert.ok(reply.type === "open" && reply.problem?.type === "bad_stream");
    assert.equal(reply.problem.isFinished, true);
    const { bytes } = await collect(new TimedReader(reply.body, systemClock), {
      limitMs: 1_000,
      limitBytes: 1_000,
    });
    assert.equal(Buffer.concat([...reply.held, bytes]).toString(), events.join(""));
    assert.equal(reply.capture.finish(true).isComplete, true);
  }
});

Deno.test("assess() marks a document that is finished and says nothing", async () => {
  for (const type of ["application/json", "text/event-stream", "text/plain"]) {
    for (const [finish, isFinished] of [['"length"', true], ["null", false]] as const) {
      const body = `{"choices":[{"message":{"content":""},"finish_reason":${finish}}]}`;
      const reply = await assess(new PiecedBody([body.slice(0, 9), body.slice(9)]), contextOf(type));
      assert.ok(reply.type === "whole" && reply.problem?.type === "bad_reply");
      assert.equal(reply.problem.isFinished, isFinished);
      assert.equal(Buffer.from(reply.bytes).toString(), body);
    }
  }
});

Deno.test("assess() tells of which error a document is", async () => {
  const body = '{"error":{"message":"no","code":"insufficient_quota","type":"billing"},"model":"m"}';
  const reply = await assess(new PiecedBody([body]), contextOf("application/json"));
  assert.ok(reply.problem?.type === "bad_reply");
  assert.deepEqual(reply.problem.error, { message: "no", code: "insufficient_quota", type: "billing" });
});
