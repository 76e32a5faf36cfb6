/**
 * Timers for deadlines: many are set, nearly all are cleared again, and none needs to be exact.
 *
 * One timer of the runtime serves them all; setting and clearing one is a matter of two maps. A timer never fires
 * early; it may be late by 10 ms, and from a second on by up to a tenth of its length.
 */
import type { TimerId } from "../core/types.ts";

interface Entry {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class CoarseTimers {
  readonly #now: () => number;
  readonly #entries = new Map<TimerId, Entry>();
  /** By the moment when they are due. */
  readonly #due = new Map<number, Set<TimerId>>();
  #lastId: TimerId = 0;
  #armed: { readonly dueMs: number; readonly timer: ReturnType<typeof setTimeout> } | null = null;

  /** @param now monotonic, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  set(callback: () => void, delayMs: number): TimerId {
    const stepMs = delayMs < 1_000 ? 10 : delayMs < 10_000 ? 100 : 1_000;
    const dueMs = Math.ceil((this.#now() + Math.max(0, delayMs)) / stepMs) * stepMs;
    const id = ++this.#lastId;
    this.#entries.set(id, { dueMs, callback });
    const others = this.#due.get(dueMs);
    if (others === undefined) this.#due.set(dueMs, new Set([id]));
    else others.add(id);
    if (dueMs < this.#armedDueMs()) this.#arm(dueMs);
    return id;
  }

  clear(id: TimerId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    const others = this.#due.get(entry.dueMs);
    others?.delete(id);
    if (others?.size === 0) this.#due.delete(entry.dueMs);
    // A timer of the runtime would keep the process alive for nothing.
    if (this.#entries.size === 0) this.#disarm();
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
    const moments = [...this.#due.keys()].filter((dueMs) => dueMs <= nowMs).sort((a, b) => a - b);
    const callbacks: (() => void)[] = [];
    for (const dueMs of moments) {
      for (const id of this.#due.get(dueMs) ?? []) callbacks.push(() => this.#call(id));
    }
    try {
      for (const call of callbacks) call();
    } finally {
      let nextMs = Number.POSITIVE_INFINITY;
      for (const dueMs of this.#due.keys()) nextMs = Math.min(nextMs, dueMs);
      // A callback may have set one that is due later than others that wait.
      if (nextMs < this.#armedDueMs()) this.#arm(nextMs);
    }
  }

  /** One that another's callback has cleared meanwhile is not called. */
  #call(id: TimerId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.clear(id);
    entry.callback();
  }
}
