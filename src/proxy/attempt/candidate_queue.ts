/**
 * The upstreams that one request may still try, in order.
 */
import { isOwner } from "../../core/affinity_order.ts";
import { modelAt } from "../../core/model_alias.ts";
import type { ModelStandings } from "../../core/model_order.ts";
import { ASIS, type IdOwner, type Upstream } from "../../core/types.ts";
import type { RequestDemand } from "./request_demand.ts";
import type { HealthRequest } from "./request_subject.ts";
import type { UpstreamHealth } from "./upstream_health.ts";
import type { Waiting } from "./waiting.ts";

const NOBODY: readonly Upstream[] = [];

export class CandidateQueue {
  #queue: Upstream[];
  readonly #health: UpstreamHealth;
  readonly #request: HealthRequest;
  readonly #hasOwnCredential: boolean;
  readonly #waiting: Waiting;
  readonly #demand: RequestDemand;
  readonly #models: ModelStandings | null;
  readonly #owner: IdOwner | null;
  #postponed: Set<Upstream> | null = null;
  /** Of the upstream that was taken last. */
  #takenId: number | null = null;
  #full: readonly Upstream[] = NOBODY;
  /** The request has waited for as long as it may: whoever has room is asked now. */
  isWaitOver = false;

  constructor(
    candidates: readonly Upstream[],
    { health, request, hasOwnCredential, waiting, demand, models = null, owner = null }: {
      readonly health: UpstreamHealth;
      readonly request: HealthRequest;
      /** The client brought a key of its own, which `asis` upstreams need. */
      readonly hasOwnCredential: boolean;
      readonly waiting: Waiting;
      readonly demand: RequestDemand;
      /** null: nothing is known that distinguishes them. */
      readonly models?: ModelStandings | null;
      /** Only this one knows what the request names: it is asked first, whoever else is probing it. */
      readonly owner?: IdOwner | null;
    },
  ) {
    this.#queue = [...candidates];
    this.#health = health;
    this.#request = request;
    this.#hasOwnCredential = hasOwnCredential;
    this.#waiting = waiting;
    this.#demand = demand;
    this.#models = models;
    this.#owner = owner;
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

  /**
   * Takes the next upstream that has room; one that another request is probing is tried after the others. null: none is
   * left, or the request should wait for one of {@link full}. Those that are cooling, or lack the model, are not asked
   * while another one is only full.
   */
  next(): Upstream | null {
    this.#full = NOBODY;
    if (this.#owner !== null && this.#isOwnerFull(this.#owner)) return null;
    let full: Upstream[] | null = null;
    let isWellFull = false;
    for (let at = 0; at < this.#queue.length;) {
      const upstream = this.#queue[at];
      if (upstream === undefined) break;
      const hasRoom = this.#hasRoom(upstream);
      if (!hasRoom) {
        (full ??= []).push(upstream);
        isWellFull ||= !this.#isLast(upstream);
      }
      if (!hasRoom || (isWellFull && !this.isWaitOver && this.#isLast(upstream))) {
        at++;
        continue;
      }
      this.#queue.splice(at, 1);
      if (!this.#isToBePostponed(upstream)) {
        this.#takenId = upstream.id;
        return upstream;
      }
      this.#queue.push(upstream);
    }
    if (full !== null) this.#full = isWellFull ? full.filter((each) => !this.#isLast(each)) : full;
    return null;
  }

  /** Those that {@link next} passed over because they were full, and that are worth waiting for. */
  get full(): readonly Upstream[] {
    return this.#full;
  }

  /** Whether one of {@link full} is still wanted when it has room. */
  acceptance(): (upstream: Upstream) => boolean {
    const isAnyWell = this.#full.some((upstream) => !this.#isLast(upstream));
    return (upstream) => !isAnyWell || !this.#isLast(upstream);
  }

  /** It is being asked. */
  remove(upstream: Upstream): void {
    this.#takenId = upstream.id;
    const at = this.#queue.indexOf(upstream);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** It was asked, and will be once more, before the others. */
  putBack(upstream: Upstream): void {
    this.#queue.unshift(upstream);
  }

  /** Leaves out those that were removed or disabled while the request waited for them. */
  dropGone(): void {
    this.#queue = this.#queue.filter((upstream) => !this.#waiting.isGone(upstream));
  }

  /** Nobody else knows what the request names: it waits, although others have room. */
  #isOwnerFull(owner: IdOwner): boolean {
    if (this.isWaitOver) return false;
    const keys = this.#queue.filter(({ id }) => id === owner.upstreamId);
    // Its other keys may be of other accounts.
    const own = keys.filter((key) => isOwner(key, owner));
    const owners = own.length > 0 ? own : keys;
    if (owners.length === 0 || owners.some((owner) => this.#hasRoom(owner))) return false;
    this.#full = owners;
    return true;
  }

  #isToBePostponed(upstream: Upstream): boolean {
    if (upstream.id === this.#owner?.upstreamId) return false;
    if (this.#queue.length === 0 || this.#postponed?.has(upstream)) return false;
    if (!this.#health.isOnTrial(upstream, this.#request)) return false;
    (this.#postponed ??= new Set()).add(upstream);
    return true;
  }

  /** It is worth asking only when the others were of no use. */
  #isLast(upstream: Upstream): boolean {
    return this.#models?.get(upstream.id) === "lacks" ||
      this.#health.standing(upstream, this.#request).availability === "cooling";
  }

  /** To one that cannot be used, nothing is sent. */
  #hasRoom(upstream: Upstream): boolean {
    return this.#waiting.hasRoom(upstream, this.#demand) || !this.isUsable(upstream);
  }

  /** Takes the next upstream that is well and has room, and is not the one that was taken last; null when there is none. */
  takeReady(): Upstream | null {
    const at = this.#queue.findIndex((upstream) =>
      upstream.id !== this.#takenId && this.isUsable(upstream) &&
      this.#waiting.hasRoom(upstream, this.#demand) && this.#isReady(upstream)
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
