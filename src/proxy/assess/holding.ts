/**
 * How the replies to one request are held: the mode, and the memory that stays in use while the chosen one is relayed.
 */
import type { GateMode } from "../../core/gate_mode.ts";
import type { HeldAccount, HeldBudget } from "./held_budget.ts";

/** What an assessment needs of it. */
export interface Holding {
  readonly mode: GateMode;
  /** Bytes that are held until the end of the request. */
  keep(bytes: number): void;
  /** A stream that was to be held whole is not, because the memory for held replies is used up. */
  degraded(): void;
}

/** One object per request. */
export class RequestHolding implements Holding {
  readonly mode: GateMode;
  readonly #budget: HeldBudget;
  readonly #onDegraded: () => void;
  #account: HeldAccount | null = null;

  constructor(mode: GateMode, budget: HeldBudget, onDegraded: () => void) {
    this.mode = mode;
    this.#budget = budget;
    this.#onDegraded = onDegraded;
  }

  keep(bytes: number): void {
    this.#account ??= this.#budget.open();
    this.#account.take(bytes);
  }

  degraded(): void {
    this.#onDegraded();
  }

  /** The request is over. Idempotent. */
  release(): void {
    this.#account?.release();
  }
}
