/**
 * Distinguishes an upstream's own failures from those that one client causes, before the breaker, which all clients
 * share, counts them.
 *
 * One client can make an upstream refuse or fail at will: with a model that the key may not use, a body that crashes
 * a worker, an answer that takes too long. So the failures of a single client count only while no other client is
 * served well. Pure: time comes in as a monotonic number of milliseconds.
 */
import type { BreakerEvent } from "./breaker.ts";
import { isHealthFailure } from "./policy.ts";

/** How a request ended at an upstream. `client` identifies a client, and is never shown. */
export type HealthReport =
  /** It answered as it should. */
  | { readonly type: "served"; readonly client: string }
  /** It answered with an error that is the client's mistake: it is reachable, and no more is known. */
  | { readonly type: "answered" }
  /** Connection, timeout, 5xx, 429 or bad reply. */
  | { readonly type: "failed"; readonly client: string }
  /** 401 or 403 to the configured key. */
  | { readonly type: "refused"; readonly client: string }
  /** It asked not to be tried for a while (`Retry-After`). */
  | { readonly type: "throttled"; readonly forMs: number }
  /** Says nothing about the upstream: the client's own key was refused, or the client left. */
  | { readonly type: "nothing" };

/** How long a success of one client outweighs the failures of another one. */
export const VOUCHING_MS = 60_000;

const SUCCESS: BreakerEvent = { type: "success" };
const FAILURE: BreakerEvent = { type: "failure" };
const ABANDONED: BreakerEvent = { type: "abandoned" };

/**
 * What an answer's status alone says; null when only the body will show whether the answer is good.
 * @param isAsis the key is the client's own, so 401, 403 and 429 are about the client
 * @param waitMs how long a 429 or 503 asks to wait; null: it does not say
 */
export function statusReport(
  status: number,
  { client, isAsis, waitMs }: {
    readonly client: string;
    readonly isAsis: boolean;
    readonly waitMs: number | null;
  },
): HealthReport | null {
  const isAboutKey = status === 401 || status === 403;
  if (isAsis && (isAboutKey || status === 429)) return { type: "nothing" };
  if (waitMs !== null) return { type: "throttled", forMs: waitMs };
  if (isAboutKey) return { type: "refused", client };
  if (isHealthFailure(status)) return { type: "failed", client };
  if (status >= 400) return { type: "answered" };
  return status >= 300 ? { type: "nothing" } : null;
}

interface Witness {
  readonly client: string;
  servedAtMs: number;
}

/** What is remembered of one upstream: which clients it served last, and which have failed since. */
export class Witnesses {
  #last: Witness | null = null;
  /** The last one of another client. */
  #other: Witness | null = null;
  /** The first client that failed since one was served. */
  #accuser: string | null = null;
  #hasSeveralAccusers = false;

  /** The event for the breaker. */
  weigh(report: HealthReport, nowMs: number): BreakerEvent {
    switch (report.type) {
      case "served":
        this.#served(report.client, nowMs);
        return SUCCESS;
      case "answered":
        this.#forgetAccusers();
        return SUCCESS;
      case "failed":
      case "refused":
        return this.#counts(report, nowMs) ? FAILURE : ABANDONED;
      case "throttled":
        return report;
      case "nothing":
        return ABANDONED;
      default:
        return report satisfies never;
    }
  }

  #served(client: string, nowMs: number): void {
    if (this.#last?.client === client) this.#last.servedAtMs = nowMs;
    else {
      this.#other = this.#last;
      this.#last = { client, servedAtMs: nowMs };
    }
    this.#forgetAccusers();
  }

  #forgetAccusers(): void {
    this.#accuser = null;
    this.#hasSeveralAccusers = false;
  }

  /** Failures of two clients count. Those of one may be its own fault if the key has worked or others are served. */
  #counts({ type, client }: Extract<HealthReport, { type: "failed" | "refused" }>, nowMs: number): boolean {
    this.#accuser ??= client;
    this.#hasSeveralAccusers ||= this.#accuser !== client;
    if (this.#hasSeveralAccusers) return true;
    if (type === "refused") return this.#last === null;
    const other = this.#last?.client === client ? this.#other : this.#last;
    return other === null || nowMs - other.servedAtMs >= VOUCHING_MS;
  }
}
