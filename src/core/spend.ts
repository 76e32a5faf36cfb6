/**
 * What tokens of clients have spent, and what servers may still charge them. Types only.
 *
 * A source is one run of a server; only it writes its rows. It may charge a token no more than its rows say already, plus
 * its lease, which is durable before it is used: so the sum of all rows and leases never exceeds a budget, whatever dies.
 */

/** What one source has charged one token on one day: sums since the day began, not changes. */
export interface SpendRow {
  /** In the time zone of the settings, such as `2026-01-31`. */
  readonly day: string;
  /** Money is in 1e-9 US dollars. */
  readonly costNano: number;
  readonly requests: number;
  readonly tokens: number;
  /** Part of the cost that nobody reported. */
  readonly estimatedNano: number;
  /** By how much requests have cost more than was left of the budget. */
  readonly overshootNano: number;
}

/** Asks for one token. */
export interface LeaseRequest {
  readonly tokenId: number;
  /** This source's rows that have changed since the last answer. */
  readonly rows: readonly SpendRow[];
  /** What this source needs now beyond its rows: what is reserved for requests under way. */
  readonly neededNano: number;
  /** What it would like to have, so that it need not ask for each request; at least what it needs. */
  readonly wantedNano: number;
  /** null: the token has none, and its spending is only noted. */
  readonly budgetNano: number | null;
  /** First day of the budget's period. */
  readonly fromDay: string;
}

export interface LeaseAnswer {
  readonly tokenId: number;
  /**
   * What this source may charge beyond its rows from now on: as much as fits of what it wants, and less than it needs only
   * if that does not fit.
   */
  readonly leaseNano: number;
  /** Spent since {@link LeaseRequest.fromDay} by all sources, this one included. */
  readonly spentNano: number;
  /** What all other sources may charge beyond their rows. */
  readonly othersLeaseNano: number;
}

export interface SpendStore {
  /**
   * Notes the rows, and renews leases, atomically: at most one request for a token. What is answered is durable.
   *
   * A source that wants less than it holds gives up the rest as it asks, not with the answer, which may be lost.
   *
   * @throws when the database cannot be used: nothing is known to have changed. It may have, all the same: the rows are to
   *   be sent again, and until an answer comes no more than what was wanted may be counted on
   */
  renew(requests: readonly LeaseRequest[]): Promise<readonly LeaseAnswer[]>;
}

/** What one token was charged on one day, by all sources together. */
export interface DaySpend extends SpendRow {
  readonly tokenId: number;
}

export interface SpendQuery {
  /** Absent: all tokens. */
  readonly tokenIds?: readonly number[];
  /** The first day, such as `2026-01-31`; `""`: since ever. */
  readonly fromDay: string;
}

/** By token, then by day; days without spending are left out. */
export type SpentDays = readonly DaySpend[];
