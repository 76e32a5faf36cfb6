/**
 * The breakers and latencies of all upstreams, in memory.
 *
 * Owns no rules: those are in core/breaker.ts and core/blame.ts.
 */
import { type HealthReport, Witnesses } from "../../core/blame.ts";
import {
  availability,
  type BreakerEvent,
  type BreakerState,
  CLOSED,
  isUnmoved,
  transition,
} from "../../core/breaker.ts";
import type { UpstreamStanding } from "../../core/policy.ts";
import type { Clock } from "../../core/clock.ts";
import type { Upstream } from "../../core/types.ts";

/** Weight of the newest sample in the smoothed latency. */
const LATENCY_WEIGHT = 0.2; // docs/tuning.md#relay-and-settlement

/** Called when an upstream's state changes, or the time until which it is open. */
export type HealthListener = (
  upstream: Pick<Upstream, "id" | "name">,
  change: { readonly from: BreakerState["type"]; readonly to: BreakerState["type"]; readonly reason: string },
) => void;

export class UpstreamHealth {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #onChange: HealthListener;
  readonly #states = new Map<number, BreakerState>();
  readonly #latencies = new Map<number, number>();
  readonly #known = new Map<
    number,
    { readonly sk: string; readonly endpoint: string; readonly witnesses: Witnesses }
  >();

  constructor(clock: Pick<Clock, "monotonic">, onChange: HealthListener) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  state(upstreamId: number): BreakerState {
    return this.#states.get(upstreamId) ?? CLOSED;
  }

  standing(upstreamId: number): UpstreamStanding {
    const state = this.state(upstreamId);
    return {
      availability: state.type === "closed" ? "ready" : availability(state, this.#clock.monotonic()),
      latencyMs: this.#latencies.get(upstreamId) ?? null,
    };
  }

  /** Applies an event; `reason` goes to the listener when the state changes. */
  apply(upstream: Pick<Upstream, "id" | "name">, event: BreakerEvent, reason: string): void {
    const before = this.state(upstream.id);
    if (isUnmoved(before, event)) return;
    const after = transition(before, event, this.#clock.monotonic());
    if (after === before) return;
    this.#states.set(upstream.id, after);
    // An open upstream may ask to be left alone for longer.
    if (after.type !== before.type || after.type === "open") {
      this.#onChange(upstream, { from: before.type, to: after.type, reason });
    }
  }

  /** Reports how a request ended; its effect depends on what other clients experienced. */
  report(
    upstream: Pick<Upstream, "id" | "name" | "sk" | "endpoint">,
    report: HealthReport,
    reason: string,
  ): void {
    this.apply(upstream, this.#witnesses(upstream).weigh(report, this.#clock.monotonic()), reason);
  }

  /** Starts anew when key or endpoint changed: earlier observations do not apply. */
  #witnesses({ id, sk, endpoint }: Pick<Upstream, "id" | "sk" | "endpoint">): Witnesses {
    let known = this.#known.get(id);
    if (known === undefined || known.sk !== sk || known.endpoint !== endpoint) {
      known = { sk, endpoint, witnesses: new Witnesses() };
      this.#known.set(id, known);
    }
    return known.witnesses;
  }

  noteLatency(upstreamId: number, latencyMs: number): void {
    const before = this.#latencies.get(upstreamId);
    const smoothed = before === undefined ? latencyMs : before + LATENCY_WEIGHT * (latencyMs - before);
    this.#latencies.set(upstreamId, smoothed);
  }

  /** Forgets upstreams that are no longer configured. */
  retain(upstreamIds: ReadonlySet<number>): void {
    for (const id of this.#states.keys()) if (!upstreamIds.has(id)) this.#states.delete(id);
    for (const id of this.#known.keys()) if (!upstreamIds.has(id)) this.#known.delete(id);
    for (const id of this.#latencies.keys()) if (!upstreamIds.has(id)) this.#latencies.delete(id);
  }
}
