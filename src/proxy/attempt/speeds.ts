/**
 * How fast upstreams have answered lately, by model: the time to the first token, and the tokens after it.
 *
 * Owns what is remembered; the order is in core/fastest.ts.
 */
import type { Clock } from "../../core/clock.ts";
import { expectedMs, type SpeedView } from "../../core/fastest.ts";
import type { SpeedSource } from "../../core/policy.ts";
import { isHedgedKind } from "../../core/hedging.ts";
import type { CapturedReply, Inbound, Upstream } from "../../core/types.ts";

/** Weight of the newest answer. */
const WEIGHT = 0.2; // docs/tuning.md#relay-and-settlement
/** After this long without an answer, one request finds out again. */
const STALE_MS = 10 * 60_000; // docs/tuning.md#relay-and-settlement
/** Between two requests that find out, while neither has been answered. */
const EXPLORE_MS = 30_000; // docs/tuning.md#relay-and-settlement
/** Groups of upstream and model; clients choose the models. */
const MAX_GROUPS = 1_024; // docs/tuning.md#budgets-and-remembered-values

/** Of a reply whose upstream counts no tokens. */
const LETTERS_A_TOKEN = 4;

/** The first token of a document comes with its last. */
type TimedRequest = Pick<Inbound, "model" | "isStream">;

interface Speed {
  firstTokenMs: number;
  /** null: no answer was long enough to tell. */
  tokensPerMs: number | null;
  /** Of the latest answer; null: there was none. */
  answeredMs: number | null;
  exploredMs: number | null;
}

/** One answer. */
export interface SpeedSample {
  readonly firstTokenMs: number;
  /** From the first token to the last. */
  readonly restMs: number;
  readonly outputTokens: number;
}

export class Speeds {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #groups = new Map<string, Speed>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** What one request sees. */
  of(request: TimedRequest): SpeedSource {
    return {
      view: (upstream) => this.view(upstream, request),
      explored: (upstream) => this.explored(upstream, request),
    };
  }

  view({ id }: Pick<Upstream, "id">, request: TimedRequest): SpeedView {
    const speed = this.#groups.get(groupOf(id, request));
    if (speed === undefined) return { expectedMs: null, isDue: true };
    const nowMs = this.#clock.monotonic();
    const isStale = speed.answeredMs === null || nowMs - speed.answeredMs >= STALE_MS;
    const isExplored = speed.exploredMs !== null && nowMs - speed.exploredMs < EXPLORE_MS;
    return {
      expectedMs: speed.answeredMs === null ? null : expectedMs(speed.firstTokenMs, speed.tokensPerMs),
      isDue: isStale && !isExplored,
    };
  }

  /** A request goes there to find out. */
  explored({ id }: Pick<Upstream, "id">, request: TimedRequest): void {
    this.#groupOf(id, request).exploredMs = this.#clock.monotonic();
  }

  /** A reply that is complete. @param totalMs from the request to its end */
  noteReply(
    upstream: Pick<Upstream, "id">,
    inbound: Inbound,
    { captured, firstTokenMs, totalMs }: {
      readonly captured: CapturedReply;
      readonly firstTokenMs: number;
      readonly totalMs: number;
    },
  ): void {
    if (!isHedgedKind(inbound)) return;
    const { usage, text, reasoning } = captured;
    // A document has no first token of its own.
    const sinceMs = inbound.isStream ? firstTokenMs : 0;
    this.note(upstream, inbound, {
      firstTokenMs: sinceMs,
      restMs: totalMs - sinceMs,
      outputTokens: usage?.outputTokens ?? Math.ceil((text.length + reasoning.length) / LETTERS_A_TOKEN),
    });
  }

  note({ id }: Pick<Upstream, "id">, request: TimedRequest, sample: SpeedSample): void {
    const speed = this.#groupOf(id, request);
    const { firstTokenMs, restMs, outputTokens } = sample;
    const isFirst = speed.answeredMs === null;
    speed.answeredMs = this.#clock.monotonic();
    speed.firstTokenMs = isFirst ? firstTokenMs : smoothed(speed.firstTokenMs, firstTokenMs);
    if (outputTokens < 2 || restMs <= 0) return;
    const rate = outputTokens / restMs;
    speed.tokensPerMs = speed.tokensPerMs === null ? rate : smoothed(speed.tokensPerMs, rate);
  }

  #groupOf(id: number, request: TimedRequest): Speed {
    const key = groupOf(id, request);
    let speed = this.#groups.get(key);
    if (speed === undefined) {
      if (this.#groups.size >= MAX_GROUPS) this.#forgetOldest();
      speed = { firstTokenMs: 0, tokensPerMs: null, answeredMs: null, exploredMs: null };
      this.#groups.set(key, speed);
    }
    return speed;
  }

  #forgetOldest(): void {
    for (const key of this.#groups.keys()) {
      this.#groups.delete(key);
      return;
    }
  }
}

function smoothed(before: number, now: number): number {
  return before + WEIGHT * (now - before);
}

function groupOf(id: number, { model, isStream }: TimedRequest): string {
  return `${id} ${isStream ? "stream" : ""} ${model ?? ""}`;
}
