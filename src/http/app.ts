/**
 * The web layer: routes, authentication, CORS, and the only place where errors become responses.
 */
import { type Handler, Hono } from "hono";
import { clientCredentials, requireSingleCredentials } from "../core/credentials.ts";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../core/cut_text.ts";
import { RouterError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { Observer } from "../observe/observer.ts";
import type { RefusalReason, RefusedRequest } from "../core/refusal.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import type { RequestContext } from "../proxy/handler.ts";
import { APART } from "../core/fixed_headers.ts";
import type { RegistrySnapshot, RegistryView } from "../store/store.ts";
import { type AdminEnv, LOGIN_PATH } from "./admin/env.ts";
import { TokenChecker } from "./auth.ts";
import type { TrustedProxies } from "../core/client_ip.ts";
import type { BrowserGuard } from "./browser_guard.ts";
import { preflight } from "./cors.ts";
import { answerError, fields } from "./error_answer.ts";
import { refuseLargeHead } from "./head_guard.ts";
import { healthRoutes, type Readiness } from "./health.ts";
import { signpostAt } from "./signposts.ts";
import { pathOf, readTarget, type Target } from "./target.ts";
import { ALREADY_ANSWERED, type BodyTimes, sendResponse, webRequest } from "./hono_bridge.ts";

export interface AppDeps {
  readonly proxy: { handle(exchange: InboundExchange, context: RequestContext): Promise<void> };
  readonly registry: RegistryView;
  readonly metrics: { render(): Promise<{ readonly contentType: string; readonly body: string }> };
  readonly observer: Pick<Observer, "requestRefused">;
  readonly refused: { refused(request: RefusedRequest): void };
  readonly readiness: Readiness;
  readonly isNoAuth: boolean;
  readonly isMetricsAuth: boolean;
  readonly trustedProxies: TrustedProxies;
  readonly browserGuard: BrowserGuard;
  readonly clock: Clock;
  /** How long a client may send nothing. */
  readonly clientTimeoutMs: number;
  /** null: there is no admin page. */
  readonly admin: AdminEntry | null;
  /** Something that should not have happened; the text holds no secret of ours. */
  readonly onUnexpected: (error: unknown) => void;
}

/** Access to the admin page. */
export interface AdminEntry {
  /** The routes at `/admin`; called once, at the first request, and again only when that failed. */
  routes(): Promise<Hono<AdminEnv>>;
}

/** Anybody may send a body here, so it must be small and arrive soon. */
const LOGIN_BODY_MS = 30_000;

/** Answers one exchange. Never rejects. */
export type AppHandler = (exchange: InboundExchange) => Promise<void>;

/** The application, for the server. */
export function createHandler(deps: AppDeps): AppHandler {
  const app = createApp(deps);
  const { clock, clientTimeoutMs } = deps;
  const times: BodyTimes = { clock, idleMs: clientTimeoutMs, totalMs: null };
  const loginTimes: BodyTimes = { ...times, totalMs: LOGIN_BODY_MS };
  return async (exchange) => {
    let response: Response;
    try {
      const target = readTarget(exchange);
      refuseLargeHead(exchange, target);
      deps.browserGuard.check(exchange, target.path);
      const request = webRequest(exchange, target.path === LOGIN_PATH ? loginTimes : times);
      response = await app.fetch(request, { exchange, target });
    } catch (error) {
      // A refused target never reaches the application's own error handling.
      response = answerFailure(deps, error, exchange);
    }
    if (response !== ALREADY_ANSWERED) await sendResponse(exchange, response);
  };
}

type Env = { Bindings: { readonly exchange: InboundExchange; readonly target: Target } };

function createApp(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>({ getPath });
  const checkers = new Checkers();

  app.route("/", healthRoutes(deps));
  app.options("/v1/*", ({ env: { exchange } }) => {
    const asked = exchange.headers.get("access-control-request-headers");
    return preflight(asked, deps.browserGuard.headersFor(exchange));
  });
  app.get("/v1/metrics", async (c) => {
    if (deps.isMetricsAuth && !deps.isNoAuth) {
      requireSingleCredentials(c.req.raw.headers);
      checkers.of(deps.registry.snapshot()).authenticate(c.req.raw.headers, deps.clock.now());
    }
    const { contentType, body } = await deps.metrics.render();
    // Needs no token, so no other site's page may read it.
    return new Response(body, {
      headers: [["content-type", contentType], ["cache-control", "no-store"], ...fields(APART)],
    });
  });
  app.all("/v1/*", (c) => {
    const { exchange, target } = c.env;
    refuseUnsupported(exchange);
    const snapshot = deps.registry.snapshot();
    requireSingleCredentials(exchange.headers);
    const token = deps.isNoAuth
      ? null
      : checkers.of(snapshot).authenticate(exchange.headers, deps.clock.now());
    const answered = deps.proxy.handle(exchange, {
      path: target.path,
      query: target.query,
      clientIp: clientIpOf(deps, exchange),
      clientName: token?.name ?? null,
      clientToken: token?.secret ?? null,
      rules: token?.rules ?? null,
      snapshot,
      fixedHeaders: deps.browserGuard.headersFor(exchange),
    });
    return answered.then(() => ALREADY_ANSWERED);
  });
  if (deps.admin !== null) {
    const answer = adminHandler(deps.admin);
    app.all("/admin", answer);
    app.all("/admin/*", answer);
  }
  if (deps.admin !== null) app.get("/", toPage(deps));
  app.notFound((c) => {
    const { path } = c.env.target;
    const shown = cutText(path, MAX_SHOWN_NAME_LENGTH);
    const message = `Nothing is here: ${c.req.method} ${shown}; ${signpostAt(path)}`;
    const headers = deps.browserGuard.headersFor(c.env.exchange);
    return answerError(new RouterError(404, "not_found", message), headers, path);
  });
  app.onError((error, c) => answerFailure(deps, error, c.env.exchange));
  return app;
}

/** Not the URL's path, which is normalised. */
function getPath(_request: Request, options?: { readonly env?: unknown }): string {
  // Hono types it as unknown.
  return (options?.env as Env["Bindings"]).target.path;
}

/** Leads a browser to the page. */
function toPage({ browserGuard }: AppDeps): Handler<Env> {
  return async (c, next) => {
    if (!(c.req.header("accept") ?? "").includes("text/html")) return await next();
    const headers = new Headers(fields(browserGuard.headersFor(c.env.exchange)));
    headers.set("cache-control", "no-store");
    // Relative, so that it works below the path of a proxy, too.
    headers.set("location", "./admin");
    return new Response(null, { status: 303, headers });
  };
}

/** Passes requests to the page, which is made at the first one. */
function adminHandler(admin: AdminEntry): Handler<Env> {
  let page: Promise<Hono<AdminEnv>> | null = null;
  const open = async (): Promise<Hono<AdminEnv>> => {
    try {
      return new Hono<AdminEnv>({ getPath }).route("/admin", await admin.routes());
    } catch (error) {
      page = null;
      throw error;
    }
  };
  return async (c) => (await (page ??= open())).fetch(c.req.raw, c.env);
}

/** Turns whatever was thrown into a response. */
function answerFailure(
  deps: Pick<AppDeps, "observer" | "refused" | "trustedProxies" | "onUnexpected" | "browserGuard">,
  error: unknown,
  exchange: InboundExchange,
): Response {
  const headers = deps.browserGuard.headersFor(exchange);
  if (error instanceof RouterError) {
    deps.observer.requestRefused(error.status, error.code);
    const path = pathOf(exchange.target);
    const reason = path.startsWith("/v1/") ? refusalReason(error, exchange) : null;
    if (reason !== null) deps.refused.refused({ address: clientIpOf(deps, exchange), reason });
    return answerError(error, headers, path);
  }
  deps.onUnexpected(error);
  const failed = new RouterError(500, "internal_error", "The router failed; its log says why");
  return answerError(failed, headers, pathOf(exchange.target));
}

/** Why it was refused for who sent it; null: for something else. */
function refusalReason({ status, code }: RouterError, { headers }: InboundExchange): RefusalReason | null {
  if (status !== 401 && status !== 403) return null;
  if (code === "cross_site") return "other_site";
  if (code === "token_disabled" || code === "token_expired") return "ended_token";
  return clientCredentials(headers).length === 0 ? "no_token" : "wrong_token";
}

function clientIpOf({ trustedProxies }: Pick<AppDeps, "trustedProxies">, exchange: InboundExchange): string {
  return trustedProxies.clientIp(exchange.remoteAddress, exchange.headers.get("x-forwarded-for"));
}

/** The checker of each snapshot's tokens, made once. */
class Checkers {
  #snapshot: RegistrySnapshot | null = null;
  #checker = new TokenChecker([]);

  of(snapshot: RegistrySnapshot): TokenChecker {
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot;
      this.#checker = new TokenChecker(snapshot.tokens, snapshot.clientRules);
    }
    return this.#checker;
  }
}

function refuseUnsupported(request: Pick<InboundExchange, "headers">): void {
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
    throw new RouterError(426, "invalid_request", "WebSocket is not supported; use the HTTP API");
  }
}
