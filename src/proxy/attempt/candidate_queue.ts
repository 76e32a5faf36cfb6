/**
 * The upstreams that one request may still try, in order.
 */
import { ASIS, type Upstream } from "../../core/types.ts";
import type { UpstreamHealth } from "./upstream_health.ts";

export class CandidateQueue {
  readonly #queue: Upstream[];
  readonly #health: UpstreamHealth;
  readonly #hasOwnCredential: boolean;
  #postponed: Set<number> | null = null;

  constructor(
    candidates: readonly Upstream[],
    { health, hasOwnCredential }: {
      readonly health: UpstreamHealth;
      /** The client brought a key of its own, which `asis` upstreams need. */
      readonly hasOwnCredential: boolean;
    },
  ) {
    this.#queue = [...candidates];
    this.#health = health;
    this.#hasOwnCredential = hasOwnCredential;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** No usable upstream is left. */
  get isUsedUp(): boolean {
    return !this.#queue.some((upstream) => this.isUsable(upstream));
  }

  /** Every usable upstream that is left is cooling down. */
  get isCooling(): boolean {
    return this.#queue.every((upstream) =>
      !this.isUsable(upstream) || this.#health.standing(upstream.id).availability === "cooling"
    );
  }

  /** Takes the next upstream; one that another request is probing is tried after the others. */
  next(): Upstream | null {
    for (;;) {
      const upstream = this.#queue.shift();
      if (upstream === undefined) return null;
      const isProbed = this.#health.state(upstream.id).type === "half_open";
      if (!isProbed || this.#queue.length === 0 || this.#postponed?.has(upstream.id)) return upstream;
      this.#postponed ??= new Set();
      this.#postponed.add(upstream.id);
      this.#queue.push(upstream);
    }
  }

  isUsable(upstream: Upstream): boolean {
    return upstream.sk !== ASIS || this.#hasOwnCredential;
  }
}
