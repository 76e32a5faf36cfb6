/**
 * The slots of all upstreams: who may be asked now, and what is given back when an attempt ends.
 *
 * An upstream with several keys has the limits once for each key. Waits for nothing: waiting.ts does.
 */
import { Capacity } from "../../core/capacity.ts";
import type { Clock } from "../../core/clock.ts";
import type { Upstream } from "../../core/types.ts";
import type { UpstreamLimits } from "../../core/upstream_options.ts";
import { type CapacityCell, HeldSlot, type SlotOwner } from "./held_slot.ts";
import type { RequestDemand } from "./request_demand.ts";

/** Keys that one upstream may have, for the number of a cell. */
const MAX_KEYS = 2 ** 16;

/** An upstream, or one of its keys. */
export type Candidate = Pick<Upstream, "id" | "name" | "keyN" | "limits">;

/** What is shown of an upstream, with all of its keys. */
export interface CapacityView {
  readonly inFlight: number;
  /** Requests at once that `auto` allows now; null: the limit is not `auto`. */
  readonly autoLimit: number | null;
}

/** What is shown of one key of an upstream. */
export interface KeyUse {
  readonly inFlight: number;
  /** Requests at once that it may be asked for now; null: any number. */
  readonly limit: number | null;
}

type Configured = Pick<Upstream, "id" | "isEnabled" | "keys" | "limits">;

export class UpstreamCapacity {
  /** Called when a slot may have come free, because an attempt ended or a limit was changed. */
  onRoom: ((cell: CapacityCell) => void) | null = null;
  /** Called when the upstream, or the key, was removed or disabled. */
  onGone: ((cell: CapacityCell) => void) | null = null;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #cells = new Map<number, CapacityCell>();
  readonly #owner: SlotOwner;
  /** By upstream. */
  readonly #underWay = new Map<number, number>();
  /** null: before the first {@link configured}. */
  #configured: ReadonlyMap<number, Configured> | null = null;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
    this.#owner = { clock, onGivenBack: (cell) => this.#givenBack(cell) };
  }

  /** The upstreams as configured now: new limits hold at once. */
  configured(upstreams: readonly Configured[]): void {
    const byId = new Map(upstreams.map((upstream) => [upstream.id, upstream]));
    this.#configured = byId;
    for (const cell of this.#cells.values()) {
      if (this.isGone(cell)) {
        if (cell.capacity.inFlight === 0) this.#cells.delete(cell.key);
        this.onGone?.(cell);
        continue;
      }
      cell.capacity.limits = byId.get(cell.upstreamId)?.limits ?? cell.capacity.limits;
      this.onRoom?.(cell);
    }
  }

  /** It was removed or disabled after the request had begun. */
  isGone({ upstreamId, keyN }: Pick<CapacityCell, "upstreamId" | "keyN">): boolean {
    if (this.#configured === null) return false;
    const upstream = this.#configured.get(upstreamId);
    return upstream === undefined || !upstream.isEnabled || keyN > upstream.keys.length;
  }

  cellOf({ id, keyN, limits }: Candidate): CapacityCell {
    const key = id * MAX_KEYS + (keyN ?? 0);
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      // A request may have begun before the limits were changed.
      const now: UpstreamLimits = this.#configured?.get(id)?.limits ?? limits;
      cell = { key, upstreamId: id, keyN: keyN ?? 0, capacity: new Capacity(now) };
      this.#cells.set(key, cell);
    }
    return cell;
  }

  /** Whether it is still the one of its key. */
  has(cell: CapacityCell): boolean {
    return this.#cells.get(cell.key) === cell;
  }

  /** Milliseconds until a request fits; 0: now; Infinity: when another one has ended. */
  roomInMs({ capacity }: CapacityCell, demand: RequestDemand): number {
    if (!capacity.isLimited) return 0;
    return capacity.roomInMs(tokensOf(capacity, demand), this.#clock.monotonic());
  }

  /** Whether any request fits now, however many tokens it needs. */
  hasRoom(candidate: Candidate): boolean {
    const { limits: { maxParallel, rpm, tpm } } = candidate;
    if (maxParallel === null && rpm === null && tpm === null) return true;
    const { capacity } = this.cellOf(candidate);
    return capacity.roomInMs(0, this.#clock.monotonic()) === 0;
  }

  /** Attempts under way at an upstream, with any of its keys. */
  underWay({ id }: Pick<Upstream, "id">): number {
    return this.#underWay.get(id) ?? 0;
  }

  /** Takes a slot, whether there is room or not. */
  take(cell: CapacityCell, demand: RequestDemand): HeldSlot {
    this.#underWay.set(cell.upstreamId, (this.#underWay.get(cell.upstreamId) ?? 0) + 1);
    return demand.holds(new HeldSlot(this.#owner, cell, tokensOf(cell.capacity, demand)));
  }

  #givenBack(cell: CapacityCell): void {
    const left = (this.#underWay.get(cell.upstreamId) ?? 1) - 1;
    if (left > 0) this.#underWay.set(cell.upstreamId, left);
    else this.#underWay.delete(cell.upstreamId);
    if (cell.capacity.inFlight === 0 && this.isGone(cell)) this.#cells.delete(cell.key);
    this.onRoom?.(cell);
  }

  /** Attempts under way at an upstream, or at one of its keys. */
  inFlight({ id, keyN }: Pick<Upstream, "id" | "keyN">): number {
    return this.#cells.get(id * MAX_KEYS + (keyN ?? 0))?.capacity.inFlight ?? 0;
  }

  /** Of each key of an upstream, in their order; one that was never asked has nothing under way. */
  keyUses({ id, keys, limits }: Pick<Upstream, "id" | "keys" | "limits">): KeyUse[] {
    const count = Math.max(1, keys.length);
    return Array.from({ length: count }, (_, index) => {
      const cell = this.#cells.get(id * MAX_KEYS + (count === 1 ? 0 : index + 1));
      const capacity = cell?.capacity ?? new Capacity(limits);
      return { inFlight: capacity.inFlight, limit: capacity.parallelLimit };
    });
  }

  /** By id of the upstream; those that were never asked are left out. */
  views(): ReadonlyMap<number, CapacityView> {
    const views = new Map<number, CapacityView>();
    for (const { upstreamId, capacity } of this.#cells.values()) {
      const before = views.get(upstreamId);
      const autoLimit = capacity.isAdaptive ? capacity.parallelLimit ?? 0 : null;
      views.set(upstreamId, {
        inFlight: (before?.inFlight ?? 0) + capacity.inFlight,
        autoLimit: autoLimit === null ? before?.autoLimit ?? null : autoLimit + (before?.autoLimit ?? 0),
      });
    }
    return views;
  }
}

function tokensOf(capacity: Capacity, demand: RequestDemand): number {
  return capacity.countsTokens ? demand.tokens : 0;
}
