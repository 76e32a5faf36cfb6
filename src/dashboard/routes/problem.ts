/**
 * An error of the service as a message on the page that caused it.
 */
import type { Context } from "hono";
import type { StatusCode } from "hono/utils/http-status";
import { refusalHeaders, refusalOf } from "../../http/admin/refusal.ts";
import type { AdminEnv } from "../../http/admin/env.ts";

/**
 * The message; sets the status on the context. htmx renders only successful responses, so it gets a 200.
 *
 * @throws any other error unchanged
 */
export function problemOf(c: Context<AdminEnv>, error: unknown): string {
  const refusal = refusalOf(error);
  if (refusal === null) throw error;
  for (const [name, value] of Object.entries(refusalHeaders(refusal))) c.header(name, value);
  c.status((c.req.header("hx-request") === "true" ? 200 : refusal.status) as StatusCode);
  return refusal.message;
}
