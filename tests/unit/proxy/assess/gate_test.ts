import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCapture } from "../../../../src/capture/create.ts";
import { systemClock } from "../../../../src/server/clock.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { assess } from "../../../../src/proxy/assess/assess.ts";
import type { AssessmentContext } from "../../../../src/proxy/assess/assessment.ts";
import { HeldBudget } from "../../../../src/proxy/assess/held_budget.ts";
import type { LendingSource } from "../../../../src/wire/byte_source.ts";
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
