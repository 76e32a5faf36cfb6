/**
 * How much of what one upstream, or one of its keys, may be asked for is in use: requests at once, requests and tokens of
 * the last minute.
 *
 * Pure: time comes in. Waits for nothing: ../proxy/attempt/upstream_capacity.ts does.
 */
import { AdaptiveLimit } from "./adaptive_limit.ts";
import { SlidingWindow } from "./sliding_window.ts";
import { NO_LIMITS, type UpstreamLimits } from "./upstream_options.ts";

/** How an attempt that held a slot ended. */
export interface SlotEnd {
  readonly result: "served" | "refused" | "other";
  /** Of a stream; null: none, or not known. */
  readonly firstTokenMs: number | null;
  /** What it used; null: what was reserved is taken as used. */
  readonly tokens: number | null;
}

/** An attempt that goes on. */
export interface Slot {
  readonly atMs: number;
  readonly tokens: number;
  readonly epoch: number;
  /** It made as many at once as the limit allows, or more. */
  readonly isFull: boolean;
}

/** Of an upstream without limits, so that it costs nothing; what limits it gets meanwhile do not count it. */
const UNCOUNTED: Slot = { atMs: -Infinity, tokens: 0, epoch: -1, isFull: false };

export class Capacity {
  #limits: UpstreamLimits = NO_LIMITS;
  #inFlight = 0;
  #requests: SlidingWindow | null = null;
  #tokens: SlidingWindow | null = null;
  #adaptive: AdaptiveLimit | null = null;

  constructor(limits: UpstreamLimits) {
    this.limits = limits;
  }

  get limits(): UpstreamLimits {
    return this.#limits;
  }

  /** Takes effect at once; what is known of a limit that stays is kept. */
  set limits(limits: UpstreamLimits) {
    this.#limits = limits;
    this.#requests = limits.rpm === null ? null : this.#requests ?? new SlidingWindow();
    this.#tokens = limits.tpm === null ? null : this.#tokens ?? new SlidingWindow();
    this.#adaptive = limits.maxParallel === "auto" ? this.#adaptive ?? new AdaptiveLimit() : null;
  }

  get isLimited(): boolean {
    const { maxParallel, rpm, tpm } = this.#limits;
    return maxParallel !== null || rpm !== null || tpm !== null;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests at once; null: any number. */
  get parallelLimit(): number | null {
    const { maxParallel } = this.#limits;
    return maxParallel === "auto" ? this.#adaptive?.limit ?? null : maxParallel;
  }

  get isAdaptive(): boolean {
    return this.#adaptive !== null;
  }

  /** Whether a request's tokens count. */
  get countsTokens(): boolean {
    return this.#tokens !== null;
  }

  /** Milliseconds until a request fits; 0: now; Infinity: when another one has ended. @param nowMs monotonic */
  roomInMs(tokens: number, nowMs: number): number {
    const limit = this.parallelLimit;
    if (limit !== null && this.#inFlight >= limit) return Infinity;
    const { rpm, tpm } = this.#limits;
    const requestsMs = rpm === null ? 0 : this.#requests?.untilAtMost(Math.max(0, rpm - 1), nowMs) ?? 0;
    if (tpm === null || this.#tokens === null) return requestsMs;
    // A request that is larger than the whole limit has the window to itself.
    return Math.max(requestsMs, this.#tokens.untilAtMost(Math.max(0, tpm - tokens), nowMs));
  }

  /** Takes a slot, whether there is room or not. {@link end} must follow. */
  begin(tokens: number, nowMs: number): Slot {
    this.#inFlight++;
    if (!this.isLimited) return UNCOUNTED;
    this.#requests?.add(1, nowMs);
    this.#tokens?.add(tokens, nowMs);
    const limit = this.parallelLimit;
    const isFull = limit !== null && this.#inFlight >= limit;
    return { atMs: nowMs, tokens, epoch: this.#adaptive?.epoch ?? 0, isFull };
  }

  /** Gives a slot back; the caller sees to it that this happens once. */
  end(slot: Slot, { result, firstTokenMs, tokens }: SlotEnd, nowMs: number): void {
    this.#inFlight--;
    if (slot === UNCOUNTED) return;
    this.#adaptive?.add({ epoch: slot.epoch, result, firstTokenMs, isFull: slot.isFull });
    if (tokens !== null && tokens !== slot.tokens) {
      this.#tokens?.correct(tokens - slot.tokens, { atMs: slot.atMs, nowMs });
    }
  }
}
