/**
 * How many connections there may be: in all, and of one holder of addresses.
 *
 * Counts only; the server closes what has no place. Bounded by the connections that have one.
 */
import { networkOf } from "../core/client_ip.ts";
import { isLoopback } from "../core/loopback.ts";

export interface ConnectionLimitOptions {
  /** Connections at once. */
  readonly max: number;
  /** Addresses of which each may have any share of them: proxies, behind which there are many clients. */
  readonly isShared: (address: string) => boolean;
}

/** One holder may have a quarter of all: enough for an office behind one address, and three more find room. */
const SHARES = 4;

/** Why there is no place. */
export type NoPlace = "full" | "share";

export class ConnectionLimits {
  readonly max: number;
  readonly maxPerGroup: number;
  readonly #isShared: (address: string) => boolean;
  readonly #groups = new Map<string, number>();
  #count = 0;

  constructor({ max, isShared }: ConnectionLimitOptions) {
    this.max = max;
    this.maxPerGroup = Math.ceil(max / SHARES);
    this.#isShared = isShared;
  }

  /** Takes a place, which {@link leave} gives back; or says why there is none. */
  take(address: string): NoPlace | null {
    if (this.#count >= this.max) return "full";
    const group = this.#groupOf(address);
    if (group !== null) {
      const count = this.#groups.get(group) ?? 0;
      if (count >= this.maxPerGroup) return "share";
      this.#groups.set(group, count + 1);
    }
    this.#count++;
    return null;
  }

  /** Of a connection that has a place. */
  leave(address: string): void {
    this.#count--;
    const group = this.#groupOf(address);
    if (group === null) return;
    const count = (this.#groups.get(group) ?? 1) - 1;
    if (count === 0) this.#groups.delete(group);
    else this.#groups.set(group, count);
  }

  /** Null for this machine and for proxies: whoever is behind them, it is not one. */
  #groupOf(address: string): string | null {
    return isLoopback(address) || this.#isShared(address) ? null : networkOf(address);
  }
}
