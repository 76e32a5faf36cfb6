import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCapture } from "../../../../src/capture/create.ts";
import { systemClock } from "../../../../src/server/clock.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { assess } from "../../../../src/proxy/assess/assess.ts";
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
    const contentType = "text/event-stream";
    const headers = new HeaderFields([["content-type", contentType]]);
    const reply = await assess(body, {
      head: { upstream: UPSTREAM, status: 200, headers, contentLength: null },
      inbound: { method: "POST", kind: "chat", isStream: true },
      clock: systemClock,
      times: { gateMs: 1_000, firstTokenTimeoutMs: 1_000, idleTimeoutMs: 1_000 },
      mask: null,
      capture: (isEventStream) => createCapture({ kind: "chat", contentType, isEventStream, status: 200 }),
      budget: new HeldBudget(1_000_000),
      early: { send: () => Promise.resolve() },
    });
    assert.equal(body.isReleased, isReleased);
    assert.equal(reply.type === "open" && Buffer.concat(reply.held).toString(), stream);
  });
}
