/**
 * Distinguishes an upstream's own failures from those that one client causes, before the breaker, which all clients
 * share, counts them.
 *
 * One client can make an upstream refuse or fail at will: with a key of its own, a header, a model that the key may
 * not use, a body that crashes a worker, an answer that takes too long. So the failures of a single client count only
 * while no other client is served well. Pure: time comes in as a monotonic number of milliseconds.
 */
import type { OpenCause } from "./breaker.ts";
import { isAboutObject, isCodedMistake, meaningOf } from "./error_meaning.ts";
import type { ReportedError } from "./reported_error.ts";

/** What the end of an attempt says about its upstream. */
export type HealthReport =
  /** It answered as it should. */
  | { readonly type: "served" }
  /** It answered with an error that is the client's mistake: it is reachable, and no more is known. */
  | { readonly type: "answered" }
  /** It does not have what was asked for (404): the client's mistake, unless another upstream answers the same. */
  | { readonly type: "missing" }
  /** It did not have what another upstream then answered. */
  | { readonly type: "lacking" }
  /** `upstream`: it cannot be reached at all. */
  | { readonly type: "failed"; readonly at: "upstream" | "model"; readonly cause: OpenCause }
  /** 401 or 403; `isProven`: another key was then accepted for the same request. */
  | { readonly type: "refused"; readonly by: KeyOwner; readonly isProven?: true }
  /** It asked not to be tried for a while (`Retry-After`); `isBusy`: with 503, which no other key would change. */
  | {
    readonly type: "throttled";
    readonly by: KeyOwner;
    readonly forMs: number;
    readonly isBusy?: true;
  }
  /** The account has no credit left; certain when the provider's code or status says so. */
  | { readonly type: "no_credit"; readonly by: KeyOwner; readonly isCertain: boolean }
  /** Another upstream was faster: no failure, and no proof that it is well. */
  | { readonly type: "outrun" }
  /** Says nothing about the upstream: the client left, or was not served for lack of a key. */
  | { readonly type: "nothing" };

/**
 * What the credential of an attempt was: the client's own (`asis`), so that what is said of it is said of the client;
 * the configured one together with headers of the client that an upstream may refuse; or the configured one alone.
 */
export type KeyOwner = "client" | "both" | "router";

/** An attempt, as far as blame depends on it. */
export interface AttemptFacts {
  readonly keyOwner: KeyOwner;
  /** The request names a model. */
  readonly hasModel: boolean;
}

/** How long a success of one client outweighs the failures of another one. */
export const VOUCHING_MS = 60_000;

const ANSWERED: HealthReport = { type: "answered" };
const MISSING: HealthReport = { type: "missing" };
const OUTAGE: HealthReport = { type: "failed", at: "model", cause: "outage" };
const REFUSAL: HealthReport = { type: "failed", at: "model", cause: "refusal" };

/**
 * What an error answer says.
 *
 * @param status 300 or more
 * @param waitMs how long a 429 or 503 asks to wait; null: it does not say
 * @param error as its body states it; null when that cannot be read
 */
export function statusReport(
  status: number,
  { error, waitMs }: { readonly error: ReportedError | null; readonly waitMs: number | null },
  { keyOwner: by, hasModel }: AttemptFacts,
): HealthReport {
  if (status < 400 && status >= 300) return { type: "nothing" };
  const meaning = error === null ? null : meaningOf(error);
  const isNoCredit = status === 402 || meaning === "no_credit";
  if (isNoCredit || (meaning === "perhaps_no_credit" && status < 500)) {
    return { type: "no_credit", by, isCertain: isNoCredit && meaning !== "perhaps_no_credit" };
  }
  const isAboutKey = status === 401 || status === 403;
  // "You do not have access to the model": the key is good for others.
  if (meaning === "model" && status !== 401 && status !== 429) return hasModel ? MISSING : ANSWERED;
  if (by === "client" && status === 429) {
    return waitMs === null ? { type: "refused", by } : { type: "throttled", by, forMs: waitMs };
  }
  if (waitMs !== null) {
    return { type: "throttled", by: "router", forMs: waitMs, ...(status === 503 ? { isBusy: true } : {}) };
  }
  if (isAboutKey) return { type: "refused", by };
  if (status === 429) return REFUSAL;
  if (status >= 500 || status < 100 || status === 408) {
    return error !== null && isCodedMistake(error) ? ANSWERED : OUTAGE;
  }
  const isMissing = status === 404 || status === 405 || status === 410;
  return isMissing && hasModel && (error === null || !isAboutObject(error)) ? MISSING : ANSWERED;
}

/** What an error in a reply with status 200 says. */
export function errorReport(error: ReportedError, { keyOwner: by, hasModel }: AttemptFacts): HealthReport {
  const meaning = meaningOf(error);
  switch (meaning) {
    case "no_credit":
    case "perhaps_no_credit":
      return { type: "no_credit", by, isCertain: meaning === "no_credit" };
    case "key":
      return { type: "refused", by };
    case "rate":
      return by === "client" ? { type: "refused", by } : REFUSAL;
    case "model":
      return hasModel ? MISSING : ANSWERED;
    case "too_long":
    case "client":
      return ANSWERED;
    case "upstream":
    case null:
      return OUTAGE;
    default:
      return meaning satisfies never;
  }
}

/** Whether a failure is about the key, so that another key of the same upstream may do better. */
export function isAboutKey(status: number | null, error: ReportedError | null): boolean {
  if (status === 401 || status === 402 || status === 403 || status === 429) return true;
  if (error === null || (status !== null && (status < 400 || status >= 500))) return false;
  const meaning = meaningOf(error);
  return meaning === "no_credit" || meaning === "perhaps_no_credit" || meaning === "key" ||
    meaning === "rate";
}

/** Which clients something served last, and which have failed since. */
export class Witnesses {
  #last: string | null = null;
  #lastServedMs = 0;
  /** The last one of another client. */
  #other: string | null = null;
  #otherServedMs = 0;
  /** The first client that failed since one was served. */
  #accuser: string | null = null;
  #hasSeveralAccusers = false;

  /** @param client identifies a client, and is never shown */
  served(client: string, nowMs: number): void {
    if (this.#last !== client) {
      this.#other = this.#last;
      this.#otherServedMs = this.#lastServedMs;
      this.#last = client;
    }
    this.#lastServedMs = nowMs;
    this.forget();
  }

  /** Whether any client was ever served. */
  get hasServed(): boolean {
    return this.#last !== null;
  }

  /** Forgets who failed: it has answered since. */
  forget(): void {
    this.#accuser = null;
    this.#hasSeveralAccusers = false;
  }

  /** Whether a failure of this client counts: those of two clients do, those of one unless others are served. */
  countsFailure(client: string, nowMs: number): boolean {
    return this.accuse(client) || !this.isVouchedFor(client, nowMs);
  }

  /** Whether a refusal of the configured key counts: of one that has worked, only what two clients see. */
  countsRefusal(client: string): boolean {
    return this.accuse(client) || this.#last === null;
  }

  /** Notes a failure of this client; true when several clients have failed since one was served. */
  accuse(client: string): boolean {
    this.#accuser ??= client;
    this.#hasSeveralAccusers ||= this.#accuser !== client;
    return this.#hasSeveralAccusers;
  }

  /** Another client was served lately. */
  isVouchedFor(client: string, nowMs: number): boolean {
    const isLast = this.#last === client;
    const other = isLast ? this.#other : this.#last;
    const servedMs = isLast ? this.#otherServedMs : this.#lastServedMs;
    return other !== null && nowMs - servedMs < VOUCHING_MS;
  }
}
