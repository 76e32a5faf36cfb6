/**
 * How much of a budget one source may charge next: the rule of all databases. Pure.
 *
 * What all rows and leases of a token add up to never grows beyond its budget by a grant: it stays within the larger of
 * the budget and what it was before. So a lease may be kept when the budget has been lowered, or when others have
 * charged more than they held, but none is given then.
 */
import type { LeaseRequest } from "./spend.ts";

/** What the database says of a token, with the rows of the request noted. */
export interface LeaseAccount {
  /** Since the first day of the period, by all sources. */
  readonly spentNano: number;
  /** By how much the source's rows have grown by this request. */
  readonly grownNano: number;
  /** What the source might have charged beyond its rows before. */
  readonly heldNano: number;
  /** What all others may charge beyond their rows. */
  readonly othersLeaseNano: number;
}

/** Of the new lease. */
export function grantedNano(
  { budgetNano, neededNano, wantedNano }: Pick<LeaseRequest, "budgetNano" | "neededNano" | "wantedNano">,
  { spentNano, grownNano, heldNano, othersLeaseNano }: LeaseAccount,
): number {
  if (budgetNano === null) return 0;
  const free = Math.max(0, budgetNano - spentNano - othersLeaseNano);
  // Requests under way stay covered by what was granted for them.
  const kept = Math.max(0, heldNano - grownNano);
  return Math.max(0, Math.min(Math.max(wantedNano, neededNano), free), Math.min(neededNano, kept));
}
