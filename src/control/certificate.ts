/**
 * Until when an upstream's TLS certificate is valid.
 *
 * `fetch` and `Deno.connectTls` do not tell, so this makes a handshake of its own, over which nothing is sent.
 */
import { connect } from "node:tls";
import { isIP } from "node:net";

const HTTPS_PORT = 443;

/**
 * The end of its validity, whether or not anybody vouches for it. null: not an https endpoint, or it cannot be
 * told (no direct connection, as behind an HTTP proxy).
 */
export function certificateEnd(endpoint: string, limitMs: number): Promise<Date | null> {
  const url = new URL(endpoint);
  if (url.protocol !== "https:") return Promise.resolve(null);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const settle = (end: Date | null) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(end);
    };
    const timer = setTimeout(() => settle(null), limitMs);
    const socket = connect({
      host,
      port: Number(url.port || HTTPS_PORT),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      // An expired certificate is what this is for; no request goes over this connection.
      rejectUnauthorized: false,
    }, () => settle(readEnd(socket.getPeerCertificate().valid_to)));
    socket.on("error", () => settle(null));
  });
}

function readEnd(text: string | undefined): Date | null {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? null : date;
}
