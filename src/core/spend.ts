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
   * Notes the rows, and renews leases, atomically. What is answered is durable.
   * @throws when the database cannot be used: nothing is known to have changed
   */
  renew(requests: readonly LeaseRequest[]): Promise<readonly LeaseAnswer[]>;
}
