import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { createCapture } from "../../../src/capture/capture.ts";
import type { TimerId } from "../../../src/core/types.ts";
import { ReadPace } from "../../../src/proxy/read_pace.ts";
import { Relay } from "../../../src/proxy/relay.ts";
import type { LendingSource } from "../../../src/wire/byte_source.ts";
import { FakeClock } from "../notify/fake_clock.ts";

const SMALL = 200;

/** Moves when the test says so, and remembers how long the last timer is. */
class PaceClock {
  #nowMs = 0;
  delayMs = 0;

  monotonic(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  setTimer(_callback: () => void, delayMs: number): TimerId {
    this.delayMs = delayMs;
    return {};
  }
}

interface Turn {
  readonly pieces: number;
  readonly busyMs: number;
  readonly restMs: number;
}

/** Turns of the event loop, each with so many pieces that take so long, after so much rest. */
async function turns(
  pace: ReadPace,
  clock: Pick<PaceClock, "advance">,
  count: number,
  turn: Turn,
): Promise<void> {
  for (let at = 0; at < count; at++) {
    clock.advance(turn.restMs);
    pace.woken();
    clock.advance(turn.busyMs);
    for (let piece = 0; piece < turn.pieces; piece++) pace.relayed(SMALL);
    // The pace's own callback of this turn comes first.
    await setImmediate();
  }
}

/** As when there is always more to relay than one turn can. */
const OVERLOADED: Turn = { pieces: 128, busyMs: 7, restMs: 3 };

/** How long a stream pauses after a piece, in milliseconds; 0: it does not. */
function pauseMs(pace: ReadPace, clock: PaceClock): number {
  pace.woken();
  clock.delayMs = 0;
  assert.equal(pace.relayed(SMALL) === null, clock.delayMs === 0);
  return clock.delayMs;
}

const KEEPING_UP: [name: string, turn: Turn][] = [
  ["a few pieces a turn", { pieces: 5, busyMs: 0.3, restMs: 1 }],
  ["many pieces a turn without a rest", { pieces: 60, busyMs: 3, restMs: 0 }],
  ["hundreds of streams that speak at the same moment, and rest between", {
    pieces: 256,
    busyMs: 8,
    restMs: 40,
  }],
];

for (const [name, turn] of KEEPING_UP) {
  Deno.test(`ReadPace pauses nobody: ${name}`, async () => {
    const clock = new PaceClock();
    const pace = new ReadPace(clock);
    await turns(pace, clock, 100, turn);
    assert.equal(pauseMs(pace, clock), 0);
  });
}

Deno.test("ReadPace pauses streams ever longer while a thread does not keep up, up to about a second", async () => {
  const clock = new PaceClock();
  const pace = new ReadPace(clock);
  await turns(pace, clock, 15, OVERLOADED);
  const first = pauseMs(pace, clock);
  assert.ok(first > 0 && first <= 64, `${first} ms`);
  await turns(pace, clock, 400, OVERLOADED);
  const later = pauseMs(pace, clock);
  assert.ok(later > 500 && later <= 1_000, `${later} ms`);
});

Deno.test("ReadPace lets a large piece be followed at once", async () => {
  const clock = new PaceClock();
  const pace = new ReadPace(clock);
  await turns(pace, clock, 100, OVERLOADED);
  assert.ok(pauseMs(pace, clock) > 0);
  pace.woken();
  assert.equal(pace.relayed(64 * 1024), null);
});

Deno.test("ReadPace ends its pauses when the load goes, and after a rest", async () => {
  const clock = new PaceClock();
  const pace = new ReadPace(clock);
  await turns(pace, clock, 100, OVERLOADED);
  await turns(pace, clock, 2_000, { pieces: 5, busyMs: 0.3, restMs: 3 });
  assert.equal(pauseMs(pace, clock), 0);
  await turns(pace, clock, 100, OVERLOADED);
  clock.advance(60_000);
  assert.equal(pauseMs(pace, clock), 0);
});

/** A body whose pieces come when the test says so; what has come together is lent together. */
class FedBody implements LendingSource {
  isDone = false;
  #come = Buffer.alloc(0);
  #wake = Promise.withResolvers<void>();

  feed(text: string): void {
    this.#come = Buffer.concat([this.#come, Buffer.from(text)]);
    this.#wake.resolve();
  }

  end(): void {
    this.isDone = true;
    this.#wake.resolve();
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    if (this.#come.length === 0) return null;
    const bytes = Uint8Array.from(this.#come);
    this.#come = Buffer.alloc(0);
    return bytes;
  }

  async ready(): Promise<void> {
    if (this.#come.length > 0 || this.isDone) return;
    this.#wake = Promise.withResolvers<void>();
    await this.#wake.promise;
  }

  take = this.lend;
  read = (): Promise<null> => Promise.resolve(null);
  release(): void {}
  cancel(): void {}
}

Deno.test("Relay sends what came during a pause in one piece", async () => {
  const clock = new FakeClock();
  const pace = new ReadPace(clock);
  const body = new FedBody();
  const written: string[] = [];
  const client = {
    write: (bytes: Uint8Array) => {
      written.push(Buffer.from(bytes).toString());
      return Promise.resolve();
    },
    end: () => Promise.resolve(),
    cut: () => {},
  };
  const relay = new Relay(
    {
      held: [],
      isHeldCaptured: false,
      body,
      capture: createCapture({
        kind: "chat",
        contentType: "text/event-stream",
        isEventStream: true,
        status: 200,
      }),
      mask: null,
      errorEventMask: null,
      contentLength: null,
    },
    { onProgress: () => {}, onEnd: () => Promise.resolve() },
    {
      client,
      clock,
      pace,
      idleTimeoutMs: 100_000,
      clientTimeoutMs: 100_000,
    },
  );
  const done = relay.run();
  await turns(pace, clock, 25, OVERLOADED);
  for (const piece of ["one ", "two ", "three ", "four "]) {
    body.feed(piece);
    await setImmediate();
  }
  assert.deepEqual(written, ["one "]);
  clock.advance(1_000);
  await setImmediate();
  assert.deepEqual(written, ["one ", "two three four "]);
  body.end();
  clock.advance(1_000);
  await done;
});
