/**
 * Who may see `/admin`: a person who logged in, or a script that sends the admin token.
 *
 * Owns login, logout, the cookie, and the checks that no other site made a browser send a request. A client token
 * never passes.
 */
import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import type { TrustedProxies } from "../../core/client_ip.ts";
import { RouterError } from "../../core/errors.ts";
import type { RegistryView } from "../../store/store.ts";
import { type AdminEnv, LOGIN_PATH, peerOf } from "./env.ts";
import { isHostLost, isOriginOf, requestedHost } from "../forwarded_host.ts";
import { formFieldsOf } from "./input.ts";
import type { LoginCode } from "./login_code.ts";
import { LoginLimiter } from "./login_limiter.ts";
import { isSameSecret, sha256 } from "../../core/digest.ts";
import { type AdminSession, AdminSessions, type EndedSessions, SESSION_MS } from "./sessions.ts";

/** Name of the hidden field that every form of the page needs. */
export const CSRF_FIELD = "csrf";
/** Or this header, for requests made by scripts of the page. */
export const CSRF_HEADER = "x-csrf-token";
const SESSION_COOKIE = "oar_admin";

/** What the login page shows. */
export interface LoginView {
  /** Local path to go to afterwards, checked. */
  readonly next: string;
  /** null: nothing went wrong (yet). */
  readonly problem:
    | null
    | { readonly type: "wrong_token" }
    | { readonly type: "used_code" }
    | { readonly type: "too_many"; readonly retryAfterSeconds: number };
}

/** Draws the login page; the status is set on the context already. */
export type RenderLogin = (c: Context<AdminEnv>, view: LoginView) => Response | Promise<Response>;

export interface AdminAuthDeps {
  /** The admin token now; null when there is none. */
  readonly adminToken: () => string | null;
  readonly monotonic: () => number;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Signs sessions. */
  readonly sessionKey: string;
  readonly ended: EndedSessions;
  /** Logs in, too. */
  readonly loginCode: Pick<LoginCode, "redeem">;
  readonly trustedProxies: TrustedProxies;
  readonly registry: Pick<RegistryView, "snapshot">;
  readonly renderLogin: RenderLogin;
  /** Somebody sent a wrong token; for metrics and the log. */
  readonly onRefused: (status: number, code: string) => void;
}

const UNSAFE = new Set(["POST", "PUT", "PATCH", "DELETE"]);
const FORM_TYPE = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i;

export class AdminAuth {
  readonly #deps: AdminAuthDeps;
  readonly #sessions: AdminSessions;
  readonly #limiter: LoginLimiter;

  constructor(deps: AdminAuthDeps) {
    this.#deps = deps;
    this.#sessions = new AdminSessions(deps);
    this.#limiter = new LoginLimiter(deps.monotonic);
  }

  /** Refuses everybody who has not logged in. Does not read the body, which anybody may have sent. */
  required(): MiddlewareHandler<AdminEnv> {
    return async (c, next) => {
      const session = this.#bySecret(c) ?? this.#byCookie(c) ?? this.#refuseSecret(c);
      if (session === null) return loginFirst(c);
      c.set("admin", session);
      return await next();
    };
  }

  /** Behind {@link required}: refuses unsafe requests that the page itself did not send. */
  intended(): MiddlewareHandler<AdminEnv> {
    return async (c, next) => {
      const { csrfToken } = c.get("admin");
      if (UNSAFE.has(c.req.method)) {
        if (csrfToken !== null || isSentByPage(c)) this.#requireSameOrigin(c);
        if (csrfToken !== null) await requireCsrfToken(c, csrfToken);
      }
      return await next();
    };
  }

