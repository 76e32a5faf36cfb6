/**
 * How the latest attempts at each upstream ended, and which upstreams have answered at all.
 *
 * Owns which attempts count; the window and its limits are in core/failure_window.ts. Chooses nothing: an upstream that is
 * degraded is used as before.
 */
import type { Clock } from "../../core/clock.ts";
import { type FailureCount, FailureWindow } from "../../core/failure_window.ts";
import { isAnswered, isBlamed } from "../../core/outcome.ts";
import type { RequestRecord, Upstream } from "../../core/types.ts";
import { isSameTarget } from "../../core/upstream_target.ts";

export interface RateView extends FailureCount {
  /** Too many of them failed. */
  readonly isDegraded: boolean;
  /** It has answered a request or a test. */
  readonly isTested: boolean;
}

export interface RateListener {
  /** It has become degraded, or is no longer. */
  onChange(upstream: Upstream, view: RateView): void;
  /** It has answered for the first time. */
  onTested(upstream: Upstream): void;
}

const UNKNOWN: RateView = { attempts: 0, failed: 0, isDegraded: false, isTested: false };

class KnownUpstream implements RateView {
  readonly window = new FailureWindow();
  isTested = false;

  constructor(public upstream: Upstream) {}

  get attempts(): number {
    return this.window.attempts;
  }

  get failed(): number {
    return this.window.failed;
  }

  get isDegraded(): boolean {
    return this.window.isDegraded;
  }
}

export class AttemptRates {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #listener: RateListener;
  readonly #known = new Map<number, KnownUpstream>();

  constructor(clock: Pick<Clock, "monotonic">, listener: RateListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Call once for each request that ended. */
  settled(record: RequestRecord): void {
    for (const attempt of record.attempts) {
      if (isBlamed(attempt, record)) this.#add(attempt.upstreamId, true);
    }
    if (record.upstreamId !== null && isAnswered(record.outcome, record.status)) {
      this.#add(record.upstreamId, false);
    }
  }

  /** It has answered a test. */
  tested(upstreamId: number): void {
    const known = this.#known.get(upstreamId);
    if (known === undefined || known.isTested) return;
    known.isTested = true;
    this.#listener.onTested(known.upstream);
  }

  view(upstreamId: number): RateView {
    return this.#known.get(upstreamId) ?? UNKNOWN;
  }

  /**
   * The upstreams as configured now; what is known of others, or of another key or endpoint, is forgotten.
   *
   * @param isTested whether it has answered before, as the database says
   */
  configured(upstreams: readonly Upstream[], isTested: (upstream: Upstream) => boolean): void {
    const before = new Map(this.#known);
    this.#known.clear();
    for (const upstream of upstreams) {
      const old = before.get(upstream.id);
      const known = old !== undefined && isSameTarget(old.upstream, upstream)
        ? old
        : new KnownUpstream(upstream);
      // What is noted of several keys is noted of the first one.
      const isOtherFirst = known.upstream.keys[0] !== upstream.keys[0];
      known.upstream = upstream;
      if (isOtherFirst && known.isTested) this.#listener.onTested(upstream);
      known.isTested ||= isTested(upstream);
      this.#known.set(upstream.id, known);
    }
  }

  /** Forgets what is too old; to be called now and then. */
  sweep(): void {
    const nowMs = this.#clock.monotonic();
    for (const known of this.#known.values()) {
      if (known.window.sweep(nowMs)) this.#listener.onChange(known.upstream, known);
    }
  }

  #add(upstreamId: number, isFailed: boolean): void {
    const known = this.#known.get(upstreamId);
    if (known === undefined) return;
    if (!isFailed) this.tested(upstreamId);
    if (known.window.add(isFailed, this.#clock.monotonic())) this.#listener.onChange(known.upstream, known);
  }
}
