/**
 * A refusal of the service as a text in the page that asked for it.
 */
import type { Context } from "hono";
import type { StatusCode } from "hono/utils/http-status";
import type { AdminEnv } from "../http/admin/env.ts";
import { refusalOf } from "../http/admin/refusal.ts";

/**
 * What to show, with the status set on the context. htmx draws only successes, so it gets one: the text is in it.
 *
 * @throws what is no refusal
 */
export function problemOf(c: Context<AdminEnv>, error: unknown): string {
  const refusal = refusalOf(error);
  if (refusal === null) throw error;
  c.status((c.req.header("hx-request") === "true" ? 200 : refusal.status) as StatusCode);
  return refusal.message;
}
