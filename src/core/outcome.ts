/**
 * What the outcome of a request means: whether the service failed, whether it deserves an alert, and which of its attempts
 * the upstream is to blame for.
 */
import { type Outcome, UNBLAMED_CLASSES } from "./types.ts";

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

/** Whether an upstream answered the request as it should. @param outcome as in {@link isFailure} */
export function isAnswered(outcome: string | null, status: number | null): boolean {
  return outcome === "complete" || (outcome === null && !isFailure(outcome, status) && (status ?? 0) < 400);
}

interface EndedAttempt {
  readonly errorClass: string | null;
  readonly status: number | null;
}

/**
 * Whether an attempt failed, and the upstream is to blame: not when nobody waited for it any more, when the client gave no
 * key, or when it says what the client did wrong and no other upstream answered the same request.
 */
export function isBlamed(
  { errorClass, status }: EndedAttempt,
  request: { readonly outcome: string | null; readonly status: number | null },
): boolean {
  if (errorClass === null || errorClass === "no_credential" || UNBLAMED_CLASSES.has(errorClass)) return false;
  const isMistake = errorClass === "http_status" && CLIENT_MISTAKES.has(status ?? 0);
  return !isMistake || isAnswered(request.outcome, request.status);
}
