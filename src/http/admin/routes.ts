/**
 * Everything below `/admin`: guards first, then login, the JSON API, and the page.
 *
 * Owns the order in which a request meets them. No CORS here: no other site has any business with it.
 */
import { Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { RouterError } from "../../core/errors.ts";
import { refuseContentType } from "../head_guard.ts";
import { AdminAuth, type AdminAuthDeps, type RenderLogin } from "./auth.ts";
import type { AdminEnv } from "./env.ts";
import { refusalHeaders, refusalOf } from "./refusal.ts";
import { relativeLinks } from "./relative_links.ts";
import { hostCheck, type HostCheckDeps, securityHeaders } from "./guards.ts";

/** What draws HTML (see ../dashboard). */
export interface AdminPage {
  readonly renderLogin: RenderLogin;
  /** Style sheets and scripts, seen without a login; mounted at `/admin/assets`. */
  readonly assets: Hono<AdminEnv>;
  /** The views, behind the login; mounted at `/admin`. */
  readonly views: Hono<AdminEnv>;
}

export interface AdminRoutesDeps extends Omit<AdminAuthDeps, "renderLogin" | "onRefused">, HostCheckDeps {
  readonly page: AdminPage;
  /** The JSON API, behind the login; mounted at `/admin`, with paths that begin with `/api` or are the Go program's. */
  readonly api: Hono<AdminEnv>;
  readonly onRefused: (status: number, code: string) => void;
  /** Something that should not have happened; the text holds no secret of ours. */
  readonly onUnexpected: (error: unknown) => void;
}

/** Forms and JSON of the page are small. */
const MAX_BODY_BYTES = 1024 * 1024;
/** A token and a path; anybody may send it. */
const MAX_LOGIN_BYTES = 16 * 1024;

/** To be mounted at `/admin`. */
export function adminRoutes(deps: AdminRoutesDeps): Hono<AdminEnv> {
  const auth = new AdminAuth({ ...deps, renderLogin: deps.page.renderLogin });
  const routes = new Hono<AdminEnv>();
  routes.onError((error, c) => {
    const refusal = refusalOf(error);
    if (refusal === null) deps.onUnexpected(error);
    const answer = refusal ??
      new RouterError(500, "internal_error", "The admin page failed; the log says why");
    deps.onRefused(answer.status, answer.code);
    return c.json(answer.toEnvelope(), answer.status as ContentfulStatusCode, refusalHeaders(answer));
  });
  routes.use(securityHeaders());
  routes.use(relativeLinks());
  routes.use(hostCheck(deps));
  routes.use(async (c, next) => {
    if (c.req.method !== "GET" && c.req.method !== "HEAD") refuseContentType(c.req.header("content-type"));
    await next();
  });
  routes.get("/login", auth.loginPage);
  routes.post("/login", atMost(MAX_LOGIN_BYTES, "16 KiB"), auth.login);
  routes.route("/assets", deps.page.assets);
  // Open pages ask whether the server is still there; without a login, so that it is no question of the session.
  routes.get("/alive", (c) => c.body(null, 204, { "cache-control": "no-store" }));
  routes.use(auth.required());
  routes.use(atMost(MAX_BODY_BYTES, "1 MiB"));
  routes.use(auth.intended());
  routes.post("/logout", auth.logout);
  routes.route("/", deps.api);
  routes.route("/", deps.page.views);
  routes.all("*", (c) => {
    throw new RouterError(404, "not_found", `Nothing is here: ${c.req.method} ${c.req.path}`);
  });
  return routes;
}

function atMost(maxSize: number, shown: string): MiddlewareHandler<AdminEnv> {
  return bodyLimit({
    maxSize,
    onError: () => {
      throw new RouterError(413, "request_too_large", `The request is larger than ${shown}`);
    },
  });
}
