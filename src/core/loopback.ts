/**
 * Names that always mean this machine. The name of a web site that was rebound to 127.0.0.1 is not one.
 *
 * @see https://en.wikipedia.org/wiki/DNS_rebinding
 */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|(?:\[?::1\]?)|::ffff:127(?:\.\d{1,3}){3})$/i;

/** Whether a name or an address is a loopback one. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

/** Whether an address to listen on means every interface. */
export function isUnspecified(address: string): boolean {
  return address === "" || address === "0.0.0.0" || address === "::" || address === "::ffff:0.0.0.0";
}

/**
 * Whether a name is a single label, such as one of `/etc/hosts` or of a Compose network. On the Internet, nobody but the
 * registry of a top-level domain has such a name (RFC 7085); within a network, other machines may (LLMNR, search domains).
 *
 * @see https://www.rfc-editor.org/rfc/rfc7085
 */
export function isSingleLabel(hostname: string): boolean {
  return /^[a-z0-9-]{1,63}$/i.test(hostname) && /[a-z]/i.test(hostname);
}

/** The parts of a Host header; the default port is the scheme's, 80 (RFC 9110 section 7.2). */
export function splitHost(host: string): { readonly name: string; readonly port: number } {
  const [, name = "", port = "80"] = /^([^:[\]]*|\[[^\]]*\])(?::(\d{1,5}))?$/.exec(host) ?? [];
  return { name, port: Number(port) };
}
