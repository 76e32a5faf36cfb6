/**
 * How every route of the page responds.
 */
import type { Context } from "hono";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { AdminEnv } from "../../http/admin/env.ts";
import type { AdminService } from "../../control/admin_service.ts";

/** What the routes share. */
export interface ViewDeps {
  readonly service: AdminService;
  readonly now: () => number;
}

/** Responds with a whole document and the status set on the context. */
export function draw(c: Context<AdminEnv>, view: JSX.Element): Response | Promise<Response> {
  return c.html(`<!doctype html>${view}`);
}
