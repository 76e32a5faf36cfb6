/**
 * The style sheets and scripts of the page, embedded in the program, and the paths under which browsers get them.
 *
 * A path contains the content's hash, so that browsers cache it forever and a new version never uses an old
 * file.
 */
import { Hono } from "hono";
import htmx from "htmx.org/dist/htmx.min.js" with { type: "text" };
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import { createHash } from "node:crypto";
import type { AdminEnv } from "../http/admin/env.ts";
import alive from "./assets/alive.js" with { type: "text" };
import base from "./assets/base.css" with { type: "text" };
import charts from "./assets/charts.js" with { type: "text" };
import controls from "./assets/controls.css" with { type: "text" };
import conversation from "./assets/conversation.css" with { type: "text" };
import layout from "./assets/layout.css" with { type: "text" };
import health from "./assets/health.css" with { type: "text" };
import liveScript from "./assets/live.js" with { type: "text" };
import liveFeed from "./assets/live_feed.js" with { type: "text" };
import dark from "./assets/dark.css" with { type: "text" };
import live from "./assets/live.css" with { type: "text" };
import manage from "./assets/manage.css" with { type: "text" };
import markdown from "./assets/markdown.css" with { type: "text" };
import usage from "./assets/usage.css" with { type: "text" };
import order from "./assets/order.js" with { type: "text" };
import login from "./assets/login.js" with { type: "text" };
import page from "./assets/page.js" with { type: "text" };
import recordsScript from "./assets/records.js" with { type: "text" };
import records from "./assets/records.css" with { type: "text" };
import overview from "./assets/overview.css" with { type: "text" };

const STYLE = "text/css; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";

const SOURCES = {
  "page.css": [
    STYLE,
    [base, layout, controls, overview, live, records, manage, conversation, markdown, usage, health].join(
      "\n",
    ),
  ],
  "dark.css": [STYLE, dark],
  "uplot.css": [STYLE, uplotStyle],
  "htmx.js": [SCRIPT, htmx],
  "uplot.js": [SCRIPT, uplotScript],
  "page.js": [SCRIPT, page],
  "alive.js": [SCRIPT, alive],
  "login.js": [SCRIPT, login],
  "charts.js": [SCRIPT, charts],
  "live.js": [SCRIPT, liveScript],
  "live_feed.js": [SCRIPT, liveFeed],
  "records.js": [SCRIPT, recordsScript],
  "order.js": [SCRIPT, order],
} as const satisfies Record<string, readonly [contentType: string, text: string]>;

export type AssetName = keyof typeof SOURCES;

interface Asset {
  readonly contentType: string;
  readonly text: string;
  /** Strong entity tag of the content. */
  readonly etag: string;
  /** Below `/admin/assets/`. */
  readonly file: string;
}

const ASSETS = new Map<string, Asset>(
  Object.entries(SOURCES).map(([name, [contentType, text]]) => {
    const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
    const file = name.replace(/\.(\w+)$/, `-${hash}.$1`);
    return [name, { contentType, text, etag: `"${hash}"`, file }];
  }),
);
const BY_FILE = new Map([...ASSETS.values()].map((asset) => [asset.file, asset]));

/** The path of an asset, for `href` and `src`. */
export function assetPath(name: AssetName): string {
  return `/admin/assets/${ASSETS.get(name)?.file}`;
}

/** Answers `/FILE`; to be mounted at `/admin/assets`. */
export function assetRoutes(): Hono<AdminEnv> {
  return new Hono<AdminEnv>().get("/:file", (c) => {
    const asset = BY_FILE.get(c.req.param("file"));
    if (asset === undefined) return c.notFound();
    c.header("etag", asset.etag);
    c.header("cache-control", "public, max-age=31536000, immutable");
    if (c.req.header("if-none-match") === asset.etag) return c.body(null, 304);
    c.header("content-type", asset.contentType);
    return c.body(asset.text);
  });
}
