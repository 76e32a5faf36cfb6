/**
 * What the end of a request says about the service: whether something failed that somebody should look at.
 */
import type { Outcome } from "./types.ts";

/** Statuses that are the client's own mistake: nobody needs to be woken. */
export const CLIENT_MISTAKES: ReadonlySet<number> = new Set([400, 404, 405, 409, 413, 415, 422]);

/**
 * Whether a request failed, for statistics: a client's own mistake or departure is no failure.
 *
 * @param outcome null for rows of the Go program, which have only a status (0 or none: no answer came)
 */
export function isFailure(outcome: Outcome | null, status: number | null): boolean {
  switch (outcome) {
    case "complete":
    case "client_gone":
    case "in_flight":
    case "empty":
      return false;
    case "crashed":
    case "upstream_cut":
    case "idle_timeout":
    case "error_event":
      return true;
    case "upstream_error":
      return !CLIENT_MISTAKES.has(status ?? 0);
    case "no_upstream":
      return (status ?? 0) >= 500;
    case null: {
      const code = status ?? 0;
      return (code < 200 || code >= 400) && code !== 499 && !CLIENT_MISTAKES.has(code);
    }
    default:
      outcome satisfies never;
      // A row that somebody typed.
      return false;
  }
}
