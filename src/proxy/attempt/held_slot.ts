/**
 * One attempt's slot at an upstream, or at one of its keys.
 */
import type { Capacity, Slot, SlotEnd } from "../../core/capacity.ts";
import type { Clock } from "../../core/clock.ts";

/** One upstream, or one of its keys, since it was first asked. */
export interface CapacityCell {
  /** Unique among the cells. */
  readonly key: number;
  readonly upstreamId: number;
  readonly keyN: number;
  readonly capacity: Capacity;
}

export interface SlotOwner {
  readonly clock: Pick<Clock, "monotonic">;
  readonly onGivenBack: (cell: CapacityCell) => void;
}

const NOTHING_KNOWN: SlotEnd = { result: "other", firstTokenMs: null, tokens: null };
const UNUSED: SlotEnd = { result: "other", firstTokenMs: null, tokens: 0 };

/** Given back once, however the attempt ends. */
export class HeldSlot {
  /** Another one of the same request. */
  before: HeldSlot | null = null;
  readonly #owner: SlotOwner;
  readonly #cell: CapacityCell;
  readonly #slot: Slot;
  #isOver = false;

  /** Takes it, whether there is room or not. */
  constructor(owner: SlotOwner, cell: CapacityCell, tokens: number) {
    this.#owner = owner;
    this.#cell = cell;
    this.#slot = cell.capacity.begin(tokens, owner.clock.monotonic());
  }

  /** The attempt is over; a second end changes nothing. */
  end(end: SlotEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cell.capacity.end(this.#slot, end, this.#owner.clock.monotonic());
    this.#owner.onGivenBack(this.#cell);
  }

  /** The same, when nothing is known of it. */
  release(): void {
    this.end(NOTHING_KNOWN);
  }

  /** The same, when nothing was sent. */
  unused(): void {
    this.end(UNUSED);
  }
}
