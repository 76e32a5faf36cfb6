/**
 * How somebody wants the page: theme, language and time zone, in cookies of their browser.
 *
 * Owns the names of the cookies and what they may hold. Holds nothing that is secret.
 */
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { systemZone, type Zone, zoneOf } from "../core/zones.ts";
import type { AdminEnv } from "../http/admin/env.ts";

/** `auto` follows the browser. */
export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = typeof THEMES[number];
export const LANGUAGES = ["auto", "en", "zh"] as const;
export type LanguageChoice = typeof LANGUAGES[number];

/** Time zones that are no names: of the browser, and of the server. */
export const ZONE_WORDS = ["auto", "server"] as const;

export interface Preferences {
  readonly theme: Theme;
  readonly language: LanguageChoice;
  /** `auto`, `server`, or the name of a zone. */
  readonly zoneChoice: string;
}

const COOKIES = { theme: "oar_theme", language: "oar_language", zoneChoice: "oar_zone" } as const;
/** Set by the page's script, because only it knows. */
const BROWSER_ZONE_COOKIE = "oar_browser_zone";
const MAX_AGE_SECONDS = 365 * 86_400;

/** What the browser sent; anything else counts as `auto`. */
export function readPreferences(c: Context<AdminEnv>): Preferences {
  return preferencesOf({
    theme: getCookie(c, COOKIES.theme),
    language: getCookie(c, COOKIES.language),
    zoneChoice: getCookie(c, COOKIES.zoneChoice),
  });
}

/** The same of a form's fields. */
export function preferencesOf(given: { readonly [Name in keyof Preferences]: unknown }): Preferences {
  const { zoneChoice } = given;
  const isWord = ZONE_WORDS.some((word) => word === zoneChoice);
  const isZone = isWord || (typeof zoneChoice === "string" && zoneOf(zoneChoice) !== null);
  return {
    theme: THEMES.find((each) => each === given.theme) ?? "auto",
    language: LANGUAGES.find((each) => each === given.language) ?? "auto",
    zoneChoice: isZone ? String(zoneChoice) : "auto",
  };
}

/** Without a path, a cookie belongs to the folder of the address as the browser sees it (RFC 6265 section 5.1.4). */
export function writePreferences(c: Context<AdminEnv>, preferences: Preferences): void {
  for (const name of ["theme", "language", "zoneChoice"] as const) {
    const cookie = `${COOKIES[name]}=${encodeURIComponent(preferences[name])}`;
    c.header("set-cookie", `${cookie}; Max-Age=${MAX_AGE_SECONDS}; HttpOnly; SameSite=Strict`, {
      append: true,
    });
  }
}

/** The zone of all times on the page: the chosen one, else the browser's, else the server's. */
export function zoneFor(c: Context<AdminEnv>, { zoneChoice }: Preferences): Zone {
  const name = zoneChoice === "auto" ? getCookie(c, BROWSER_ZONE_COOKIE) ?? "" : zoneChoice;
  return zoneOf(name) ?? systemZone();
}
