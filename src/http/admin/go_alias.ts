/**
 * `/admin/upstreams` as the older Go program had it: list, add, delete; fields named as its ORM named them.
 *
 * Differs where that program gave secrets away: keys are masked, and the admin token opens it, not a client's. A
 * browser's requests for these paths go on to the page.
 */
import { type Context, Hono } from "hono";
import type { AdminEnv } from "./env.ts";
import { checked, isJson, jsonOf, parameterOf } from "./input.ts";
import * as schemas from "./schemas.ts";
import type { AdminService, UpstreamView } from "../../control/admin_service.ts";

export function goRoutes(service: AdminService): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  routes.get("/upstreams", async (c, next) => {
    if (isBrowsers(c)) return await next();
    return c.json((await service.upstreams()).map(asGo));
  });
  routes.post("/upstreams", async (c, next) => {
    if (!isJson(c)) return await next();
    const { sk, endpoint, timeout } = checked(schemas.goUpstream, lowerCased(await jsonOf(c)));
    const added = await service.addUpstream({
      key: sk,
      endpoint,
      ...(timeout === undefined ? {} : { timeoutSeconds: timeout === 0 ? null : timeout }),
    });
    return c.json(asGo(added));
  });
  routes.delete("/upstreams/:id", async (c) => {
    await service.removeUpstream(parameterOf(c, "id", schemas.rowId));
    return c.json({ message: "success" });
  });
  return routes;
}

function isBrowsers(c: Context<AdminEnv>): boolean {
  return (c.req.header("accept") ?? "").includes("text/html") || c.req.header("hx-request") !== undefined;
}

function asGo({ id, endpoint, key, timeoutSeconds, ...view }: UpstreamView): Record<string, unknown> {
  return { ID: id, SK: key, Endpoint: endpoint, Timeout: timeoutSeconds ?? 0, ...view };
}

/** Go's JSON decoder matches names in any case. */
function lowerCased(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]));
}
