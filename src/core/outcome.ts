/**
 * What the outcome of a request means: whether the service failed, and whether it deserves an alert.
 */
import type { Outcome } from "./types.ts";

/** Statuses of a client's own mistake, which deserve no alert. */
const CLIENT_MISTAKES: ReadonlySet<number> = new Set([400, 404, 405, 409, 413, 415, 422]);

interface OutcomeTraits {
  /** For statistics: a client's own mistake or departure is no failure. */
  readonly isFailure: (status: number) => boolean;
  readonly deservesAlert: (status: number) => boolean;
}

const always = (): boolean => true;
const never = (): boolean => false;
const isUpstreamFault = (status: number): boolean => !CLIENT_MISTAKES.has(status);
const isServerError = (status: number): boolean => status >= 500;

const TRAITS: Readonly<Record<Outcome, OutcomeTraits>> = {
  complete: { isFailure: never, deservesAlert: never },
  client_gone: { isFailure: never, deservesAlert: never },
  in_flight: { isFailure: never, deservesAlert: never },
  empty: { isFailure: never, deservesAlert: never },
  // A running server records this only while it stops.
  crashed: { isFailure: always, deservesAlert: never },
  upstream_cut: { isFailure: always, deservesAlert: always },
  idle_timeout: { isFailure: always, deservesAlert: always },
  error_event: { isFailure: always, deservesAlert: always },
  upstream_error: { isFailure: isUpstreamFault, deservesAlert: isUpstreamFault },
  no_upstream: { isFailure: isServerError, deservesAlert: isServerError },
};

/**
 * Whether a request failed.
 *
 * @param outcome null for rows of the Go program, which have only a status (0 or none: there was no answer)
 */
export function isFailure(outcome: string | null, status: number | null): boolean {
  const code = status ?? 0;
  if (outcome === null) return (code < 200 || code >= 400) && code !== 499 && !CLIENT_MISTAKES.has(code);
  return isOutcome(outcome) && TRAITS[outcome].isFailure(code);
}

/** A row edited by hand may hold any word. */
function isOutcome(word: string): word is Outcome {
  return Object.hasOwn(TRAITS, word);
}

export function deservesAlert(outcome: Outcome, status: number): boolean {
  return TRAITS[outcome].deservesAlert(status);
}
