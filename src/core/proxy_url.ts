/**
 * The URL of a proxy, as people write it.
 *
 * Messages are the caller's: a URL may hold a password.
 */
import { percentDecoded } from "./percent_text.ts";

/** A proxy for outgoing connections. */
export interface OutgoingProxy {
  readonly transport: "http" | "https" | "socks5";
  /** Without the credential. */
  readonly url: string;
  /** Decoded; null: none is sent. */
  readonly credential: { readonly username: string; readonly password: string } | null;
}

const TRANSPORTS: Readonly<Record<string, OutgoingProxy["transport"]>> = {
  "http:": "http",
  "https:": "https",
  "socks5:": "socks5",
  "socks5h:": "socks5",
};
const SOCKS_PORT = 1080;

/** Without a scheme, it is an HTTP proxy; null: it is no such URL. */
export function parseProxyUrl(text: string): OutgoingProxy | null {
  const scheme = /^([a-z][a-z0-9+.-]*:)\/\//i.exec(text)?.[1]?.toLowerCase() ?? "http:";
  const rest = text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const transport = TRANSPORTS[scheme];
  // Parsed as http: other schemes do not have their host names checked.
  const url = URL.parse(`http://${rest}`);
  // An @ behind the host: what was meant for a password holds a character that ends the host.
  const isMisread = /[\s\\]|^[^/]*:(?:\/|$)|^[^/?#]*[/?#][^@]*@/.test(rest);
  if (transport === undefined || url === null || url.hostname === "" || isMisread) return null;
  const port = url.port || (transport === "socks5" ? String(SOCKS_PORT) : hasPort80(rest) ? "80" : "");
  const { username, password } = url;
  return {
    transport,
    url: `${transport}://${url.hostname}${port === "" ? "" : `:${port}`}`,
    credential: username === "" && password === ""
      ? null
      : { username: percentDecoded(username), password: percentDecoded(password) },
  };
}

/** A URL parsed as http has lost this port, which is not the default of the others. */
function hasPort80(rest: string): boolean {
  return /:80(?:[/?#]|$)/.test(rest);
}
