/**
 * One admitted request of a token with rules: what was taken of its limits, given back or charged once.
 */
import type { Charge } from "../../core/budget_account.ts";
import type { FixedHeaders } from "../../core/fixed_headers.ts";
import type { RequestRecord } from "../../core/types.ts";
import { chargeOf, correction, type Reservation } from "./charge.ts";
import type { ClientUse } from "./client_use.ts";

/** What takes the ends of admitted requests. */
export interface AdmissionOwner {
  /** @returns the day that was charged */
  charge(admission: Admission, charge: Charge, record: RequestRecord): string;
  /** It was charged before. */
  correct(admission: Admission, change: Charge, day: string): void;
  withdraw(admission: Admission): void;
  headers(use: ClientUse): FixedHeaders | null;
}

export class Admission {
  readonly #owner: AdmissionOwner;
  #charged: { readonly charge: Charge; readonly day: string } | null = null;
  #isOver = false;

  constructor(
    owner: AdmissionOwner,
    readonly use: ClientUse,
    readonly reserved: Reservation & {
      /** When it was admitted; monotonic clock. */
      readonly atMs: number;
      readonly isCounted: boolean;
    },
  ) {
    this.#owner = owner;
  }

  /** Fields of its answer, with which those of the upstream are replaced; null: the upstream's stay. */
  get headers(): FixedHeaders | null {
    return this.#owner.headers(this.use);
  }

  /** The request has ended. Only the first call counts. */
  settle(record: RequestRecord): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const charge = chargeOf(record, this.reserved);
    this.#charged = { charge, day: this.#owner.charge(this, charge, record) };
  }

  /** It has gone on after its end. */
  resettle(record: RequestRecord): void {
    if (this.#charged === null) return;
    const { charge: before, day } = this.#charged;
    const charge = chargeOf(record, this.reserved);
    this.#charged = { charge, day };
    this.#owner.correct(this, correction(before, charge), day);
  }

  /** It is refused after all, and counts as if it had not come. */
  withdraw(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.withdraw(this);
  }
}

/** A request that waits for its admission counts as one whose body arrives. @param release what a refused one held */
export async function admittedLater(
  admitted: Promise<Admission>,
  inFlight: { beginReceiving(): void; endReceiving(): void },
  release: () => void,
): Promise<Admission> {
  inFlight.beginReceiving();
  try {
    return await admitted;
  } catch (error) {
    release();
    throw error;
  } finally {
    inFlight.endReceiving();
  }
}
