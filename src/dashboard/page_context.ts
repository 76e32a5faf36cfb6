/**
 * What every view needs to know about the request.
 */
import type { Context } from "hono";
import type { Zone } from "../core/zones.ts";
import type { AdminEnv } from "../http/admin/env.ts";
import { chooseLanguage, type Formats } from "./messages/language.ts";
import type { Messages } from "./messages/en.ts";
import { type Preferences, readPreferences, zoneFor } from "./preferences.ts";

export interface PageContext {
  readonly m: Messages;
  readonly format: Formats;
  /** Of all times on the page, shown and typed. */
  readonly zone: Zone;
  readonly preferences: Preferences;
  /** For the hidden field of forms; null without a session, which includes API clients. */
  readonly csrf: string | null;
  /** Wall clock, for countdowns. */
  readonly nowMs: number;
  /** Scheme, host and port of the router as the browser sees it. */
  readonly origin: string;
  /** The action that was just completed, from the URL; null for none. */
  readonly done: keyof Messages["done"] | null;
  /** Recorded texts are wanted as they are, not formatted. */
  readonly isPlain: boolean;
  /** htmx requests a part of the page. */
  readonly isPartial: boolean;
}

export function pageContext(c: Context<AdminEnv>, nowMs: number): PageContext {
  const preferences = readPreferences(c);
  const { language } = preferences;
  const wanted = language === "auto" ? c.req.header("accept-language") : language;
  const { messages, format } = chooseLanguage(wanted);
  c.header("vary", "accept-language, cookie, hx-request");
  const done = c.req.query("done");
  return {
    m: messages,
    format,
    zone: zoneFor(c, preferences),
    preferences,
    csrf: c.get("admin")?.csrfToken ?? null,
    nowMs,
    origin: `http://${c.req.header("host") || "localhost"}`,
    done: isDone(messages, done) ? done : null,
    isPlain: c.req.query("as") === "text",
    isPartial: c.req.header("hx-request") === "true",
  };
}

function isDone(messages: Messages, done: string | undefined): done is keyof Messages["done"] {
  return done !== undefined && Object.hasOwn(messages.done, done);
}