  /** `GET /admin/login` */
  loginPage = (c: Context<AdminEnv>): Response | Promise<Response> => {
    const next = safeNext(c.req.query("next"));
    if (this.#byCookie(c) !== null) return c.redirect(next, 303);
    return this.#deps.renderLogin(c, { next, problem: null });
  };

  /** `POST /admin/login` with the form fields `next`, and `token` or the `code` of a link. */
  login = async (c: Context<AdminEnv>): Promise<Response> => {
    this.#requireSameOrigin(c);
    const { token, code, next: wanted } = await formFieldsOf(c);
    const next = safeNext(typeof wanted === "string" ? wanted : undefined);
    const isByCode = typeof code === "string" && code !== "";
    const isAdmin = isByCode
      ? this.#deps.loginCode.redeem(code)
      : typeof token === "string" && this.#isAdmin(token.trim());
    const id = isAdmin ? this.#sessions.open() : null;
    if (id === null) {
      const retryAfterSeconds = this.#limiter.failed(this.#addressOf(c));
      if (retryAfterSeconds > 0) {
        this.#deps.onRefused(429, "too_many_requests");
        c.status(429);
        c.header("retry-after", String(retryAfterSeconds));
        return await this.#deps.renderLogin(c, { next, problem: { type: "too_many", retryAfterSeconds } });
      }
      this.#deps.onRefused(403, "invalid_authorization");
      c.status(403);
      return await this.#deps.renderLogin(c, {
        next,
        problem: { type: isByCode ? "used_code" : "wrong_token" },
      });
    }
    this.#setCookie(c, id, SESSION_MS / 1000);
    return c.redirect(next, 303);
  };

  /** `POST /admin/logout`, behind {@link required}. */
  logout = async (c: Context<AdminEnv>): Promise<Response> => {
    const id = getCookie(c, SESSION_COOKIE);
    if (id !== undefined) await this.#sessions.close(id);
    this.#setCookie(c, "", 0);
    return c.redirect(LOGIN_PATH, 303);
  };

  /** Without `Path`, it is the folder of the address as the browser sees it (RFC 6265 section 5.1.4). */
  #setCookie(c: Context<AdminEnv>, value: string, maxAgeSeconds: number): void {
    const secure = this.#isSecure(c) ? "; Secure" : "";
    const cookie = `${SESSION_COOKIE}=${value}; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure}`;
    c.header("set-cookie", cookie, { append: true });
  }

  #byCookie(c: Context<AdminEnv>): AdminSession | null {
    const id = getCookie(c, SESSION_COOKIE);
    return id === undefined ? null : this.#sessions.find(id);
  }

  #bySecret(c: Context<AdminEnv>): AdminSession | null {
    const secret = bearerOf(c);
    return secret !== null && this.#isAdmin(secret) ? { csrfToken: null } : null;
  }

  /**
   * For a request without a session. What a login proxy in front adds is no guess at the admin token, and keeps nobody
   * from the login page.
   * @throws RouterError when the request carries a credential that is not the admin token
   */
  #refuseSecret(c: Context<AdminEnv>): null {
    const secret = bearerOf(c);
    if (secret === null || (SIGNED_TOKEN.test(secret) && !SIGNED_TOKEN.test(this.#deps.adminToken() ?? ""))) {
      return null;
    }
    const waitSeconds = this.#limiter.failed(this.#addressOf(c));
    if (waitSeconds > 0) {
      c.header("retry-after", String(waitSeconds));
      if (isPage(c)) return null;
      throw new RouterError(
        429,
        "too_many_requests",
        `Too many wrong admin tokens, and this is another; try again in ${waitSeconds} s`,
      );
    }
    if (isPage(c)) return null;
    throw new RouterError(
      401,
      "invalid_authorization",
      "This is not the admin token; `openai-api-route token show --admin` prints it",
    );
  }

  /** A client's token does not open the page, even when it equals the admin token. */
  #isAdmin(credential: string): boolean {
    const { tokens, clientRules } = this.#deps.registry.snapshot();
    const digest = clientRules.length === 0 ? "" : sha256(credential).toString("hex");
    const isClients = tokens.some(({ secret }) => isSameSecret(secret, credential)) ||
      clientRules.some((rules) => rules.digest === digest);
    return this.#sessions.isAdminToken(credential) && !isClients;
  }

  /**
   * By what the browser says about where a request comes from (https://www.w3.org/TR/fetch-metadata/), or else by its
   * `Origin`. Every current browser sends one of them; a request with neither is refused. Where a proxy has lost the
   * host, the CSRF token alone protects, and at the login the admin token that the form holds.
   */
  #requireSameOrigin(c: Context<AdminEnv>): void {
    const site = c.req.header("sec-fetch-site");
    if (site !== undefined ? site === "same-origin" : this.#isOriginOurs(c)) return;
    throw new RouterError(
      403,
      "cross_site",
      "The request does not come from the admin page; open /admin and try there. Behind a proxy, let it pass Host or " +
        "X-Forwarded-Host, and name it with --trusted-proxy",
    );
  }

  #isOriginOurs(c: Context<AdminEnv>): boolean {
    const origin = c.req.header("origin");
    if (origin === undefined || URL.parse(origin) === null) return false;
    const { headers } = c.req.raw;
    const isTrusted = this.#deps.trustedProxies.trusts(peerOf(c));
    return isOriginOf(origin, requestedHost(headers, isTrusted)) || isHostLost(headers, isTrusted);
  }

  #addressOf(c: Context<AdminEnv>): string {
    return this.#deps.trustedProxies.clientIp(peerOf(c), c.req.header("x-forwarded-for") ?? null);
  }

  #isSecure(c: Context<AdminEnv>): boolean {
    return this.#deps.trustedProxies.trusts(peerOf(c)) &&
      c.req.header("x-forwarded-proto")?.split(",").at(-1)?.trim().toLowerCase() === "https";
  }
}

