/**
 * What one token uses of its limits: requests and tokens of a minute, requests at once, and its budget's account.
 *
 * Owns the state of one token; synchronous. Who is admitted: client_admission.ts.
 */
import { BudgetAccount, type BudgetTerms } from "../../core/budget_account.ts";
import { type BudgetDays, firstDayOf } from "../../core/budget_days.ts";
import type { ClientRules } from "../../core/client_rules.ts";
import type { BudgetPeriod } from "../../core/money.ts";
import { SlidingWindow } from "../../core/sliding_window.ts";
import { TokenBucket } from "../../core/token_bucket.ts";

/** Why a request does not fit now. */
export interface LimitHit {
  readonly limit: "rpm" | "tpm" | "parallel";
  /** Until it might; null: when another one has ended. */
  readonly waitMs: number | null;
}

export class ClientUse {
  readonly account: BudgetAccount;
  /** Requests that are admitted and not settled. */
  parallel = 0;
  /** Period and threshold of the alerts that were raised; see budget_alerts.ts. */
  alertedFromDay = "";
  alertedShare = 0;
  /** What it had charged when the store answered last. */
  seenNano = 0;
  #rules: ClientRules;
  #requests: SlidingWindow | null = null;
  #tokens: TokenBucket | null = null;

  constructor(rules: ClientRules) {
    this.#rules = rules;
    this.account = new BudgetAccount(rules.id);
  }

  get rules(): ClientRules {
    return this.#rules;
  }

  /** Takes effect at once; what is used of a limit that stays is kept. */
  set rules(rules: ClientRules) {
    if (rules === this.#rules) return;
    const [before, after] = [this.#rules.limits.budget, rules.limits.budget];
    if (before?.nano !== after?.nano || before?.period !== after?.period) this.account.forgetLease();
    this.#rules = rules;
  }

  /** Total for a token without a budget, so that one that it gets later counts what it has spent. */
  get period(): BudgetPeriod {
    return this.#rules.limits.budget?.period ?? "total";
  }

  /** @param nowMs wall clock */
  terms(days: BudgetDays, nowMs: number): BudgetTerms {
    const { budget } = this.#rules.limits;
    return { budgetNano: budget?.nano ?? null, fromDay: firstDayOf(this.period, days.dayOf(nowMs)) };
  }

  /** null: it fits. @param nowMs monotonic */
  hit(tokens: number, nowMs: number, isCounted: boolean): LimitHit | null {
    const { rpm, tpm, maxParallel } = this.#rules.limits;
    if (maxParallel !== null && this.parallel >= maxParallel) return { limit: "parallel", waitMs: null };
    if (rpm !== null && !isCounted) {
      const waitMs = this.#requestsOf().untilAtMost(rpm - 1, nowMs);
      if (waitMs > 0) return { limit: "rpm", waitMs };
    }
    if (tpm !== null && tokens > 0) {
      const waitMs = this.#bucket(tpm, nowMs).roomInMs(tokens, nowMs);
      if (waitMs > 0) return { limit: "tpm", waitMs };
    }
    return null;
  }

  /** Takes what {@link hit} found to be there; {@link end} or {@link undo} must follow. */
  begin(tokens: number, nowMs: number, isCounted: boolean): void {
    this.parallel++;
    const { rpm, tpm } = this.#rules.limits;
    if (rpm !== null && !isCounted) this.#requestsOf().add(1, nowMs);
    if (tpm !== null) this.#bucket(tpm, nowMs).take(tokens, nowMs);
  }

  /** Counts a request that is answered here. */
  count(nowMs: number): void {
    if (this.#rules.limits.rpm !== null) this.#requestsOf().add(1, nowMs);
  }

  /** A request has ended. @param unused tokens of those that it took; negative: it used more */
  end(unused: number, nowMs: number): void {
    this.parallel--;
    this.giveBack(unused, nowMs);
  }

  giveBack(tokens: number, nowMs: number): void {
    if (tokens !== 0) this.#tokens?.giveBack(tokens, nowMs);
  }

  /** A request was refused after all: it does not count. */
  undo(
    { tokens, atMs, isCounted }: {
      readonly tokens: number;
      readonly atMs: number;
      readonly isCounted: boolean;
    },
    nowMs: number,
  ): void {
    this.end(tokens, nowMs);
    if (!isCounted) this.#requests?.correct(-1, { atMs, nowMs });
  }

  /** Fields of answers that say how much is left; null: it has no such limit. @param nowMs monotonic */
  headers(nowMs: number): readonly (readonly [name: string, value: string])[] | null {
    const { rpm, tpm } = this.#rules.limits;
    if (rpm === null && tpm === null) return null;
    const fields: (readonly [string, string])[] = [];
    const add = (what: string, limit: number, left: number, resetMs: number) => {
      fields.push(
        [`x-ratelimit-limit-${what}`, String(limit)],
        [`x-ratelimit-remaining-${what}`, String(left)],
        [`x-ratelimit-reset-${what}`, durationText(resetMs)],
      );
    };
    if (rpm !== null) {
      const window = this.#requestsOf();
      add("requests", rpm, Math.max(0, rpm - window.total(nowMs)), window.untilEmpty(nowMs));
    }
    if (tpm !== null) {
      const bucket = this.#bucket(tpm, nowMs);
      add("tokens", tpm, bucket.remaining(nowMs), bucket.roomInMs(tpm, nowMs));
    }
    return fields;
  }

  /** Nothing of it is needed if its token is gone. */
  get isIdle(): boolean {
    return this.parallel === 0 && !this.account.hasChanges && !this.account.hasLease;
  }

  #requestsOf(): SlidingWindow {
    return this.#requests ??= new SlidingWindow();
  }

  #bucket(tpm: number, nowMs: number): TokenBucket {
    const bucket = this.#tokens ??= new TokenBucket(tpm, nowMs);
    if (bucket.perMinute !== tpm) bucket.resize(tpm, nowMs);
    return bucket;
  }
}

/** As OpenAI writes it: `120ms`, `8s`, `6m0s`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.ceil(ms))}ms`;
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
