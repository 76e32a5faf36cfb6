/**
 * Asks the store of spending: what has changed is noted, and leases are renewed, for all tokens at once and one call at a
 * time; what comes up meanwhile goes into the next.
 *
 * A call that does not come back blocks the next, never a request that fits.
 */
import type { BudgetTerms, SentRenewal } from "../../core/budget_account.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { SpendStore } from "../../core/spend.ts";
import type { ClientUse } from "./client_use.ts";

/** How often changes are noted while no request needs a lease. */
const FLUSH_MS = 1_000; // docs/tuning.md#budgets-and-remembered-values
/** How long a request waits for an answer. */
export const ANSWER_LIMIT_MS = 5_000; // docs/tuning.md#budgets-and-remembered-values
/** Tokens in one call. */
const MAX_TOKENS = 500; // docs/tuning.md#budgets-and-remembered-values

export interface LeaseRenewalsDeps {
  readonly store: SpendStore;
  readonly clock: Clock;
  readonly terms: (use: ClientUse) => BudgetTerms;
  /** What requests that wait for a lease of this token need together. */
  readonly waitingNano: (use: ClientUse) => number;
  /** The store has answered for these; `error` null: they know more now. */
  readonly onAnswer: (uses: readonly ClientUse[], error: unknown) => void;
}

export class LeaseRenewals {
  readonly #deps: LeaseRenewalsDeps;
  /** To be asked for. */
  readonly #due = new Set<ClientUse>();
  /** With something that is not noted, or a lease. */
  readonly #open = new Set<ClientUse>();
  #underWay: Promise<void> | null = null;
  #timer: TimerId | null = null;
  #isStopped = false;

  constructor(deps: LeaseRenewalsDeps) {
    this.#deps = deps;
  }

  /** Asks at once, or as soon as the call under way is over. */
  need(use: ClientUse): void {
    this.#due.add(use);
    this.#underWay ??= this.#ask();
  }

  /** Something is to be noted within a second. */
  changed(use: ClientUse): void {
    this.#open.add(use);
    if (this.#isStopped) return;
    this.#timer ??= this.#deps.clock.setTimer(() => this.#flush(), FLUSH_MS);
  }

  /** Notes everything, and gives all leases back; resolves in time even if the store does not answer. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#timer !== null) this.#deps.clock.clearTimer(this.#timer);
    this.#timer = null;
    const { promise, resolve } = Promise.withResolvers<void>();
    const limit = this.#deps.clock.setTimer(resolve, ANSWER_LIMIT_MS);
    await Promise.race([promise, this.#last()]);
    this.#deps.clock.clearTimer(limit);
  }

  async #last(): Promise<void> {
    await this.#underWay;
    for (const use of this.#open) this.#due.add(use);
    if (this.#due.size > 0) await (this.#underWay ??= this.#ask());
  }

  #flush(): void {
    this.#timer = null;
    const nowMs = this.#deps.clock.monotonic();
    for (const use of this.#open) {
      const { account } = use;
      const isIdle = account.isIdle(nowMs);
      if (account.hasChanges || (isIdle && account.hasLease)) this.#due.add(use);
      else if (isIdle) this.#open.delete(use);
    }
    if (this.#due.size > 0) this.#underWay ??= this.#ask();
    if (this.#open.size > 0) this.#timer = this.#deps.clock.setTimer(() => this.#flush(), FLUSH_MS);
  }

  async #ask(): Promise<void> {
    // What becomes due within one turn goes into one call.
    await Promise.resolve();
    while (this.#due.size > 0) {
      const uses: ClientUse[] = [];
      const sent = new Map<number, SentRenewal>();
      const nowMs = this.#deps.clock.monotonic();
      for (const use of this.#due) {
        if (uses.length === MAX_TOKENS) break;
        this.#due.delete(use);
        uses.push(use);
        const waitingNano = this.#deps.waitingNano(use);
        const isLast = this.#isStopped || (waitingNano === 0 && use.account.isIdle(nowMs));
        sent.set(use.rules.id, use.account.ask(this.#deps.terms(use), { waitingNano, isLast }));
      }
      const error = await this.#renew(uses, sent, nowMs);
      for (const use of uses) this.changed(use);
      this.#deps.onAnswer(uses, error);
      if (error !== null && this.#isStopped) break;
    }
    this.#underWay = null;
  }

  /** @returns why it failed; null: it did not */
  async #renew(
    uses: readonly ClientUse[],
    sent: ReadonlyMap<number, SentRenewal>,
    nowMs: number,
  ): Promise<unknown> {
    try {
      const answers = await this.#deps.store.renew([...sent.values()].map(({ request }) => request));
      const byToken = new Map(answers.map((answer) => [answer.tokenId, answer]));
      for (const { account } of uses) {
        const renewal = sent.get(account.tokenId);
        const answer = byToken.get(account.tokenId);
        if (renewal === undefined) continue;
        if (answer === undefined) account.failed(renewal);
        else account.answered(renewal, answer, nowMs);
      }
      return null;
    } catch (error) {
      for (const { account } of uses) {
        const renewal = sent.get(account.tokenId);
        if (renewal !== undefined) account.failed(renewal);
      }
      return error ?? new Error("The spending could not be noted");
    }
  }
}
