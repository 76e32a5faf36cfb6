/**
 * The upstreams that one request may still try, in order.
 */
import { ASIS, type Upstream } from "../../core/types.ts";
import type { UpstreamHealth } from "./upstream_health.ts";

export class CandidateQueue {
  #queue: Upstream[];
  readonly #health: UpstreamHealth;
  readonly #hasOwnCredential: boolean;
  readonly #model: string | null;
  #postponed: Set<number> | null = null;

  constructor(
    candidates: readonly Upstream[],
    { health, model, hasOwnCredential }: {
      readonly health: UpstreamHealth;
      /** As requested. */
      readonly model: string | null;
      /** The client brought a key of its own, which `asis` upstreams need. */
      readonly hasOwnCredential: boolean;
    },
  ) {
    this.#queue = [...candidates];
    this.#health = health;
    this.#model = model;
    this.#hasOwnCredential = hasOwnCredential;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  get usableCount(): number {
    return this.#queue.filter((upstream) => this.isUsable(upstream)).length;
  }

  /** No usable upstream is left. */
  get isUsedUp(): boolean {
    return !this.#queue.some((upstream) => this.isUsable(upstream));
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

  /** Takes the next upstream that is well; null when there is none. */
  takeReady(): Upstream | null {
    const at = this.#queue.findIndex((upstream) =>
      this.isUsable(upstream) && this.#health.standing(upstream.id).availability === "ready"
    );
    return at < 0 ? null : this.#queue.splice(at, 1)[0] ?? null;
  }

  /** Leaves out those that would send the request to the same model at the same endpoint. */
  skipLike({ endpoint, modelMap }: Upstream): void {
    const model = this.#modelAt(modelMap);
    this.#queue = this.#queue.filter((other) =>
      other.endpoint !== endpoint || this.#modelAt(other.modelMap) !== model
    );
  }

  #modelAt(modelMap: Upstream["modelMap"]): string | null {
    return this.#model === null ? null : modelMap[this.#model] ?? this.#model;
  }

  isUsable(upstream: Upstream): boolean {
    return upstream.sk !== ASIS || this.#hasOwnCredential;
  }
}
