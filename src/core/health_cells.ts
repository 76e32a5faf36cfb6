/**
 * Breakers by key, bounded: one of them is dropped when there are too many.
 */
import { Witnesses } from "./blame.ts";
import { type BreakerState, CLOSED, unaskedMs } from "./breaker.ts";

/** What a breaker is about. */
export interface CellFacts {
  /** null: it is not about a model. */
  readonly model: string | null;
  /** One of several keys of the upstream: the secret itself, never shown; null: it is about all. */
  readonly key: string | null;
  /** Others see it: it is not about a client. */
  readonly isPublic: boolean;
}

/** One breaker. */
export interface HealthCell extends CellFacts {
  /** Another replica has found it. */
  readonly isForeign: boolean;
  /** People were told of it by another replica, which will tell them of the recovery, too. */
  isQuiet: boolean;
  readonly witnesses: Witnesses;
  state: BreakerState;
  /** Why it changed last. */
  reason: string;
  usedAtMs: number;
}

export function newCell(
  { model, key, isPublic, isForeign = false }: CellFacts & { readonly isForeign?: boolean },
): HealthCell {
  const facts = { model, key, isPublic, isForeign, isQuiet: false };
  return { ...facts, witnesses: new Witnesses(), state: CLOSED, reason: "", usedAtMs: 0 };
}

/** Breakers of each sort that are kept for an upstream. */
export const MAX_CELLS = 256; // docs/tuning.md#budgets-and-remembered-values
/** What was held back and has not been asked for in this time is forgotten. */
export const FORGET_MS = 5 * 60_000;

export class HealthCells {
  readonly #cells = new Map<string, HealthCell>();
  readonly #forget: (cell: HealthCell, reason: string) => void;

  /** @param forget closes a cell that is dropped */
  constructor(forget: (cell: HealthCell, reason: string) => void) {
    this.#forget = forget;
  }

  get size(): number {
    return this.#cells.size;
  }

  get(key: string): HealthCell | undefined {
    return this.#cells.get(key);
  }

  values(): IterableIterator<HealthCell> {
    return this.#cells.values();
  }

  clear(): void {
    this.#cells.clear();
  }

  /** That of the key, which is made if there is none. */
  use(key: string, facts: CellFacts, nowMs: number): HealthCell {
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      if (this.#cells.size >= MAX_CELLS) this.#evict();
      cell = newCell(facts);
      this.#cells.set(key, cell);
    }
    cell.usedAtMs = nowMs;
    return cell;
  }

  /** Drops those that are not well, and that nobody asks for any more. */
  dropUnused(nowMs: number): void {
    for (const [key, cell] of this.#cells) {
      if (cell.state === CLOSED || unusedMs(cell, nowMs) < FORGET_MS) continue;
      this.#forget(cell, "nobody asks for it");
      this.#cells.delete(key);
    }
  }

  /** Drops those to which the condition applies. */
  drop(isDropped: (cell: HealthCell) => boolean, reason: string): void {
    for (const [key, cell] of this.#cells) {
      if (!isDropped(cell)) continue;
      this.#forget(cell, reason);
      this.#cells.delete(key);
    }
  }

  /** Those that are well go first, then the one that was not used for longest. */
  #evict(): void {
    let oldestKey: string | null = null;
    let oldest: HealthCell | null = null;
    for (const [key, cell] of this.#cells) {
      if (oldest === null || isSooner(cell, oldest)) [oldestKey, oldest] = [key, cell];
    }
    if (oldestKey === null || oldest === null) return;
    this.#forget(oldest, "too many are held back");
    this.#cells.delete(oldestKey);
  }
}

function isSooner(cell: HealthCell, other: HealthCell): boolean {
  const isWell = cell.state === CLOSED;
  if (isWell !== (other.state === CLOSED)) return isWell;
  return cell.usedAtMs < other.usedAtMs;
}

/** How long ago it was last tried, or could have been. */
function unusedMs({ state, usedAtMs }: HealthCell, nowMs: number): number {
  return state.type === "closed" ? nowMs - usedAtMs : unaskedMs(state, nowMs);
}
