/**
 * What one run of a server has charged one token, has reserved for requests under way, and may still charge.
 *
 * Owns one rule: what is charged plus what is reserved never exceeds a ceiling that the store has granted durably, so that
 * the sum over all servers stays within the budget, whatever dies. Only a reply that costs more than was reserved for it
 * goes above, and that is counted. Pure: time comes in, and the store is asked by ../proxy/limits/lease_renewals.ts.
 */
import type { LeaseAnswer, LeaseRequest, SpendRow } from "./spend.ts";

type Row = { -readonly [Key in keyof SpendRow]: SpendRow[Key] };

/** Days that are remembered; what would be charged to an older one is charged to the oldest of these. */
const MAX_DAYS = 62; // docs/tuning.md#budgets-and-remembered-values
/** Of the budget: what is asked for ahead, below half of it. */
const LEASE_SHARE = 100;
/** After this long without a request, a lease is given back. */
const IDLE_MS = 5_000; // docs/tuning.md#budgets-and-remembered-values

/** One charge, or the correction of one. */
export interface Charge {
  readonly costNano: number;
  readonly requests: number;
  readonly tokens: number;
  readonly estimatedNano: number;
}

/** The terms on which a store is asked. */
export interface BudgetTerms {
  /** null: there is none. */
  readonly budgetNano: number | null;
  readonly fromDay: string;
}

/** What is known of all servers' spending. */
interface Knowledge extends BudgetTerms {
  readonly spentNano: number;
  readonly othersLeaseNano: number;
  /** {@link BudgetAccount.chargedNano} when it was asked. */
  readonly chargedNano: number;
  /** Monotonic clock. */
  readonly atMs: number;
}

/** What the store was asked, until it answers. */
export interface SentRenewal {
  readonly request: LeaseRequest;
  readonly chargedNano: number;
}

/** What a token with a budget has spent; money in 1e-9 US dollars. */
export interface BudgetReading {
  readonly client: string;
  readonly budgetNano: number;
  /** In the current period; null: not known yet. */
  readonly spentNano: number | null;
  readonly reservedNano: number;
}

export class BudgetAccount {
  readonly #rows = new Map<string, Row>();
  readonly #changed = new Set<string>();
  /** The newest day that is not remembered any more. */
  #forgottenDay = "";
  #chargedNano = 0;
  #reservedNano = 0;
  /** What charges and reservations may come to together. */
  #ceilingNano = 0;
  /** The same, if an answer that has not come was given all the same. */
  #doubtNano = Infinity;
  #known: Knowledge | null = null;
  #usedAtMs = -Infinity;

  constructor(readonly tokenId: number) {}

  /** Since the server began. */
  get chargedNano(): number {
    return this.#chargedNano;
  }

