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
  #postponed: Set<Upstream> | null = null;
  /** Of the upstream that was taken last. */
  #takenId: number | null = null;

  constructor(
    candidates: readonly Upstream[],
    { health, request, hasOwnCredential }: {
      readonly health: UpstreamHealth;
      readonly request: HealthRequest;
      /** The client brought a key of its own, which `asis` upstreams need. */
      readonly hasOwnCredential: boolean;
    },
  ) {
    this.#queue = [...candidates];
    this.#health = health;
    this.#request = request;
    this.#hasOwnCredential = hasOwnCredential;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  get usableCount(): number {
    return this.#queue.filter((upstream) => this.isUsable(upstream)).length;
  }

  /** No usable upstream is left but other keys of the one that was taken last. */
  get isUsedUp(): boolean {
    return !this.#queue.some((upstream) => upstream.id !== this.#takenId && this.isUsable(upstream));
  }

  /** Another key of the same upstream is left. */
  hasOtherKey({ id, keyN }: Upstream): boolean {
    return keyN !== null && this.#queue.some((other) => other.id === id);
  }

  /** The same, and it is not held back. */
  hasReadyKey({ id, keyN }: Upstream): boolean {
    return keyN !== null && this.#queue.some((other) => other.id === id && this.#isReady(other));
  }

  /** Its other keys would fail as well. */
  skipKeys({ id, keyN }: Upstream): void {
    if (keyN !== null) this.#queue = this.#queue.filter((other) => other.id !== id);
  }

  /** Takes the next upstream; one that another request is probing is tried after the others. */
  next(): Upstream | null {
    for (;;) {
      const upstream = this.#queue.shift();
      if (upstream === undefined) return null;
      if (
        this.#queue.length === 0 || this.#postponed?.has(upstream) ||
        !this.#health.isOnTrial(upstream, this.#request)
      ) {
        this.#takenId = upstream.id;
        return upstream;
      }
      this.#postponed ??= new Set();
      this.#postponed.add(upstream);
      this.#queue.push(upstream);
    }
  }

  /** Takes the next upstream that is well, and not the one that was taken last; null when there is none. */
  takeReady(): Upstream | null {
    const at = this.#queue.findIndex((upstream) =>
      upstream.id !== this.#takenId && this.isUsable(upstream) && this.#isReady(upstream)
    );
    const taken = at < 0 ? null : this.#queue.splice(at, 1)[0] ?? null;
    if (taken !== null) this.#takenId = taken.id;
    return taken;
  }

  #isReady(upstream: Upstream): boolean {
    return this.#health.standing(upstream, this.#request).availability === "ready";
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
