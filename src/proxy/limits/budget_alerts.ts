/**
 * Tells once per period that a token comes near its budget, and that it has reached it.
 *
 * What was told is derived from what is spent, so that a restart does not tell it again.
 */
import type { BudgetTerms } from "../../core/budget_account.ts";
import { budgetText, usdText } from "../../core/money.ts";
import type { Notifier } from "../../notify/notifier.ts";
import type { ClientUse } from "./client_use.ts";

/** Percent of a budget. */
const NEAR = 80;
const REACHED = 100;

export class BudgetAlerts {
  readonly #notifier: Pick<Notifier, "raise">;

  constructor(notifier: Pick<Notifier, "raise">) {
    this.#notifier = notifier;
  }

  /** This server has charged a token. */
  charged(use: ClientUse, terms: BudgetTerms): void {
    this.#spent(use, terms, true);
  }

  /** The store has said what all servers have charged. Those tell it that have charged something themselves. */
  learned(use: ClientUse, terms: BudgetTerms): void {
    const { chargedNano } = use.account;
    const isOwn = chargedNano !== use.seenNano;
    use.seenNano = chargedNano;
    this.#spent(use, terms, isOwn);
  }

  #spent(use: ClientUse, { budgetNano, fromDay }: BudgetTerms, isOwn: boolean): void {
    const spentNano = use.account.spentNano(fromDay);
    if (budgetNano === null || spentNano === null) return;
    const share = spentNano >= budgetNano ? REACHED : spentNano * 100 >= budgetNano * NEAR ? NEAR : 0;
    if (use.alertedFromDay !== fromDay) {
      // What is the case when the server begins, was told by whoever spent it.
      use.alertedFromDay = fromDay;
      use.alertedShare = isOwn ? 0 : share;
    }
    if (share <= use.alertedShare) return;
    use.alertedShare = share;
    if (isOwn) this.#raise(use, share, spentNano);
  }

  /** A request was refused, because what is left is too little for it. */
  refused(use: ClientUse, spentNano: number): void {
    if (use.alertedShare !== NEAR) return;
    use.alertedShare = REACHED;
    this.#raise(use, REACHED, spentNano);
  }

  #raise({ rules: { name, limits: { budget } } }: ClientUse, share: number, spentNano: number): void {
    if (budget === null) return;
    this.#notifier.raise({
      type: share === REACHED ? "budget_reached" : "budget_near",
      client: name,
      budget: budgetText(budget),
      spentUsd: usdText(spentNano),
    });
  }
}
