/**
 * What handlers below `/admin` find in their context.
 */
import type { Context } from "hono";
import type { InboundExchange } from "../../wire/exchange.ts";
import type { AdminSession } from "./sessions.ts";

/** `admin` is there behind the login. */
export interface AdminEnv {
  Bindings: { readonly exchange: Pick<InboundExchange, "remoteAddress"> };
  Variables: { admin: AdminSession };
}

/** The page where people log in; it takes a body from anybody. */
export const LOGIN_PATH = "/admin/login";

/** The address of the connection; empty for one that has none. */
export function peerOf(c: Context<AdminEnv>): string {
  return c.env.exchange.remoteAddress;
}
