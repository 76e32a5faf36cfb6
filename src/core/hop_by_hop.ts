/**
 * Header fields that belong to one connection, and that no proxy passes on.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
import type { HeaderView } from "./header_fields.ts";

export const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
] as const;

/** Names that a `Connection` header declares hop-by-hop. */
export function connectionNames(headers: HeaderView): ReadonlySet<string> {
  const value = headers.get("connection");
  return value === null ? EMPTY : new Set(value.split(",").map((token) => token.trim().toLowerCase()));
}
const EMPTY: ReadonlySet<string> = new Set();
