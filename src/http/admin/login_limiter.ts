/**
 * Makes those wait who send wrong admin tokens.
 *
 * Owns the counts, always bounded. The right token is compared first and never waits, so nobody can lock its holder
 * out; its length protects it from guessing (see `token set --admin`).
 */
import { networkOf } from "../../core/client_ip.ts";

/** Wrong tokens that are answered at once, and the longest wait after them. */
interface Allowance {
  readonly free: number;
  readonly maxWaitSeconds: number;
}

const PER_NETWORK: Allowance = { free: 10, maxWaitSeconds: 300 };
const OVERALL: Allowance = { free: 200, maxWaitSeconds: 60 };
/** After this long without a wrong token, the count starts again. */
const FORGET_MS = 5 * 60_000;
const MAX_NETWORKS = 1_000;

interface Failures {
  readonly count: number;
  readonly lastMs: number;
  /** A wrong token before this moment must wait. */
  readonly untilMs: number;
}

const NONE: Failures = { count: 0, lastMs: -Infinity, untilMs: -Infinity };

export class LoginLimiter {
  readonly #monotonic: () => number;
  /** By {@link networkOf}, in the order of their last failure. */
  readonly #byNetwork = new Map<string, Failures>();
  #all = NONE;

  /** @param monotonic milliseconds from an arbitrary start */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /**
   * Counts a wrong token. The wait doubles with each one that comes too early.
   * @returns seconds to wait before the next one; 0: none
   */
  failed(address: string): number {
    const nowMs = this.#monotonic();
    const network = networkOf(address);
    const own = this.#byNetwork.get(network) ?? NONE;
    const counted = [counting(own, PER_NETWORK, nowMs), counting(this.#all, OVERALL, nowMs)] as const;
    this.#byNetwork.delete(network);
    this.#byNetwork.set(network, counted[0].failures);
    this.#all = counted[1].failures;
    for (const oldest of this.#byNetwork.keys()) {
      if (this.#byNetwork.size <= MAX_NETWORKS) break;
      this.#byNetwork.delete(oldest);
    }
    return Math.max(counted[0].waitSeconds, counted[1].waitSeconds);
  }
}

function counting(
  before: Failures,
  { free, maxWaitSeconds }: Allowance,
  nowMs: number,
): { readonly failures: Failures; readonly waitSeconds: number } {
  const { count, untilMs } = nowMs - before.lastMs < FORGET_MS ? before : NONE;
  const excess = count + 1 - free;
  const waitSeconds = excess < 0 ? 0 : Math.min(maxWaitSeconds, 2 ** Math.min(excess, 16));
  return {
    failures: { count: count + 1, lastMs: nowMs, untilMs: nowMs + waitSeconds * 1000 },
    waitSeconds: nowMs < untilMs ? waitSeconds : 0,
  };
}
