/**
 * The web layer: routes, authentication, CORS, and the only place where errors become responses.
 */
import { Hono } from "hono";
import { RouterError } from "../core/errors.ts";
import type { Observer } from "../observe/observer.ts";
import { errorResponse, type RequestContext } from "../proxy/handler.ts";
import { CORS_HEADERS } from "../proxy/headers.ts";
import type { RegistrySnapshot, RegistryView } from "../store/store.ts";
import { TokenChecker } from "./auth.ts";
import type { TrustedProxies } from "../core/client_ip.ts";
import { preflight } from "./cors.ts";
import { healthRoutes, type Readiness } from "./health.ts";
import { readTarget } from "./target.ts";

export interface AppDeps {
  readonly proxy: { handle(request: Request, context: RequestContext): Promise<Response> };
  readonly registry: RegistryView;
  readonly metrics: { render(): Promise<{ readonly contentType: string; readonly body: string }> };
  readonly observer: Pick<Observer, "requestRefused">;
  readonly readiness: Readiness;
  readonly isNoAuth: boolean;
  readonly isMetricsAuth: boolean;
  readonly trustedProxies: TrustedProxies;
  /** Something that should not have happened; the text holds no secret of ours. */
  readonly onUnexpected: (error: unknown) => void;
}

/** What the server tells about a connection. */
export interface ConnectionInfo {
  readonly remoteAddr: Deno.Addr;
}

type Env = { Bindings: { readonly info: ConnectionInfo } };

/** The application: pass requests to its `fetch(request, { info })`. */
export function createApp(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>({ getPath: (request) => readTarget(request).path });
  const checkers = new Checkers();

  app.route("/", healthRoutes(deps));
  app.options("/v1/*", preflight());
  app.get("/v1/metrics", async (c) => {
    if (deps.isMetricsAuth && !deps.isNoAuth) {
      checkers.of(deps.registry.snapshot()).authenticate(c.req.raw.headers);
    }
    const { contentType, body } = await deps.metrics.render();
    return new Response(body, { headers: { "content-type": contentType, "cache-control": "no-store" } });
  });
  app.all("/v1/*", async (c) => {
    const { raw } = c.req;
    refuseUnsupported(raw);
    const snapshot = deps.registry.snapshot();
    const checker = checkers.of(snapshot);
    const token = deps.isNoAuth ? null : checker.authenticate(raw.headers);
    return await deps.proxy.handle(raw, {
      ...readTarget(raw),
      clientIp: deps.trustedProxies.clientIp(
        peerAddress(c.env.info.remoteAddr),
        raw.headers.get("x-forwarded-for"),
      ),
      clientName: token?.name ?? null,
      clientToken: token?.secret ?? null,
      snapshot,
      isRouterToken: (credential) => checker.find(credential) !== null,
    });
  });
  app.notFound((c) => {
    const message = `Nothing is here: ${c.req.method} ${
      readTarget(c.req.raw).path
    }; the base URL ends in /v1`;
    return answerError(new RouterError(404, "not_found", message));
  });
  app.onError((error) => answerFailure(deps, error));
  return app;
}

/** Turns whatever was thrown into a response. */
export function answerFailure(deps: Pick<AppDeps, "observer" | "onUnexpected">, error: unknown): Response {
  if (error instanceof RouterError) {
    deps.observer.requestRefused(error.status, error.code);
    return answerError(error);
  }
  deps.onUnexpected(error);
  return answerError(new RouterError(500, "internal_error", "The router failed; its log says why"));
}

/** The checker of each snapshot's tokens, made once. */
class Checkers {
  #tokens: RegistrySnapshot["tokens"] | null = null;
  #checker = new TokenChecker([]);

  of(snapshot: RegistrySnapshot): TokenChecker {
    if (snapshot.tokens !== this.#tokens) {
      this.#tokens = snapshot.tokens;
      this.#checker = new TokenChecker(snapshot.tokens);
    }
    return this.#checker;
  }
}

function refuseUnsupported(request: Request): void {
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
    throw new RouterError(426, "invalid_request", "WebSocket is not supported; use the HTTP API");
  }
  if (request.method === "CONNECT" || request.method === "TRACE") {
    throw new RouterError(405, "invalid_request", `Method ${request.method} is not relayed`);
  }
}

function peerAddress(address: Deno.Addr): string {
  return "hostname" in address ? address.hostname : "";
}

/** What a client is told to wait when the router has enough to do. */
const RETRY_AFTER_SECONDS = "1";

function answerError(error: RouterError): Response {
  const headers = new Headers(CORS_HEADERS.map(([name, value]) => [name, value]));
  if (error.status === 429) headers.set("retry-after", RETRY_AFTER_SECONDS);
  return errorResponse(error, headers);
}
