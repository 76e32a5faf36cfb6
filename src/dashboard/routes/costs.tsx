/**
 * The route `/admin/costs`.
 */
import { Hono } from "hono";
import type { AdminEnv } from "../../http/admin/env.ts";
import { readCostSpan } from "../cost_span.ts";
import { pageContext } from "../page_context.ts";
import { Costs } from "../views/costs.tsx";
import { draw, type ViewDeps } from "./draw.ts";

export function costRoutes({ service, now }: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  routes.get("/", async (c) => {
    const page = pageContext(c, now());
    const { span, custom, problem } = readCostSpan(new URL(c.req.url).searchParams, page);
    const costs = await service.costs(span);
    return draw(c, <Costs page={page} costs={costs} custom={custom} problem={problem} />);
  });
  return routes;
}
