/**
 * What every view needs to know of the request that it answers.
 */
import type { Context } from "hono";
import type { AdminEnv } from "../http/admin/env.ts";
import { chooseLanguage, type Formats } from "./language.ts";
import type { Messages } from "./messages.ts";

export interface PageContext {
  readonly m: Messages;
  readonly format: Formats;
  /** For the forms' hidden field; null when nobody is logged in, or a script is. */
  readonly csrf: string | null;
  /** Wall clock, for countdowns. */
  readonly nowMs: number;
  /** Scheme, host and port under which the browser knows the router. */
  readonly origin: string;
  /** What was just done, from the address; null when nothing was. */
  readonly done: keyof Messages["done"] | null;
  /** htmx asks for a part of the page. */
  readonly isPartial: boolean;
}

export function pageContext(c: Context<AdminEnv>, nowMs: number): PageContext {
  const { messages, format } = chooseLanguage(c.req.header("accept-language"));
  c.header("vary", "accept-language, hx-request");
  const done = c.req.query("done");
  return {
    m: messages,
    format,
    csrf: c.get("admin")?.csrfToken ?? null,
    nowMs,
    origin: `http://${c.req.header("host") || "localhost"}`,
    done: isDone(messages, done) ? done : null,
    isPartial: c.req.header("hx-request") === "true",
  };
}

function isDone(messages: Messages, done: string | undefined): done is keyof Messages["done"] {
  return done !== undefined && Object.hasOwn(messages.done, done);
}
