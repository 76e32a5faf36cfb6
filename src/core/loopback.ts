/**
 * Names by which only this machine is meant: what a web site's name that was rebound to 127.0.0.1 is not.
 *
 * @see https://en.wikipedia.org/wiki/DNS_rebinding
 */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|(?:\[?::1\]?)|::ffff:127(?:\.\d{1,3}){3})$/i;

/** Whether an address or a name is this machine's own, for itself. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

/** The parts of a Host header; without a port, it is the scheme's (RFC 9110 section 7.2). */
export function splitHost(host: string): { readonly name: string; readonly port: number } {
  const [, name = "", port = "80"] = /^([^:[\]]*|\[[^\]]*\])(?::(\d{1,5}))?$/.exec(host) ?? [];
  return { name, port: Number(port) };
}
