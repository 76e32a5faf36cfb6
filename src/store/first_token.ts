/**
 * The random token of a new database.
 *
 * Owns when one is made: once, and only for a database that this program created and nobody configured.
 */
import type { OpenDatabase } from "./sqlite.ts";

const TOKEN_BYTES = 32;

/** A token with 256 random bits: `sk-oar-` and 43 URL-safe characters. */
export function randomToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  return `sk-oar-${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
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
