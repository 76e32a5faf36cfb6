/**
 * Timers for deadlines: many are set, nearly all are cleared again, and none needs to be exact.
 *
 * One timer of the runtime serves them all; setting one takes a place that another has left. A timer never fires
 * early; it may be late by 10 ms, and from a second on by up to a tenth of its length.
 */
import type { TimerId } from "../core/types.ts";

/** A place for one timer after the other. */
interface Slot {
  /** null: free. */
  callback: (() => void) | null;
  dueMs: number;
  /** Counts all timers: tells this one from those that had the place before. */
  sequence: number;
}

/** An identifier is a timer's place, and how many came before it, which repeats itself after 2^32. */
const MAX_SLOTS = 2 ** 20;
const SEQUENCES = 2 ** 32;

export class CoarseTimers {
  readonly #now: () => number;
  // No map: with each request a few timers come and go (see Roster).
  readonly #slots: Slot[] = [];
  readonly #free: number[] = [];
  #sequence = 0;
  #armed: { readonly dueMs: number; readonly timer: ReturnType<typeof setTimeout> } | null = null;

  /** @param now monotonic, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  set(callback: () => void, delayMs: number): TimerId {
    const stepMs = delayMs < 1_000 ? 10 : delayMs < 10_000 ? 100 : 1_000;
    const dueMs = Math.ceil((this.#now() + Math.max(0, delayMs)) / stepMs) * stepMs;
    const sequence = ++this.#sequence;
    const place = this.#free.pop() ?? this.#slots.length;
    const slot = this.#slots[place];
    if (slot === undefined) this.#slots.push({ callback, dueMs, sequence });
    else {
      slot.callback = callback;
      slot.dueMs = dueMs;
      slot.sequence = sequence;
    }
    if (dueMs < this.#armedDueMs()) this.#arm(dueMs);
    return (sequence % SEQUENCES) * MAX_SLOTS + place;
  }

  clear(id: TimerId): void {
    const place = id % MAX_SLOTS;
    const slot = this.#slots[place];
    if (slot === undefined || slot.callback === null) return;
    if (slot.sequence % SEQUENCES !== Math.floor(id / MAX_SLOTS)) return;
    this.#leave(slot, place);
    // A timer of the runtime would keep the process alive for nothing.
    if (this.#free.length === this.#slots.length) this.#disarm();
  }

  #leave(slot: Slot, place: number): void {
    slot.callback = null;
    this.#free.push(place);
  }

  #armedDueMs(): number {
    return this.#armed?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  #arm(dueMs: number): void {
    this.#disarm();
    const timer = setTimeout(() => this.#fire(), Math.max(0, dueMs - this.#now()));
    this.#armed = { dueMs, timer };
  }

  #disarm(): void {
    if (this.#armed !== null) clearTimeout(this.#armed.timer);
    this.#armed = null;
  }

  #fire(): void {
    this.#armed = null;
    const nowMs = this.#now();
    const due: { readonly place: number; readonly dueMs: number; readonly sequence: number }[] = [];
    for (const [place, { callback, dueMs, sequence }] of this.#slots.entries()) {
      if (callback !== null && dueMs <= nowMs) due.push({ place, dueMs, sequence });
    }
    due.sort((a, b) => a.dueMs - b.dueMs || a.sequence - b.sequence);
    try {
      for (const { place, sequence } of due) this.#call(place, sequence);
    } finally {
      let nextMs = Number.POSITIVE_INFINITY;
      for (const { callback, dueMs } of this.#slots) if (callback !== null) nextMs = Math.min(nextMs, dueMs);
      // A callback may have set one that is due later than others that wait.
      if (nextMs < this.#armedDueMs()) this.#arm(nextMs);
    }
  }

  /** One that another's callback has cleared meanwhile is not called. */
  #call(place: number, sequence: number): void {
    const slot = this.#slots[place];
    if (slot === undefined || slot.callback === null || slot.sequence !== sequence) return;
    const { callback } = slot;
    this.#leave(slot, place);
    callback();
  }
}