  /** For requests under way. */
  get reservedNano(): number {
    return this.#reservedNano;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** What may still be reserved without asking. */
  get roomNano(): number {
    return Math.min(this.#ceilingNano, this.#doubtNano) - this.#chargedNano - this.#reservedNano;
  }

  /** What the store may believe that this server can still charge. */
  get hasLease(): boolean {
    return this.#ceilingNano > this.#chargedNano + this.#reservedNano;
  }

  /** @param nowMs monotonic */
  isIdle(nowMs: number): boolean {
    return nowMs - this.#usedAtMs >= IDLE_MS;
  }

  /** Reserves if the lease has room. @param nowMs monotonic */
  reserve(nano: number, nowMs: number): boolean {
    this.#usedAtMs = nowMs;
    // What costs nothing fits even above the budget.
    if (nano > 0 && nano > this.roomNano) return false;
    this.#reservedNano += nano;
    return true;
  }

  release(nano: number): void {
    this.#reservedNano -= nano;
  }

  /** Nothing more fits until the store was asked: the budget has changed. */
  forgetLease(): void {
    this.#ceilingNano = Math.min(this.#ceilingNano, this.#chargedNano + this.#reservedNano);
  }

  /** Charges a day, or the oldest one that is remembered; returns the day that was charged. */
  charge(day: string, charge: Charge, overshootNano = 0): string {
    const row = this.#row(day);
    row.costNano += charge.costNano;
    row.requests += charge.requests;
    row.tokens += charge.tokens;
    row.estimatedNano += charge.estimatedNano;
    row.overshootNano += overshootNano;
    this.#chargedNano += charge.costNano;
    this.#changed.add(row.day);
    return row.day;
  }

  /** Spent in a period, as far as it is known; null: the store has not said yet. */
  spentNano(fromDay: string): number | null {
    const known = this.#known;
    return known?.fromDay === fromDay ? known.spentNano + this.#chargedNano - known.chargedNano : null;
  }

  /** Spent by this server in a period. */
  ownSpentNano(fromDay: string): number {
    let spent = 0;
    for (const row of this.#rows.values()) if (row.day >= fromDay) spent += row.costNano;
    return spent;
  }

  /** Whether what the store says is new enough to refuse by it. @param nowMs monotonic */
  isFresh({ budgetNano, fromDay }: BudgetTerms, nowMs: number, maxAgeMs: number): boolean {
    const known = this.#known;
    return known !== null && known.fromDay === fromDay && known.budgetNano === budgetNano &&
      nowMs - known.atMs < maxAgeMs;
  }

  /** Whether so much more fits, as far as it is known. */
  fits(nano: number, { budgetNano, fromDay }: BudgetTerms): boolean {
    const spent = this.spentNano(fromDay);
    if (budgetNano === null || spent === null) return true;
    return spent + this.#reservedNano + (this.#known?.othersLeaseNano ?? 0) + nano <= budgetNano;
  }

  /** By how much a charge of so much goes above the budget. */
  overshootNano(nano: number, { budgetNano, fromDay }: BudgetTerms): number {
    const spent = this.spentNano(fromDay);
    if (budgetNano === null || spent === null) return 0;
    return Math.max(0, Math.min(nano, spent + nano - budgetNano));
  }

  /**
   * What the store is to be asked. An answer, or that none came, is to be given to {@link answered} or {@link failed}.
   *
   * @param waitingNano of requests that wait for the answer
   * @param isLast nothing is asked for ahead
   */
  ask(
    { budgetNano, fromDay }: BudgetTerms,
    { waitingNano, isLast }: { readonly waitingNano: number; readonly isLast: boolean },
  ): SentRenewal {
    const rows = [...this.#changed].flatMap((day) => {
      const row = this.#rows.get(day);
      return row === undefined ? [] : [{ ...row }];
    });
    this.#changed.clear();
    const neededNano = budgetNano === null ? 0 : this.#reservedNano + waitingNano;
    // With what is reserved here and lent to others, so that nobody takes what others need.
    const used = (this.spentNano(fromDay) ?? 0) + neededNano + (this.#known?.othersLeaseNano ?? 0);
    const isBelowHalf = budgetNano !== null && !isLast && used * 2 < budgetNano;
    const ahead = budgetNano === null ? 0 : Math.floor(budgetNano / LEASE_SHARE);
    const wantedNano = isBelowHalf ? neededNano + ahead : neededNano;
    this.#doubtNano = Math.min(this.#doubtNano, this.#chargedNano + wantedNano);
    const request = { tokenId: this.tokenId, rows, neededNano, wantedNano, budgetNano, fromDay };
    return { request, chargedNano: this.#chargedNano };
  }

  /** @param nowMs monotonic, when it was asked */
  answered({ request, chargedNano }: SentRenewal, answer: LeaseAnswer, nowMs: number): void {
    this.#doubtNano = Infinity;
    this.#ceilingNano = chargedNano + answer.leaseNano;
    const { budgetNano, fromDay } = request;
    const { spentNano, othersLeaseNano } = answer;
    this.#known = { budgetNano, fromDay, spentNano, othersLeaseNano, chargedNano, atMs: nowMs };
  }

  /** The store has not answered: it may know these rows and have granted this lease, or not. */
  failed({ request }: SentRenewal): void {
    for (const { day } of request.rows) this.#changed.add(day);
  }

  #row(day: string): Row {
    let row = this.#rows.get(day);
    if (row !== undefined) return row;
    if (day <= this.#forgottenDay) {
      // Its sum is not known any more, and rows are sums.
      const oldest = [...this.#rows.keys()].toSorted()[0];
      if (oldest !== undefined) return this.#row(oldest);
    }
    row = { day, costNano: 0, requests: 0, tokens: 0, estimatedNano: 0, overshootNano: 0 };
    this.#rows.set(day, row);
    if (this.#rows.size > MAX_DAYS) this.#forgetOldest();
    return row;
  }

  #forgetOldest(): void {
    const oldest = [...this.#rows.keys()].toSorted().find((day) => !this.#changed.has(day));
    if (oldest === undefined) return;
    this.#rows.delete(oldest);
    if (oldest > this.#forgottenDay) this.#forgottenDay = oldest;
  }
}
