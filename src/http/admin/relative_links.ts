/**
 * Makes the links of the page relative, so that it works below any path of a proxy in front:
 * `location /router/ { proxy_pass http://127.0.0.1:8888/; }` of nginx.
 *
 * Owns which attributes and headers hold links. Pages are written with paths from `/admin` on; scripts find the root by
 * their own address (see dashboard/assets/page.js).
 */
import type { MiddlewareHandler } from "hono";
import type { AdminEnv } from "./env.ts";

const ROOT = "/admin";

/** In texts, a quote is escaped: only an attribute of our own can match. */
const VALUE = /="\/(?=admin["/?#])/g;
/** What stands before the value of an attribute that holds a link. */
const OF_LINK = /\s(?:href|src|action|formaction|hx-[a-z-]{1,24}|data-[a-z-]{1,24})$/;
const MAX_NAME_LENGTH = 32;

/** Their paths are resolved by the page that asked, not by the address that answers. */
const HTMX_HEADERS = ["hx-redirect", "hx-push-url", "hx-replace-url"];

export function relativeLinks(): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    await next();
    const { res } = c;
    const up = upFrom(c.req.path);
    const asked = c.req.header("hx-request") === undefined ? null : c.req.header("hx-current-url");
    const pageUp = asked === null || asked === undefined ? up : upFrom(pathOf(asked)) ?? up;
    if (up === null || pageUp === null) return;
    rewrite(res.headers, "location", up);
    for (const name of HTMX_HEADERS) rewrite(res.headers, name, pageUp);
    if (!(res.headers.get("content-type") ?? "").startsWith("text/html") || res.body === null) return;
    const html = await res.text();
    c.res = new Response(withRelativeLinks(html, pageUp), { status: res.status, headers: res.headers });
  };
}

/** No page of ours is deeper; each level makes every link longer. */
const MAX_DEPTH = 16;

/** The way from a page up to the folder that holds `/admin`; null: that is no page of ours. */
export function upFrom(path: string): string | null {
  const at = lastRoot(path);
  const depth = path.slice(at).split("/").length - 2;
  return at < 0 || depth > MAX_DEPTH ? null : "../".repeat(depth);
}

/** The path of the proxy may hold the same word; ours comes last. */
function lastRoot(path: string): number {
  for (let at = path.lastIndexOf(ROOT); at >= 0; at = at === 0 ? -1 : path.lastIndexOf(ROOT, at - 1)) {
    const after = path[at + ROOT.length];
    if (after === undefined || after === "/") return at;
  }
  return -1;
}

function withRelativeLinks(html: string, up: string): string {
  return html.replace(VALUE, (match, at: number) => {
    const before = html.slice(Math.max(0, at - MAX_NAME_LENGTH), at);
    return OF_LINK.test(before) ? `="${up}` : match;
  });
}

function pathOf(url: string): string {
  return URL.parse(url)?.pathname ?? "";
}

function rewrite(headers: Headers, name: string, up: string): void {
  const value = headers.get(name);
  if (value !== null && /^\/admin(?:[/?#]|$)/.test(value)) headers.set(name, up + value.slice(1));
}
