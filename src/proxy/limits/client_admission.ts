/**
 * Admits requests of tokens with rules: each takes what it may need of its token's limits in one synchronous step, so that
 * no two can take the same, and gives back at its end what it did not use.
 *
 * A request waits only while a lease of its budget is made durable. Money is charged when a request ends, to that day:
 * what is reserved counts against whichever period is current, so that no period gets more than its budget.
 */
import { isChargedElsewhere } from "../../core/api_path.ts";
import type { BudgetReading, BudgetTerms, Charge } from "../../core/budget_account.ts";
import { BudgetDays } from "../../core/budget_days.ts";
import type { ClientRules } from "../../core/client_rules.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { RouterError } from "../../core/errors.ts";
import type { FixedHeaders } from "../../core/fixed_headers.ts";
import { OutputSizes } from "../../core/output_sizes.ts";
import type { Prices } from "../../core/prices.ts";
import type { LimitReason } from "../../core/refusal.ts";
import type { SpendStore } from "../../core/spend.ts";
import type { RequestRecord, Upstream } from "../../core/types.ts";
import type { Notifier } from "../../notify/notifier.ts";
import { Admission, type AdmissionOwner } from "./admission.ts";
import { BudgetAlerts } from "./budget_alerts.ts";
import { ClientUse } from "./client_use.ts";
import { type ClientDemand, costDemand, NO_COST, tokenDemand } from "./demand.ts";
import { ANSWER_LIMIT_MS, LeaseRenewals } from "./lease_renewals.ts";
import {
  limitError,
  priceError,
  quotaError,
  reservedError,
  unavailableError,
  uncountedError,
} from "./limit_errors.ts";

/** What the store said is good enough to refuse by for so long. */
const FRESH_MS = 1_000;
/** What a reading of the metrics tells may be so old. */
const READING_AGE_MS = 60_000;
/** Answers without room that a request waits for, although there should be room. */
const MAX_TRIES = 3;

export interface ClientAdmissionDeps {
  readonly clock: Clock;
  readonly prices: Prices;
  /** null: what tokens spend is not noted, and those with a budget are refused. */
  readonly spend: SpendStore | null;
  /** Where the days of budgets begin. */
  readonly timeZone: string;
  readonly notifier: Pick<Notifier, "raise">;
  readonly observer: LimitObserver;
}

export interface LimitObserver {
  /** @param client the token's name */
  clientRefused(client: string, reason: LimitReason): void;
  /** A request has cost more than was left. */
  budgetOvershoot(nano: number): void;
  /** The spending could not be noted. */
  spendFailed(error: unknown): void;
}

interface Waiter {
  readonly admission: Admission;
  readonly resolve: (admission: Admission) => void;
  readonly reject: (error: RouterError) => void;
  readonly timer: TimerId;
  /** Its demand is part of the call under way. */
  isAsked: boolean;
  tries: number;
}

export class ClientAdmission implements AdmissionOwner {
  readonly #deps: ClientAdmissionDeps;
  readonly #days: BudgetDays;
  readonly #sizes = new OutputSizes();
  readonly #uses = new Map<number, ClientUse>();
  readonly #waiting = new Map<ClientUse, Set<Waiter>>();
  readonly #renewals: LeaseRenewals | null;
  readonly #alerts: BudgetAlerts;
  #isClosed = false;

