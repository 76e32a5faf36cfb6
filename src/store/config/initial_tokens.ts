/**
 * The random secrets of a database: the clients' token, the one that opens the admin page, and the key of its sessions.
 *
 * Owns when they are made: the clients' once, and only in a database that this program created and nobody configured; the
 * admin token whenever there is none, because older databases lack it.
 */
import { randomText } from "../../core/random_text.ts";
import type { OpenDatabase } from "../database/open.ts";
import type { ConfigStore } from "../store.ts";

const TOKEN_BYTES = 32;

/** A token with 256 random bits: `sk-oar-` and 43 URL-safe characters. */
export function randomToken(): string {
  return `sk-oar-${randomText(TOKEN_BYTES)}`;
}

/** The same for the admin page: `admin-oar-` and 43 characters. */
export function randomAdminToken(): string {
  return `admin-oar-${randomText(TOKEN_BYTES)}`;
}

const ADMIN_KEY = "admin";

/** A shorter one could be guessed: logins are not slowed down, so only the length protects. */
export const MIN_ADMIN_TOKEN_LENGTH = 16;

/** What opens the admin page; null: nobody can log in. */
export function adminTokenOf(config: ConfigStore): string | null {
  return config.getConfig(ADMIN_KEY)?.trim() || null;
}

/** Ends the sessions of everybody who logged in with another one. */
export function setAdminToken(config: ConfigStore, secret: string): void {
  config.setConfig(ADMIN_KEY, secret);
}

/** Makes one when there is none, and the key that signs the page's sessions. */
export function ensureAdminToken(config: ConfigStore): void {
  if (adminTokenOf(config) === null) setAdminToken(config, randomAdminToken());
  if (config.getConfig(SESSION_KEY) === null) config.setConfig(SESSION_KEY, randomText(TOKEN_BYTES));
}

const SESSION_KEY = "admin_session_key";

/** What signs the sessions of the page; without one in the database, one of this process only. */
export function sessionKeyOf(config: ConfigStore): string {
  return config.getConfig(SESSION_KEY)?.trim() || randomText(TOKEN_BYTES);
}

/**
 * Sets a random token when the database is ours and the key `authorization` was never set.
 * @returns the token, to be shown once; null when there is nothing to do
 */
export function ensureToken({ config, isOwn }: Pick<OpenDatabase, "config" | "isOwn">): string | null {
  if (!isOwn || config.getConfig("authorization") !== null) return null;
  const secret = randomToken();
  config.setTokens([{ name: "default", secret }]);
  return secret;
}
