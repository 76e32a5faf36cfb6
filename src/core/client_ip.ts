/**
 * The address of the client: the connection's, or the one that a trusted proxy reports.
 *
 * Each proxy appends the address that it saw to `X-Forwarded-For`. Only what trusted proxies appended can be
 * believed, so the list is read from the right.
 */
import { BlockList, isIP } from "node:net";

/** Networks whose `X-Forwarded-For` is believed. */
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

  /** Whether the connection's peer is believed about its client. */
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

/** `10.0.0.0/8`, `::1/128`, or an address alone; null for anything else. */
export function parseCidr(text: string): Cidr | null {
  const [address = "", prefixText, ...rest] = text.trim().split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return null;
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : NaN;
  if (!(prefix >= 0 && prefix <= bits)) return null;
  const plain = plainAddress(address);
  // A network of IPv4 addresses in IPv6 form: addresses are compared in their plain form.
  return plain !== address && prefix >= 96 ? { address: plain, prefix: prefix - 96 } : { address, prefix };
}

/** An address without port, brackets or IPv4-in-IPv6 form; null for anything else. */
function normalise(text: string): string | null {
  const trimmed = text.trim();
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed)?.[1] ??
    /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(trimmed)?.[1] ?? trimmed;
  return isIP(bare) === 0 ? null : plainAddress(bare);
}

/**
 * The IPv4 address that an IPv6 address carries (`::ffff:192.0.2.1`), as a socket that listens on both families reports
 * it; any other text as it is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2
 */
export function plainAddress(address: string): string {
  // Nearly every address is an IPv4 one, or an IPv6 one that begins otherwise.
  if (!address.includes(":") || !/^[0:]+:ffff:/i.test(address) || isIP(address) !== 6) return address;
  const groups = groupsOf(address.split("%", 1)[0] ?? "");
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return address;
  return groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]).join(".");
}

/** Whether an address, in any form, lies in one of these networks; a name never does. */
export function isWithin(address: string, networks: readonly Cidr[]): boolean {
  return networks.length > 0 && new TrustedProxies(networks).trusts(address);
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/**
 * The network that counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address, since one
 * household or machine has all of them (RFC 6177). An IPv4 address in IPv6 form is the IPv4 address.
 * @returns the text itself when it is not an address
 */
export function networkOf(address: string): string {
  const normal = normalise(address.split("%", 1)[0] ?? "");
  if (normal === null || isIP(normal) === 4) return normal ?? address;
  const groups = groupsOf(normal);
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
}

/** The eight numbers of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser writes addresses in the canonical form of RFC 5952, a trailing IPv4 address in hexadecimal.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const numbers = (text: string) => text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
  if (tail === undefined) return numbers(head);
  const [first, last] = [numbers(head), numbers(tail)];
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}