  constructor(deps: ClientAdmissionDeps) {
    this.#deps = deps;
    this.#days = new BudgetDays(deps.timeZone);
    this.#alerts = new BudgetAlerts(deps.notifier);
    this.#renewals = deps.spend === null ? null : new LeaseRenewals({
      store: deps.spend,
      clock: deps.clock,
      terms: (use) => this.#terms(use),
      waitingNano: (use) => this.#askFor(use),
      onAnswer: (uses, error) => this.#answered(uses, error),
    });
  }

  /** Learns what tokens with a budget have spent, and forgets those that are gone. */
  tokensChanged(rules: readonly ClientRules[]): void {
    const ids = new Set(rules.map(({ id }) => id));
    for (const [id, use] of this.#uses) if (!ids.has(id) && use.isIdle) this.#uses.delete(id);
    for (const each of rules) {
      const { budget } = each.limits;
      if (budget === null && !this.#uses.has(each.id)) continue;
      const use = this.#useOf(each);
      if (budget !== null && use.account.spentNano(this.#terms(use).fromDay) === null) {
        this.#renewals?.need(use);
      }
    }
  }

  /**
   * Takes what the request may need; a Promise only while a lease must be made durable first. What was taken goes back
   * with the admission's end, which the caller must see to.
   * @throws RouterError when it does not fit: 429, 403 or 503
   */
  admit(rules: ClientRules, demand: ClientDemand): Admission | Promise<Admission> {
    const use = this.#useOf(rules);
    const { budget, tpm } = rules.limits;
    const nowMs = this.#deps.clock.monotonic();
    const isCounted = demand.isCounted === true;
    const size = budget === null && tpm === null ? null : tokenDemand(demand, this.#sizes);
    const tokens = size === null ? 0 : size.input + size.output;
    const hit = use.hit(tokens, nowMs, isCounted);
    if (hit !== null) throw this.#refused(use, hit.limit, limitError(use, hit, nowMs));
    const cost = size === null || budget === null ? NO_COST : costDemand(demand, size, this.#deps.prices);
    if ("name" in cost) throw this.#unpriced(use, demand, cost);
    use.begin(tokens, nowMs, isCounted);
    const admission = new Admission(this, use, { tokens, ...cost, atMs: nowMs, isCounted });
    if (budget === null || use.account.reserve(cost.costNano, nowMs)) return admission;
    const refusal = this.#mayAsk(use, cost.costNano, nowMs);
    if (refusal === null) return this.#wait(admission);
    // Nothing is reserved of the budget.
    use.undo(admission.reserved, nowMs);
    throw refusal;
  }

  /** Counts a request that is answered here. @throws RouterError 429 */
  admitLookUp(rules: ClientRules): void {
    const use = this.#useOf(rules);
    const nowMs = this.#deps.clock.monotonic();
    const hit = use.hit(0, nowMs, false);
    if (hit !== null) throw this.#refused(use, hit.limit, limitError(use, hit, nowMs));
    use.count(nowMs);
  }

  charge(admission: Admission, charge: Charge, record: RequestRecord): string {
    const { use, reserved } = admission;
    const { clock, observer } = this.#deps;
    const { account } = use;
    use.end(reserved.tokens - charge.tokens, clock.monotonic());
    account.release(reserved.costNano);
    const terms = this.#terms(use);
    const overshoot = account.overshootNano(charge.costNano, terms);
    if (overshoot > 0) observer.budgetOvershoot(overshoot);
    const day = account.charge(this.#days.dayOf(clock.now()), charge, overshoot);
    this.#renewals?.changed(use);
    this.#alerts.charged(use, terms);
    const { model, outcome, usage, areTokensEstimated } = record;
    if (outcome === "complete" && !areTokensEstimated && model !== null && usage?.outputTokens) {
      this.#sizes.add(model, usage.outputTokens);
    }
    return day;
  }

  correct({ use }: Admission, change: Charge, day: string): void {
    use.giveBack(-change.tokens, this.#deps.clock.monotonic());
    if (change.costNano === 0 && change.tokens === 0 && change.estimatedNano === 0) return;
    use.account.charge(day, change);
    this.#renewals?.changed(use);
    this.#alerts.charged(use, this.#terms(use));
  }

  withdraw({ use, reserved }: Admission): void {
    use.account.release(reserved.costNano);
    use.undo(reserved, this.#deps.clock.monotonic());
  }

  headers(use: ClientUse): FixedHeaders | null {
    return use.headers(this.#deps.clock.monotonic());
  }

  /** Of the tokens with a budget, as far as it is known; what is old is asked for. */
  readings(): BudgetReading[] {
    const nowMs = this.#deps.clock.monotonic();
    return [...this.#uses.values()].flatMap((use) => {
      const { name, limits: { budget } } = use.rules;
      if (budget === null) return [];
      const terms = this.#terms(use);
      // For the next reading.
      if (!use.account.isFresh(terms, nowMs, READING_AGE_MS)) this.#renewals?.need(use);
      const spentNano = use.account.spentNano(terms.fromDay);
      const { reservedNano } = use.account;
      return [{ client: name, budgetNano: budget.nano, spentNano, reservedNano }];
    });
  }

  /** Nobody waits any more, and who comes does not wait. */
  close(): void {
    this.#isClosed = true;
    for (const waiters of this.#waiting.values()) {
      for (const waiter of waiters) this.#turnAway(waiter, "budget_unavailable");
    }
  }

  /** Notes what was spent, and gives all leases back; call it when no request is under way. */
  async stop(): Promise<void> {
    this.close();
    await this.#renewals?.stop();
  }

  #useOf(rules: ClientRules): ClientUse {
    let use = this.#uses.get(rules.id);
    if (use === undefined) {
      use = new ClientUse(rules);
      this.#uses.set(rules.id, use);
    }
    use.rules = rules;
    return use;
  }

  #terms(use: ClientUse): BudgetTerms {
    return use.terms(this.#days, this.#deps.clock.now());
  }

  #refused(use: ClientUse, reason: LimitReason, error: RouterError): RouterError {
    this.#deps.observer.clientRefused(use.rules.name, reason);
    return error;
  }

  #unpriced(
    use: ClientUse,
    { inbound: { shownModel, path } }: ClientDemand,
    { name }: Upstream,
  ): RouterError {
    const error = isChargedElsewhere(path)
      ? uncountedError(use.rules, path)
      : priceError(use.rules, { model: shownModel, upstream: name });
    return this.#refused(use, "price_unknown", error);
  }

  /** Why the store need not be asked; null: it may have room. */
  #mayAsk(use: ClientUse, costNano: number, nowMs: number): RouterError | null {
    if (this.#renewals === null || this.#isClosed) {
      return this.#refused(use, "budget_unavailable", unavailableError(use.rules));
    }
    const terms = this.#terms(use);
    const isKnown = use.account.isFresh(terms, nowMs, FRESH_MS) && !use.account.fits(costNano, terms);
    return isKnown ? this.#overBudget(use, costNano) : null;
  }

  #overBudget(use: ClientUse, costNano: number): RouterError {
    const { budgetNano, fromDay } = this.#terms(use);
    const spentNano = use.account.spentNano(fromDay) ?? use.account.ownSpentNano(fromDay);
    if (budgetNano === null || (spentNano < budgetNano && spentNano + costNano <= budgetNano)) {
      return this.#refused(use, "budget_reserved", reservedError(use.rules));
    }
    this.#alerts.refused(use, spentNano);
    const untilEndMs = this.#days.untilEndMs(use.period, this.#deps.clock.now());
    return this.#refused(use, "budget", quotaError(use.rules, { spentNano, costNano, untilEndMs }));
  }

  #wait(admission: Admission): Promise<Admission> {
    const { use } = admission;
    const { promise, resolve, reject } = Promise.withResolvers<Admission>();
    const timer = this.#deps.clock.setTimer(
      () => this.#turnAway(waiter, "budget_unavailable"),
      ANSWER_LIMIT_MS,
    );
    const waiter: Waiter = { admission, resolve, reject, timer, isAsked: false, tries: 0 };
    const waiters = this.#waiting.get(use);
    if (waiters === undefined) this.#waiting.set(use, new Set([waiter]));
    else waiters.add(waiter);
    this.#renewals?.need(use);
    return promise;
  }

  /** What those need who wait for a lease now. */
  #askFor(use: ClientUse): number {
    let nano = 0;
    for (const waiter of this.#waiting.get(use) ?? []) {
      waiter.isAsked = true;
      nano += waiter.admission.reserved.costNano;
    }
    return nano;
  }

  #answered(uses: readonly ClientUse[], error: unknown): void {
    if (error !== null) this.#deps.observer.spendFailed(error);
    for (const use of uses) {
      if (error === null) this.#alerts.learned(use, this.#terms(use));
      for (const waiter of this.#waiting.get(use) ?? []) {
        if (waiter.isAsked) this.#decide(waiter, error);
      }
      if (this.#waiting.has(use)) this.#renewals?.need(use);
    }
  }

  /** The store has answered, or failed to. */
  #decide(waiter: Waiter, error: unknown): void {
    const { use, reserved } = waiter.admission;
    waiter.isAsked = false;
    if (use.account.reserve(reserved.costNano, this.#deps.clock.monotonic())) {
      this.#leave(waiter);
      return waiter.resolve(waiter.admission);
    }
    if (error !== null) return this.#turnAway(waiter, "budget_unavailable");
    const isFull = !use.account.fits(reserved.costNano, this.#terms(use));
    // Others were faster otherwise.
    if (isFull || ++waiter.tries >= MAX_TRIES) this.#turnAway(waiter, "over");
  }

  #turnAway(waiter: Waiter, why: "budget_unavailable" | "over"): void {
    const { use, reserved } = waiter.admission;
    this.#leave(waiter);
    use.undo(reserved, this.#deps.clock.monotonic());
    waiter.reject(
      why === "over"
        ? this.#overBudget(use, reserved.costNano)
        : this.#refused(use, "budget_unavailable", unavailableError(use.rules)),
    );
  }

  #leave(waiter: Waiter): void {
    this.#deps.clock.clearTimer(waiter.timer);
    const { use } = waiter.admission;
    const waiters = this.#waiting.get(use);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiting.delete(use);
  }
}
