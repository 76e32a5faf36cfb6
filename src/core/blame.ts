/**
 * Tells an upstream's own trouble from one client's: what a breaker, which everybody shares, is to hear of how a
 * request ended.
 *
 * One client can make an upstream refuse or fail as often as it likes: with a model that the key may not use, a body
 * that crashes a worker, an answer that takes too long. So a client's word alone counts only where nobody else's says
 * otherwise. Pure: time comes in as a monotonic number of milliseconds.
 */
import type { BreakerEvent } from "./breaker.ts";
import { isHealthFailure } from "./policy.ts";

/** How a request ended at an upstream. `client` tells clients apart, and is shown to nobody. */
export type HealthReport =
  /** It answered as it should. */
  | { readonly type: "served"; readonly client: string }
  /** It answered, with what is the client's mistake: it is there, and no more is known. */
  | { readonly type: "answered" }
  /** Connection, timeout, 5xx, 429 or bad reply. */
  | { readonly type: "failed"; readonly client: string }
  /** 401 or 403 to the configured key. */
  | { readonly type: "refused"; readonly client: string }
  /** It asked to be left alone. */
  | { readonly type: "throttled"; readonly forMs: number }
  /** Nothing of the upstream: the client's own key was refused, or the client left. */
  | { readonly type: "nothing" };

/** How long a client that was served vouches for an upstream against another one that is not. */
export const VOUCHING_MS = 60_000;

const SUCCESS: BreakerEvent = { type: "success" };
const FAILURE: BreakerEvent = { type: "failure" };
const ABANDONED: BreakerEvent = { type: "abandoned" };

/**
 * What an answer's status alone says; null for one that shows only later whether it is as it should be.
 * @param isAsis the key is the client's own, and so is what 401, 403 and 429 say of it
 * @param waitMs how long a 429 or 503 asks to be left alone; null: it does not
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

/** What is remembered of one upstream: who was served last, and who has not been since. */
export class Witnesses {
  #last: Witness | null = null;
  /** The last one that is another client than that. */
  #other: Witness | null = null;
  /** The clients that failed since one was served. */
  #accuser: string | null = null;
  #hasSeveralAccusers = false;

  /** What the breaker is to hear. */
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

  /** Two clients that fail are not mistaken. One may be, when the key has worked or others are served. */
  #counts({ type, client }: Extract<HealthReport, { type: "failed" | "refused" }>, nowMs: number): boolean {
    this.#accuser ??= client;
    this.#hasSeveralAccusers ||= this.#accuser !== client;
    if (this.#hasSeveralAccusers) return true;
    if (type === "refused") return this.#last === null;
    const other = this.#last?.client === client ? this.#other : this.#last;
    return other === null || nowMs - other.servedAtMs >= VOUCHING_MS;
  }
}
