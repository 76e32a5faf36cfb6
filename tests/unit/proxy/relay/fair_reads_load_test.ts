/**
 * A simulated event loop under load: what the line does to the delay of events.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { FairReadScheduler } from "../../../../src/proxy/relay/fair_reads.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

/** What the runtime does in one turn at most: 128 operations, of which a piece takes two. */
const MAX_TURN_PIECES = 64;
const PERIOD_MS = 40;
/** What relaying one piece takes. */
const PIECE_MS = 0.025;
const TURN_MS = 0.03;

interface Stream {
  /** When its events come, those that were relayed removed. */
  nextDueMs: number;
  isReading: boolean;
  relayed: number;
  /** How many turns ended while an event of it had come and it was not allowed to read. */
  turnsInLine: number;
  maxTurnsInLine: number;
  maxDelayMs: number;
}

/** Resumes those that are ready in reverse order, as tokio does: the newest first. */
async function simulate(streams: number, forMs: number): Promise<Stream[]> {
  const clock = new FakeClock();
  let afterTurn: (() => void) | null = null;
  const pace = new FairReadScheduler(clock, (callback) => {
    assert.equal(afterTurn, null);
    afterTurn = callback;
  });
  const all: Stream[] = Array.from({ length: streams }, (_, at) => ({
    nextDueMs: at * PERIOD_MS / streams,
    isReading: true,
    relayed: 0,
    turnsInLine: 0,
    maxTurnsInLine: 0,
    maxDelayMs: 0,
  }));
  const isReady = (stream: Stream) => stream.isReading && stream.nextDueMs <= clock.monotonic();
  while (clock.monotonic() < forMs) {
    const ready = all.filter(isReady).sort((a, b) => b.nextDueMs - a.nextDueMs).slice(0, MAX_TURN_PIECES);
    for (const stream of ready) relay(stream, { clock, pace });
    clock.advance(TURN_MS);
    const callback: (() => void) | null = afterTurn;
    afterTurn = null;
    for (const stream of all) noteTurn(stream, clock.monotonic());
    if (callback !== null) {
      // A function, which the compiler does not see.
      (callback as () => void)();
      await setImmediate();
    }
  }
  return all;
}

function relay(stream: Stream, { clock, pace }: { clock: FakeClock; pace: FairReadScheduler }): void {
  stream.maxDelayMs = Math.max(stream.maxDelayMs, clock.monotonic() - stream.nextDueMs);
  while (stream.nextDueMs <= clock.monotonic()) stream.nextDueMs += PERIOD_MS;
  stream.relayed++;
  clock.advance(PIECE_MS);
  const turn = pace.relayed();
  if (turn === null) return;
  stream.isReading = false;
  void turn.then(() => {
    stream.isReading = true;
    stream.turnsInLine = 0;
  });
}

function noteTurn(stream: Stream, nowMs: number): void {
  if (stream.isReading || stream.nextDueMs > nowMs) return;
  stream.maxTurnsInLine = Math.max(stream.maxTurnsInLine, ++stream.turnsInLine);
}

Deno.test("FairReadScheduler lets no event wait for more than a turn while one thread can carry the load", async () => {
  // 85 % of 1 / PIECE_MS a millisecond.
  const streams = await simulate(Math.floor(PERIOD_MS / PIECE_MS * 0.85), 400);
  const maxTurns = Math.max(...streams.map(({ maxTurnsInLine }) => maxTurnsInLine));
  assert.ok(maxTurns <= 1, `${maxTurns} turns`);
});

Deno.test("FairReadScheduler serves all streams alike while there is more than one thread can carry", async () => {
  const streams = await simulate(Math.floor(PERIOD_MS / PIECE_MS * 2), 1_000);
  const relayed = streams.map((stream) => stream.relayed);
  const [least, most] = [Math.min(...relayed), Math.max(...relayed)];
  assert.ok(least >= most / 2, `${least} and ${most} pieces`);
  const delayMs = Math.max(...streams.map(({ maxDelayMs }) => maxDelayMs));
  // A round of the line takes twice the period.
  assert.ok(delayMs < 4 * PERIOD_MS, `${delayMs} ms`);
});
