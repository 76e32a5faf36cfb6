import assert from "node:assert/strict";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { sendResponse, webRequest } from "../../../src/http/hono_bridge.ts";
import type { InboundExchange } from "../../../src/wire/exchange.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A request whose body comes a byte at a time, this long after the last one. */
function dripping(clock: FakeClock, everyMs: number): InboundExchange {
  const exchange: Pick<InboundExchange, "method" | "target" | "headers" | "body"> = {
    method: "POST",
    target: "/admin/login",
    headers: new HeaderFields([["host", "localhost"]]),
    body: {
      declaredBytes: 1_000,
      isDone: false,
      take: () => null,
      read: () => new Promise((resolve) => clock.setTimer(() => resolve(Uint8Array.of(0x61)), everyMs)),
      cancel: () => {},
    },
  };
  return exchange as InboundExchange;
}

Deno.test("a body that drips ends when all of its time is over, and one that stops when it was silent too long", async () => {
  for (
    const [everyMs, idleMs, totalMs, expectedMs] of [
      [1_000, 5_000, 30_000, 30_000],
      [20_000, 5_000, 30_000, 5_000],
      [20_000, 300_000, 30_000, 30_000],
      [6_000, 5_000, null, 5_000],
    ] as const
  ) {
    const clock = new FakeClock();
    const request = webRequest(dripping(clock, everyMs), { clock, idleMs, totalMs });
    let status = 0;
    const read = request.text().catch((error) => {
      status = error.status;
    });
    let passedMs = 0;
    while (status === 0 && passedMs < 60_000) {
      // What was read is handed on in turns of its own.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (status !== 0) break;
      clock.advance(500);
      passedMs += 500;
    }
    await read;
    assert.deepEqual([status, passedMs], [408, expectedMs], `every ${everyMs} ms`);
  }
});

Deno.test("the body of an answer that nobody waits for any more is cancelled", async () => {
  for (const state of [{ isGone: true, isAnswered: false }, { isGone: false, isAnswered: true }]) {
    let cancelled = 0;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      cancel: () => {
        cancelled++;
      },
    }, { highWaterMark: 0 });
    const exchange: Pick<InboundExchange, "isGone" | "isAnswered"> = state;
    await sendResponse(exchange as InboundExchange, new Response(body));
    assert.equal(cancelled, 1);
  }
});
