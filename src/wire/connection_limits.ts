/**
 * Limits connections: in total, and for each network of clients.
 *
 * Counts only; the server closes connections that get no place.
 */
import { networkOf } from "../core/client_ip.ts";
import { isLoopback } from "../core/loopback.ts";

export interface ConnectionLimitOptions {
  /** Connections at the same time. */
  readonly max: number;
  /** Addresses without a limit of their own: proxies, behind which there are many clients. */
  readonly isShared: (address: string) => boolean;
}

/** One network may have a quarter of all connections: enough for an office behind one address. */
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

  /** Takes a place, which {@link leave} returns; otherwise says why there is none. */
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

  /** Returns the place of a connection. */
  leave(address: string): void {
    this.#count--;
    const group = this.#groupOf(address);
    if (group === null) return;
    const count = (this.#groups.get(group) ?? 1) - 1;
    if (count === 0) this.#groups.delete(group);
    else this.#groups.set(group, count);
  }

  /** Null for this machine and for proxies, which stand for many clients. */
  #groupOf(address: string): string | null {
    return isLoopback(address) || this.#isShared(address) ? null : networkOf(address);
  }
}
