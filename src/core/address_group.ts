/**
 * Which addresses count as one holder's: an IPv4 address by itself, IPv6 addresses by the /64 of which a single machine
 * may use any. Pure.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4291#section-2.5.4
 */

const HEXTETS = 8;
const NETWORK_HEXTETS = 4;

/** The group of an address without brackets and port, as a key; what is no IPv6 address is its own group. */
export function addressGroup(address: string): string {
  // A zone (RFC 4007) says by which interface it came.
  const bare = (address.split("%", 1)[0] ?? "").toLowerCase();
  const mapped = mappedIpv4(bare);
  if (mapped !== null) return mapped;
  if (!bare.includes(":")) return bare;
  const [left = "", right] = bare.split("::");
  const before = left === "" ? [] : left.split(":");
  const after = right === undefined || right === "" ? [] : right.split(":");
  // The last part may be an IPv4 address, of two hextets.
  const length = before.length + after.length + (bare.includes(".") ? 1 : 0);
  const zeros = right === undefined ? 0 : Math.max(0, HEXTETS - length);
  const hextets = [...before, ...Array<string>(zeros).fill("0"), ...after].slice(0, NETWORK_HEXTETS);
  return `${hextets.map((hextet) => hextet.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}

/** Whether it is this machine's own (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3). */
export function isLoopback(address: string): boolean {
  const bare = mappedIpv4(address.toLowerCase()) ?? address;
  return bare === "::1" || /^127(?:\.\d{1,3}){3}$/.test(bare);
}

/** Of `::ffff:192.0.2.1`, as a socket for both versions calls an IPv4 client; null for anything else. */
function mappedIpv4(address: string): string | null {
  return /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(address)?.[1] ?? null;
}
