/**
 * The address of the client: the connection's, or what a trusted proxy says of it.
 *
 * `X-Forwarded-For` is a list to which each proxy appends the address that it saw, so that only the part
 * that trusted proxies wrote can be believed: it is read from the right.
 */
import { BlockList, isIP } from "node:net";

/** Networks whose `X-Forwarded-For` counts. */
export class TrustedProxies {
  readonly #networks = new BlockList();
  readonly #isEmpty: boolean;

  /** @param cidrs valid ones, see {@link parseCidr} */
  constructor(cidrs: readonly Cidr[]) {
    this.#isEmpty = cidrs.length === 0;
    for (const { address, prefix } of cidrs) this.#networks.addSubnet(address, prefix, familyOf(address));
  }

  /** The client's address, given the connection's peer and the header. */
  clientIp(peer: string, forwardedFor: string | null): string {
    if (forwardedFor === null || !this.trusts(peer)) return peer;
    let client = peer;
    for (const hop of forwardedFor.split(",").reverse()) {
      const address = normalise(hop);
      if (address === null) return client;
      client = address;
      if (!this.#has(address)) return client;
    }
    return client;
  }

  /** Whether what the connection's peer says about its client counts. */
  trusts(peer: string): boolean {
    return !this.#isEmpty && this.#has(peer);
  }

  #has(address: string): boolean {
    const normal = normalise(address);
    return normal !== null && this.#networks.check(normal, familyOf(normal));
  }
}

export interface Cidr {
  readonly address: string;
  readonly prefix: number;
}

/** `10.0.0.0/8`, `::1/128`, or an address alone; null when it is none. */
export function parseCidr(text: string): Cidr | null {
  const [address = "", prefixText, ...rest] = text.trim().split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return null;
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : NaN;
  return prefix >= 0 && prefix <= bits ? { address, prefix } : null;
}

/** An address without port, brackets or IPv4-in-IPv6 form; null when it is none. */
function normalise(text: string): string | null {
  const trimmed = text.trim();
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ??
    /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(trimmed)?.[1] ?? trimmed;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare;
  return isIP(mapped) === 0 ? null : mapped;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
