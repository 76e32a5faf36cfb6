/**
 * Requests that wait because every upstream for them is full: whose turn it is, for how long, and what a refused one is
 * told.
 *
 * Nobody overtakes: while one waits for an upstream, its slots are given in turn, never to a newcomer. The order is in
 * core/fair_queue.ts.
 */
import type { Cancellation } from "../../core/cancellation.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import { type FairPlace, FairQueue } from "../../core/fair_queue.ts";
import { SlidingWindow } from "../../core/sliding_window.ts";
import type { Upstream } from "../../core/types.ts";
import type { CapacityCell, HeldSlot } from "./held_slot.ts";
import type { RequestDemand } from "./request_demand.ts";
import type { UpstreamCapacity } from "./upstream_capacity.ts";

/** Upstreams for which one request waits, so that its places cost little. */
const MAX_LANES = 64; // docs/tuning.md#budgets-and-remembered-values
/** Clients whose requests are too large for now, and who are passed over for another one. */
const MAX_PASSED = 64; // docs/tuning.md#budgets-and-remembered-values
const MIN_RETRY_S = 1;
/** SDKs ignore more. https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py */
const MAX_RETRY_S = 60;

export interface WaitingOptions {
  /** 0: nobody waits. */
  readonly timeoutMs: number;
  /** Requests that may wait at once. */
  readonly maxQueued: number;
}

export type QueueRefusal = "timeout" | "full";

export interface WaitingObserver {
  /** A request has waited, and may go on or has left. */
  queued(ms: number): void;
  /** A request was refused, because it waited in vain or could not wait. */
  queueRefused(reason: QueueRefusal): void;
}

/** One request that is to wait. */
export interface WaitRequest {
  readonly demand: RequestDemand;
  /** Full, and well; in order of preference. */
  readonly upstreams: readonly Upstream[];
  /** Whether the request still wants this one: it may have failed in the meantime. */
  readonly accepts: (upstream: Upstream) => boolean;
  readonly cancellation: Cancellation;
  readonly limitMs: number;
}

export type WaitEnd =
  | { readonly type: "slot"; readonly upstream: Upstream; readonly slot: HeldSlot }
  /** None of the upstreams is wanted, or there, any more. */
  | { readonly type: "none_left" }
  | { readonly type: "refused"; readonly reason: QueueRefusal }
  | { readonly type: "cancelled" };

interface Waiter {
  readonly demand: RequestDemand;
  readonly accepts: (upstream: Upstream) => boolean;
  /** By the cell's key. */
  readonly upstreams: ReadonlyMap<number, Upstream>;
  /** Monotonic. */
  readonly untilMs: number;
  readonly end: (end: WaitEnd) => void;
}

export class Waiting {
  readonly capacity: UpstreamCapacity;
  readonly clock: Clock;
  readonly #options: WaitingOptions;
  readonly #observer: WaitingObserver;
  readonly #queue = new FairQueue<Waiter>();
  /** For the next slot that the passing of time frees, by the cell's key. */
  readonly #timers = new Map<number, TimerId>();
  /** Slots that were given to those who waited. */
  readonly #given = new SlidingWindow();

