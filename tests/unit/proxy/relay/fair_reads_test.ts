import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { createCapture } from "../../../../src/capture/create.ts";
import { FairReadScheduler } from "../../../../src/proxy/relay/fair_reads.ts";
import { Relay } from "../../../../src/proxy/relay/relay.ts";
import type { LendingSource } from "../../../../src/wire/byte_source.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

/** More in one turn than is relayed at once. */
const CROWD = 100;
/** Pieces that come so fast that turns are counted. */
const BUSY_PIECES = 128;

/** A pace whose turns end when the test says so. */
class PacedTurns {
  readonly clock = new FakeClock();
  readonly pace: FairReadScheduler;
  #onEnd: (() => void) | null = null;

  constructor() {
    this.pace = new FairReadScheduler(this.clock, (callback) => {
      assert.equal(this.#onEnd, null, "one turn ends after the other");
      this.#onEnd = callback;
    });
  }

  get isCounted(): boolean {
    return this.#onEnd !== null;
  }

  async end(): Promise<void> {
    const onEnd = this.#onEnd;
    this.#onEnd = null;
    onEnd?.();
    await setImmediate();
  }

  /** Makes the pace count turns, and ends those it has begun. */
  async makeBusy(): Promise<void> {
    for (let at = 0; at < BUSY_PIECES; at++) this.pace.relayed();
    await this.endAll();
  }

  async endAll(): Promise<void> {
    for (let turn = 0; this.isCounted; turn++) {
      assert.ok(turn < 1_000, "the line does not end");
      await this.end();
    }
  }
}

/** Streams that have a piece each in this turn; `read` holds those that may read again, in that order. */
class Crowd {
  readonly read: number[] = [];
  /** Those that do not stand in line. */
  atOnce = 0;
  readonly #turns: PacedTurns;

  constructor(turns: PacedTurns) {
    this.#turns = turns;
  }

  speak(streams: Iterable<number>): void {
    for (const stream of streams) {
      const turn = this.#turns.pace.relayed();
      if (turn === null) this.atOnce++;
      else void turn.then(() => this.read.push(stream));
    }
  }
}

/** More streams than a turn has room for, which have had a piece. */
async function makeCrowd(): Promise<{ turns: PacedTurns; crowd: Crowd }> {
  const turns = new PacedTurns();
  await turns.makeBusy();
  const crowd = new Crowd(turns);
  crowd.speak(range(0, CROWD));
  return { turns, crowd };
}

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => from + at);
}

Deno.test("FairReadScheduler counts no turns while few pieces come", () => {
  const turns = new PacedTurns();
  for (let at = 0; at < 1_000; at++) {
    turns.clock.advance(1);
    assert.equal(turns.pace.relayed(), null);
  }
  assert.equal(turns.isCounted, false);
});

Deno.test("FairReadScheduler lets everyone read at once whom a turn has room for", async () => {
  const turns = new PacedTurns();
  await turns.makeBusy();
  for (let turn = 0; turn < 20; turn++) {
    for (let at = 0; at < 30; at++) assert.equal(turns.pace.relayed(), null);
    await turns.end();
  }
});

Deno.test("FairReadScheduler lets streams read in the order in which they had a piece, so many a turn", async () => {
  const { turns, crowd } = await makeCrowd();
  const { atOnce } = crowd;
  assert.ok(atOnce > 0 && atOnce < CROWD, `${atOnce} at once`);
  await turns.end();
  assert.deepEqual(crowd.read, [], "the turn after a full one has enough to do");
  await turns.end();
  const called = crowd.read.length;
  assert.ok(called > 0 && called < CROWD - atOnce, `${called} called`);
  // They have a piece again, and stand behind those who still wait.
  crowd.speak(crowd.read.slice());
  await turns.endAll();
  assert.deepEqual(crowd.read, [...range(atOnce, CROWD - atOnce), ...range(atOnce, called)]);
  assert.equal(crowd.atOnce, atOnce);
});

Deno.test("FairReadScheduler calls fewer from the line while others have pieces unasked, and those stand in line, too", async () => {
  const { turns, crowd } = await makeCrowd();
  await turns.end();
  const { atOnce } = crowd;
  crowd.speak(range(1_000, 30));
  await turns.end();
  const called = crowd.read.length;
  assert.ok(called > 0 && called <= 20, `${called} called`);
  assert.equal(crowd.atOnce, atOnce);
  await turns.endAll();
  assert.deepEqual(crowd.read.slice(-30), range(1_000, 30));
});

Deno.test("FairReadScheduler lets fewer streams read while requests begin, and never none", async () => {
  /** Streams of the line that read in each of the next turns, with so many requests that begin in each. */
  const called = async (requests: number) => {
    const { turns, crowd } = await makeCrowd();
    await turns.end();
    const counts: number[] = [];
    while (crowd.read.length < CROWD - crowd.atOnce) {
      for (let at = 0; at < requests; at++) turns.pace.begun();
      const before = crowd.read.length;
      await turns.end();
      counts.push(crowd.read.length - before);
    }
    return Math.max(...counts);
  };
  const [none, one, two, many] = [await called(0), await called(1), await called(2), await called(1_000)];
  assert.ok(none > one && one > two && two > many && many > 0, `${none}, ${one}, ${two}, ${many}`);
});

Deno.test("FairReadScheduler reads as before once no requests begin any more", async () => {
  const { turns, crowd } = await makeCrowd();
  for (let at = 0; at < 1_000; at++) turns.pace.begun();
  await turns.endAll();
  for (let turn = 0; turn < 20; turn++) {
    turns.pace.relayed();
    await turns.endAll();
  }
  await turns.makeBusy();
  for (let at = 0; at < 30; at++) assert.equal(turns.pace.relayed(), null);
  assert.equal(crowd.read.length + crowd.atOnce, CROWD);
});

Deno.test("FairReadScheduler has no line any more when the crowd has gone", async () => {
  const { turns, crowd } = await makeCrowd();
  await turns.endAll();
  assert.equal(crowd.read.length + crowd.atOnce, CROWD);
  assert.equal(turns.pace.relayed(), null);
});

Deno.test("FairReadScheduler ends its turns by itself", async () => {
  const pace = new FairReadScheduler(new FakeClock());
  for (let at = 0; at < BUSY_PIECES; at++) pace.relayed();
  const turns = range(0, CROWD).map(() => pace.relayed()).filter((turn) => turn !== null);
  assert.ok(turns.length > 0);
  await Promise.all(turns);
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

Deno.test("Relay sends what came while it stood in line in one piece", async () => {
  const turns = new PacedTurns();
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
      clock: turns.clock,
      pace: turns.pace,
      idleTimeoutMs: 100_000,
      clientTimeoutMs: 100_000,
    },
  );
  const done = relay.run();
  await turns.makeBusy();
  new Crowd(turns).speak(range(0, CROWD));
  for (const piece of ["one ", "two ", "three ", "four "]) {
    body.feed(piece);
    await setImmediate();
  }
  assert.deepEqual(written, ["one "]);
  await turns.endAll();
  assert.deepEqual(written, ["one ", "two three four "]);
  body.end();
  await done;
});
