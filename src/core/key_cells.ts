/**
 * The breakers of an upstream's keys, when it has several: one for each key, and one for each key and model that is
 * throttled. Keys are told apart by the secrets themselves, so that another order of them changes nothing.
 *
 * Owns which breakers there are; upstream_cells.ts changes their states. Pure.
 */
import { type Availability, availability } from "./breaker.ts";
import { type HealthCell, HealthCells, newCell } from "./health_cells.ts";

/** How one of several keys stands. */
export type KeyStanding =
  | Availability
  /** Refused, or without credit: it need not be asked while there are others. */
  | "out";

interface KeyAndModel {
  readonly key: string;
  readonly model: string;
}

export class KeyCells {
  /** Of those that were asked. */
  readonly #cells = new Map<string, HealthCell>();
  readonly #throttled: HealthCells;
  readonly #forget: (cell: HealthCell, reason: string) => void;
  /** Breakers that are not closed and at rest; kept by whoever changes states. */
  unwellCount = 0;

  /** @param forget closes a breaker that is dropped */
  constructor(forget: (cell: HealthCell, reason: string) => void) {
    this.#forget = forget;
    this.#throttled = new HealthCells(forget);
  }

  /** That of the key, which is made if there is none. */
  use(key: string): HealthCell {
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = newCell({ model: null, key, isPublic: true });
      this.#cells.set(key, cell);
    }
    return cell;
  }

  useModel({ key, model }: KeyAndModel, nowMs: number): HealthCell {
    return this.#throttled.use(nameOf({ key, model }), { key, model, isPublic: true }, nowMs);
  }

  /** Adds those that a request with the key passes. */
  push(cells: HealthCell[], subject: KeyAndModel): void {
    const own = this.#cells.get(subject.key);
    if (own !== undefined) cells.push(own);
    const throttled = this.#throttled.size === 0 ? undefined : this.#throttled.get(nameOf(subject));
    if (throttled !== undefined) cells.push(throttled);
  }

  standing(subject: KeyAndModel, nowMs: number): KeyStanding {
    const own = this.#cells.get(subject.key);
    const isHeldBack = own === undefined ? "ready" : availability(own.state, nowMs);
    if (isHeldBack === "cooling") return "out";
    const throttled = this.#throttled.size === 0 ? undefined : this.#throttled.get(nameOf(subject));
    const isThrottled = throttled === undefined ? "ready" : availability(throttled.state, nowMs);
    if (isThrottled === "cooling") return "cooling";
    return isHeldBack === "ready" ? isThrottled : isHeldBack;
  }

  /** Those of a key that are not closed: its own first. */
  unwell(key: string): HealthCell[] {
    const cells: HealthCell[] = [];
    const own = this.#cells.get(key);
    if (own !== undefined && own.state.type !== "closed") cells.push(own);
    for (const cell of this.#throttled.values()) {
      if (cell.key === key && cell.state.type !== "closed") cells.push(cell);
    }
    return cells;
  }

  each(act: (cell: HealthCell) => void): void {
    for (const cell of this.#cells.values()) act(cell);
    for (const cell of this.#throttled.values()) act(cell);
  }

  /** What was throttled, and nobody asks for any more. A key that is refused stays so. */
  dropUnused(nowMs: number): void {
    this.#throttled.dropUnused(nowMs);
  }

  /** Drops all other keys. */
  keep(keys: ReadonlySet<string>): void {
    for (const [key, cell] of this.#cells) {
      if (keys.has(key)) continue;
      this.#forget(cell, "the key was removed");
      this.#cells.delete(key);
    }
    this.#throttled.drop(({ key }) => key !== null && !keys.has(key), "the key was removed");
  }
}

/** No key holds a line break. */
function nameOf({ key, model }: KeyAndModel): string {
  return `${key}\n${model}`;
}