  constructor(
    { capacity, clock, observer }: {
      readonly capacity: UpstreamCapacity;
      readonly clock: Clock;
      readonly observer: WaitingObserver;
    },
    options: WaitingOptions,
  ) {
    this.capacity = capacity;
    this.clock = clock;
    this.#observer = observer;
    this.#options = options;
    capacity.onRoom = (cell) => {
      if (this.#queue.has(cell.key)) this.#serve(cell);
    };
    capacity.onGone = (cell) => this.#abandon(cell);
  }

  /** Requests that wait now. */
  get length(): number {
    return this.#queue.size;
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** Whether a request may go there now without overtaking anybody. */
  hasRoom(upstream: Upstream, demand: RequestDemand): boolean {
    const cell = this.capacity.cellOf(upstream);
    if (!cell.capacity.isLimited) return true;
    return !this.#queue.has(cell.key) && this.capacity.roomInMs(cell, demand) === 0;
  }

  /** Whether the upstream was removed or disabled after the request began; only for those that were full. */
  isGone({ id, keyN }: Upstream): boolean {
    return this.capacity.isGone({ upstreamId: id, keyN: keyN ?? 0 });
  }

  take(upstream: Upstream, demand: RequestDemand): HeldSlot {
    return this.capacity.take(this.capacity.cellOf(upstream), demand);
  }

  /** Waits until one of the upstreams has room for the request and it is its turn. Never rejects. */
  async wait(request: WaitRequest): Promise<WaitEnd> {
    const { cancellation, demand, limitMs } = request;
    if (cancellation.isCancelled) return { type: "cancelled" };
    if (limitMs <= 0) return { type: "refused", reason: "timeout" };
    if (this.#queue.size >= this.#options.maxQueued && !this.#makeRoom(demand.client)) {
      return { type: "refused", reason: "full" };
    }
    const { promise, resolve } = Promise.withResolvers<WaitEnd>();
    const sinceMs = this.clock.monotonic();
    const entered = this.#enter(request, resolve);
    if (entered === null) return { type: "none_left" };
    const { place, cells } = entered;
    // Out of the queue at once: what it does not take must go to the next.
    const leaveAs = (end: WaitEnd) => {
      this.#queue.remove(place);
      resolve(end);
    };
    const timer = this.clock.setTimer(() => leaveAs({ type: "refused", reason: "timeout" }), limitMs);
    const leave = () => leaveAs({ type: "cancelled" });
    cancellation.onCancel(leave);
    // The limits may know only of time, so nobody else would wake it.
    for (const cell of cells) this.#serve(cell);
    const end = await promise;
    this.clock.clearTimer(timer);
    cancellation.offCancel(leave);
    // Those behind it may need less.
    for (const cell of cells) this.#serve(cell);
    this.#observer.queued(this.clock.monotonic() - sinceMs);
    return end;
  }

  refused(reason: QueueRefusal): void {
    this.#observer.queueRefused(reason);
  }

  /** After how many whole seconds a refused request may be served, as slots were given lately: 1 to 60. */
  retryAfterSeconds(): number {
    const nowMs = this.clock.monotonic();
    const given = this.#given.total(nowMs);
    // Nobody who waits now waits longer.
    if (given === 0) return inBounds(this.#options.timeoutMs / 1000);
    const perSecond = given / (Math.max(1_000, this.#given.ageMs(nowMs)) / 1000);
    return inBounds((this.#queue.size + 1) / perSecond);
  }

  /** One client's batch does not take all places: its newest waiter leaves for one of a client that has fewer. */
  #makeRoom(client: string): boolean {
    const place = this.#queue.newestOfLargest(client);
    if (place === null) return false;
    this.#queue.remove(place);
    place.waiter.end({ type: "refused", reason: "full" });
    return true;
  }

  /** null: everything that it would wait for is gone. */
  #enter(
    { demand, accepts, upstreams: all, limitMs }: WaitRequest,
    end: (end: WaitEnd) => void,
  ): { readonly place: FairPlace<Waiter>; readonly cells: readonly CapacityCell[] } | null {
    const upstreams = new Map<number, Upstream>();
    const cells: CapacityCell[] = [];
    for (const upstream of all.slice(0, MAX_LANES)) {
      const cell = this.capacity.cellOf(upstream);
      if (upstreams.has(cell.key) || this.capacity.isGone(cell)) continue;
      upstreams.set(cell.key, upstream);
      cells.push(cell);
    }
    if (cells.length === 0) return null;
    const untilMs = this.clock.monotonic() + limitMs;
    const waiter: Waiter = { demand, accepts, upstreams, untilMs, end };
    const place = this.#queue.add(waiter, { client: demand.client, keys: [...upstreams.keys()] });
    return { place, cells };
  }

  /** Gives what is free to those whose turn it is. */
  #serve(cell: CapacityCell): void {
    if (!this.capacity.has(cell)) return;
    this.#clearTimer(cell.key);
    for (;;) {
      const turn = this.#turn(cell);
      if (turn === null) return;
      const { place, inMs } = turn;
      if (inMs > 0) return this.#setTimer(cell, inMs);
      const { demand, upstreams, accepts, end } = place.waiter;
      const upstream = upstreams.get(cell.key);
      if (upstream === undefined || !accepts(upstream)) {
        if (!this.#queue.leave(place, cell.key)) end({ type: "none_left" });
        continue;
      }
      this.#queue.served(place);
      this.#given.add(1, this.clock.monotonic());
      end({ type: "slot", upstream, slot: this.capacity.take(cell, demand) });
    }
  }

  /**
   * Whose turn it is, and in how many milliseconds there is room for it. One that needs more than there will be before its
   * wait is over holds up no other client.
   */
  #turn(cell: CapacityCell): { readonly place: FairPlace<Waiter>; readonly inMs: number } | null {
    const nowMs = this.clock.monotonic();
    let soonest: { readonly place: FairPlace<Waiter>; readonly inMs: number } | null = null;
    let place = this.#queue.first(cell.key);
    for (let passed = 0; place !== null && passed < MAX_PASSED; passed++) {
      const { demand, untilMs } = place.waiter;
      const inMs = this.capacity.roomInMs(cell, demand);
      if (soonest === null || inMs < soonest.inMs) soonest = { place, inMs };
      if (inMs === 0 || inMs === Infinity || nowMs + inMs < untilMs) return soonest;
      place = this.#queue.after(place, cell.key);
    }
    return soonest;
  }

  /** The upstream is gone: nobody waits for it any more. */
  #abandon(cell: CapacityCell): void {
    this.#clearTimer(cell.key);
    for (let place = this.#queue.first(cell.key); place !== null; place = this.#queue.first(cell.key)) {
      if (!this.#queue.leave(place, cell.key)) place.waiter.end({ type: "none_left" });
    }
  }

  #setTimer(cell: CapacityCell, inMs: number): void {
    if (!Number.isFinite(inMs)) return;
    this.#timers.set(
      cell.key,
      this.clock.setTimer(() => {
        this.#timers.delete(cell.key);
        this.#serve(cell);
      }, inMs),
    );
  }

  #clearTimer(key: number): void {
    const timer = this.#timers.get(key);
    if (timer === undefined) return;
    this.#timers.delete(key);
    this.clock.clearTimer(timer);
  }
}

function inBounds(seconds: number): number {
  return Math.min(MAX_RETRY_S, Math.max(MIN_RETRY_S, Math.ceil(seconds)));
}
