/**
 * The page: every view below `/admin`, drawn on the server.
 *
 * Owns which URL shows which view. Gets all data from the service; must not handle login or access checks.
 */
import { type Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { RouterError } from "../../core/errors.ts";
import { refusalOf } from "../../http/admin/refusal.ts";
import type { AdminEnv } from "../../http/admin/env.ts";
import type { AdminPage } from "../../http/admin/routes.ts";
import type { AdminService } from "../../control/admin_service.ts";
import { assetRoutes } from "../assets.ts";
import type { ViewName } from "../components/layout.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { pageContext } from "../page_context.ts";
import { readSpan } from "../stats_span.ts";
import { costRoutes } from "./costs.tsx";
import { recordRoutes } from "./records.tsx";
import { saveDisplay, settingsRoutes } from "./settings.tsx";
import { tokenRoutes } from "./tokens.tsx";
import { upstreamRoutes } from "./upstreams.tsx";
import { Failure } from "../views/failure.tsx";
import { Live } from "../views/live.tsx";
import { Login } from "../views/login.tsx";
import { Overview } from "../views/overview.tsx";

export interface DashboardDeps {
  readonly service: AdminService;
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly now?: () => number;
}

const JUST_FINISHED = 15;

export function dashboardPage({ service, now = Date.now }: DashboardDeps): AdminPage {
  const deps: ViewDeps = { service, now };
  const views = new Hono<AdminEnv>();
  views.get("/", async (c) => {
    const page = pageContext(c, now());
    const { span, custom, problem } = readSpan(new URL(c.req.url).searchParams, page);
    const [stats, usage] = await Promise.all([service.stats(span), service.usage(span)]);
    const current = {
      upstreams: await service.upstreams(),
      live: service.live(),
      waiting: service.waiting(),
      refused: service.refused(),
    };
    const shown = { stats, usage, custom, problem, ...current };
    return draw(c, <Overview page={page} {...shown} />);
  });
  views.get("/live", async (c) => {
    const page = pageContext(c, now());
    const { records } = await service.records({ limit: JUST_FINISHED });
    const finished = records.filter(({ outcome }) => outcome !== "in_flight");
    const watched = c.req.query("watch")?.slice(0, 100) || null;
    const [live, waiting] = [service.live(), service.waiting()];
    return draw(
      c,
      <Live page={page} live={live} waiting={waiting} finished={finished} watched={watched} />,
    );
  });
  views.route("/records", recordRoutes(deps));
  views.route("/costs", costRoutes(deps));
  views.route("/upstreams", upstreamRoutes(deps));
  views.route("/tokens", tokenRoutes(deps));
  views.route("/settings", settingsRoutes(deps));
  views.post("/display", saveDisplay);
  views.get("*", async (c, next) => {
    if (c.req.path === "/admin/") return c.redirect("/admin", 303);
    if (wantsPage(c)) throw new RouterError(404, "not_found", pageContext(c, now()).m.notFoundText);
    return await next();
  });
  views.onError((error, c) => {
    const answer = refusalOf(error);
    if (answer === null || !wantsPage(c)) throw error;
    const page = pageContext(c, now());
    const title = answer.status === 404 ? page.m.notFoundTitle : page.m.errorTitle;
    c.status(answer.status as ContentfulStatusCode);
    return draw(c, <Failure page={page} current={viewOf(c.req.path)} title={title} text={answer.message} />);
  });
  return {
    renderLogin: (c, view) => draw(c, <Login page={pageContext(c, now())} view={view} />),
    assets: assetRoutes(),
    views,
  };
}

/** A browser navigates; programs and htmx get the error as JSON. */
function wantsPage(c: Context<AdminEnv>): boolean {
  return !c.req.path.startsWith("/admin/api") && (c.req.header("accept") ?? "").includes("text/html");
}

function viewOf(path: string): ViewName | null {
  const name = path.split("/")[2];
  const names = ["records", "costs", "upstreams", "tokens", "live", "settings"] as const;
  return names.find((each) => each === name) ?? null;
}
