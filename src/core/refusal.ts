/**
 * Requests of clients that were refused for who sent them: the shapes, shared by who counts and who shows them.
 */

export type RefusalReason = "no_token" | "wrong_token" | "ended_token" | "other_site";

export interface RefusedRequest {
  /** Of the client, as far as it is known. */
  readonly address: string;
  readonly reason: RefusalReason;
}

export interface RefusedSummary {
  /** Requests. */
  readonly lastHour: number;
  /** Time in milliseconds since the Unix epoch; null: none in the last hour. */
  readonly last: (RefusedRequest & { readonly atMs: number }) | null;
}
