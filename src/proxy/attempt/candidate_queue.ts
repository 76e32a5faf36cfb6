/**
 * The upstreams that one request may still try, in order.
 */
import { modelAt } from "../../core/model_alias.ts";
import { ASIS, type Upstream } from "../../core/types.ts";
import type { HealthRequest } from "./request_subject.ts";
import type { UpstreamHealth } from "./upstream_health.ts";

export class CandidateQueue {
  #queue: Upstream[];
  readonly #health: UpstreamHealth;
  readonly #request: HealthRequest;
  readonly #hasOwnCredential: boolean;
  readonly #ownerId: number | null;
  #postponed: Set<number> | null = null;

  constructor(
    candidates: readonly Upstream[],
    { health, request, hasOwnCredential, ownerId = null }: {
      readonly health: UpstreamHealth;
      readonly request: HealthRequest;
      /** The client brought a key of its own, which `asis` upstreams need. */
      readonly hasOwnCredential: boolean;
      /** Only this one knows what the request names: it is asked first, whoever else is probing it. */
      readonly ownerId?: number | null;
    },
  ) {
    this.#queue = [...candidates];
    this.#health = health;
    this.#request = request;
    this.#hasOwnCredential = hasOwnCredential;
    this.#ownerId = ownerId;
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
      if (this.#queue.length === 0 || this.#postponed?.has(upstream.id)) return upstream;
      if (upstream.id === this.#ownerId) return upstream;
      if (!this.#health.isOnTrial(upstream, this.#request)) return upstream;
      this.#postponed ??= new Set();
      this.#postponed.add(upstream.id);
      this.#queue.push(upstream);
    }
  }

  /** Takes the next upstream that is well; null when there is none. */
  takeReady(): Upstream | null {
    const at = this.#queue.findIndex((upstream) =>
      this.isUsable(upstream) && this.#health.standing(upstream, this.#request).availability === "ready"
    );
    return at < 0 ? null : this.#queue.splice(at, 1)[0] ?? null;
  }

  /** Leaves out those that would send the request to the same model at the same endpoint. */
  skipLike(upstream: Upstream): void {
    this.#queue = this.#queue.filter((other) =>
      other.endpoint !== upstream.endpoint || !this.haveSameModel(other, upstream)
    );
  }

  /** Whether two upstreams are asked for a model of the same name; true when the request names none. */
  haveSameModel(one: Upstream, other: Upstream): boolean {
    return this.#modelAt(one) === this.#modelAt(other);
  }

  #modelAt(upstream: Upstream): string | null {
    const { model } = this.#request;
    return model === null ? null : modelAt(upstream, model);
  }

  isUsable(upstream: Upstream): boolean {
    return upstream.sk !== ASIS || this.#hasOwnCredential;
  }
}