/**
 * Whether a page made a browser send this. Then even the admin token proves nothing: a proxy in front may add it to whatever
 * comes. Neither programs nor extensions of a browser say where they come from in this way.
 */
function isSentByPage(c: Context<AdminEnv>): boolean {
  const site = c.req.header("sec-fetch-site");
  return site !== undefined ? site !== "none" : c.req.header("origin") !== undefined;
}

/** A signed token of a login proxy (RFC 7519). */
const SIGNED_TOKEN = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

/** Another scheme belongs to a proxy in front, whose credential the browser repeats. */
function bearerOf(c: Context<AdminEnv>): string | null {
  return /^bearer\s+(\S+)\s*$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? null;
}

/** Whether somebody asks for a page, with a browser. */
function isPage(c: Context<AdminEnv>): boolean {
  return (c.req.method === "GET" || c.req.method === "HEAD") && !c.req.path.startsWith("/admin/api") &&
    (c.req.header("accept") ?? "").includes("text/html");
}

/** Redirects people to the login page; programs get an error. */
function loginFirst(c: Context<AdminEnv>): Response {
  if (isPage(c)) {
    const path = c.req.path;
    const query = new URL(c.req.url).search;
    const wanted = path === "/admin" ? "" : `?next=${encodeURIComponent(path + query)}`;
    return c.redirect(`${LOGIN_PATH}${wanted}`, 303);
  }
  // htmx goes there instead of drawing the answer into the page.
  if (c.req.header("hx-request") !== undefined) c.header("hx-redirect", LOGIN_PATH);
  c.header("www-authenticate", "Bearer");
  throw new RouterError(
    401,
    "login_required",
    "Log in at /admin/login, or send `Authorization: Bearer` and the admin token (`token show --admin` prints it)",
  );
}

/** A path of the page; anything else could lead to another site. */
function safeNext(wanted: string | undefined): string {
  if (wanted === undefined || !/^\/admin(?:[/?][\x21-\x5b\x5d-\x7e]*)?$/.test(wanted)) return "/admin";
  // As a browser resolves it, with `.` and `..`.
  const path = URL.parse(wanted, "http://localhost")?.pathname ?? "";
  return /^\/admin(?:\/|$)/.test(path) && path !== LOGIN_PATH ? wanted : "/admin";
}

async function requireCsrfToken(c: Context<AdminEnv>, expected: string): Promise<void> {
  const given = c.req.header(CSRF_HEADER) ?? await fieldOf(c);
  if (given !== undefined && isSameSecret(given, expected)) return;
  throw new RouterError(403, "cross_site", "The page is out of date; load it again and repeat what you did");
}

async function fieldOf(c: Context<AdminEnv>): Promise<string | undefined> {
  if (!FORM_TYPE.test(c.req.header("content-type") ?? "")) return undefined;
  const field = (await formFieldsOf(c))[CSRF_FIELD];
  return typeof field === "string" ? field : undefined;
}
