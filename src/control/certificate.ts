/**
 * Until when an upstream's TLS certificate is valid.
 *
 * `fetch` and `Deno.connectTls` do not expose it, so this makes a TLS handshake of its own and sends nothing over it.
 */
import { connect } from "node:tls";
import { isIP } from "node:net";

const HTTPS_PORT = 443;

/**
 * When the certificate expires, trusted or not. null: not an https endpoint, or unknown (no direct connection, for
 * example behind an HTTP proxy).
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
      // Expired certificates must be readable too; no request is sent over this connection.
      rejectUnauthorized: false,
    }, () => settle(readEnd(socket.getPeerCertificate().valid_to)));
    socket.on("error", () => settle(null));
  });
}

function readEnd(text: string | undefined): Date | null {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? null : date;
}
