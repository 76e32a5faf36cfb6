/**
 * The metric families about limits and budgets of tokens.
 *
 * Owns which tokens have series of their own: those that the configuration names, up to a bound.
 */
import type { BudgetReading } from "../core/budget_account.ts";
import { LIMIT_REASONS, type LimitReason } from "../core/refusal.ts";
import { NANO_PER_USD } from "../core/money.ts";
import type { FamilyMaker } from "./metric_families.ts";
import { isPlainLabel } from "./metric_labels.ts";
import type { Counter, Gauge } from "./prometheus.ts";

/** Limit on tokens with series of their own; the others count as `other`. */
const MAX_CLIENTS = 100; // docs/tuning.md#observe
const OTHER = "other";

export class LimitMetrics {
  readonly #refused: Counter<"client" | "reason">;
  readonly #overshoot: Counter;
  #names: ReadonlySet<string> = new Set();
  /** Of the tokens with a budget; called at each scrape. */
  readBudgets: () => readonly BudgetReading[] = () => [];

  constructor(make: FamilyMaker) {
    this.#refused = make.counter(
      "client_refused_total",
      "Requests refused because of a limit of their token.",
      ["client", "reason"],
    );
    this.#overshoot = make.counter(
      "budget_overshoot_usd_total",
      "By how much requests have cost more than was left of a budget, in US dollars.",
    );
    this.#readGauge(
      make,
      "client_budget_usd",
      "Budget of a token for its period, in US dollars.",
      (each) => each.budgetNano,
    );
    this.#readGauge(
      make,
      "client_budget_spent_usd",
      "What a token has spent of its budget in this period, in US dollars.",
      (each) => each.spentNano,
    );
    this.#readGauge(
      make,
      "client_budget_remaining_usd",
      "What is left of a token's budget in this period, in US dollars.",
      ({ budgetNano, spentNano }) => spentNano === null ? null : Math.max(0, budgetNano - spentNano),
    );
    this.#readGauge(
      make,
      "client_budget_reserved_usd",
      "What is reserved of a token's budget for requests under way, in US dollars.",
      (each) => each.reservedNano,
    );
  }

  /** The names of the tokens with rules; the series of others are removed. */
  clientsChanged(names: readonly string[]): void {
    const before = this.#names;
    this.#names = new Set(names.filter(isPlainLabel).slice(0, MAX_CLIENTS));
    for (const client of before) {
      if (this.#names.has(client) || client === OTHER) continue;
      for (const reason of LIMIT_REASONS) this.#refused.remove({ client, reason });
    }
  }

  clientRefused(name: string, reason: LimitReason): void {
    this.#refused.inc({ client: this.#names.has(name) ? name : OTHER, reason });
  }

  budgetOvershoot(nano: number): void {
    if (Number.isFinite(nano) && nano > 0) this.#overshoot.inc(nano / NANO_PER_USD);
  }

  #readGauge(
    make: FamilyMaker,
    name: string,
    help: string,
    nanoOf: (reading: BudgetReading) => number | null,
  ): void {
    make.readGaugeOf<"client">(name, {
      help,
      labelNames: ["client"],
      fill: (gauge: Gauge<"client">) => {
        for (const reading of this.readBudgets()) {
          const nano = nanoOf(reading);
          if (nano !== null && this.#names.has(reading.client)) {
            gauge.set({ client: reading.client }, nano / NANO_PER_USD);
          }
        }
      },
    });
  }
}
