/**
 * Who has logged in: the admin token, and the sessions that it opened.
 *
 * Owns the form of a session: a signed text that the browser keeps, so that a restart ends none. Knows nothing of HTTP.
 */
import { hmacSha256, isSameSecret } from "../../core/digest.ts";
import { randomText } from "../../core/random_text.ts";

/** How a request was authenticated. */
export interface AdminSession {
  /** The page sends it with every change; null for a script, which has no cookie. */
  readonly csrfToken: string | null;
}

export interface SessionsDeps {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** The admin token now; null when there is none, and nobody can log in. */
  readonly adminToken: () => string | null;
  /** Signs sessions; a secret. */
  readonly sessionKey: string;
  readonly ended: EndedSessions;
}

/** Sessions that somebody ended, kept for every server on the database. */
export interface EndedSessions {
  has(id: string): boolean;
  /** Never rejects. @param endsSeconds when it would have ended anyway, since the Unix epoch */
  add(session: { readonly id: string; readonly endsSeconds: number }): Promise<void>;
}

export const SESSION_MS = 12 * 3_600_000;
/** Sessions that were ended here are remembered until they would have ended; beyond this, the oldest one is forgotten. */
const MAX_ENDED = 1024;
const ID_BYTES = 24;

/** When it ends, in seconds and base 36; its id; the signature of both. */
const SESSION = /^([0-9a-z]{1,9})\.([\w-]{32})\.([\w-]{43})$/;

/** The sessions of a database; another admin token ends them all. */
export class AdminSessions {
  readonly #deps: SessionsDeps;
  /** Ids with the seconds of their end: for when the database cannot be written. */
  readonly #ended = new Map<string, number>();

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  isAdminToken(credential: string): boolean {
    return opensAdmin(credential, this.#deps.adminToken());
  }

  /** @returns the text for the cookie; null when there is no admin token any more */
  open(): string | null {
    const token = this.#deps.adminToken();
    if (token === null) return null;
    const ends = Math.floor((this.#deps.now() + SESSION_MS) / 1000).toString(36);
    const id = randomText(ID_BYTES);
    return `${ends}.${id}.${this.#sign("session", ends, id, token)}`;
  }

  find(session: string): AdminSession | null {
    const token = this.#deps.adminToken();
    const [, ends = "", id = "", signature = ""] = SESSION.exec(session) ?? [];
    if (token === null || id === "") return null;
    if (!isSameSecret(signature, this.#sign("session", ends, id, token))) return null;
    if (parseInt(ends, 36) * 1000 <= this.#deps.now()) return null;
    if (this.#ended.has(id) || this.#deps.ended.has(id)) return null;
    return { csrfToken: this.#sign("csrf", id, token) };
  }

  /** It has ended for this server when this returns, and for every other one when the promise resolves. */
  async close(session: string): Promise<void> {
    if (this.find(session) === null) return;
    const [ends = "", id = ""] = session.split(".");
    const nowSeconds = this.#deps.now() / 1000;
    for (const [each, endSeconds] of this.#ended) {
      if (endSeconds > nowSeconds && this.#ended.size < MAX_ENDED) break;
      this.#ended.delete(each);
    }
    const endsSeconds = parseInt(ends, 36);
    this.#ended.set(id, endsSeconds);
    await this.#deps.ended.add({ id, endsSeconds });
  }

  #sign(...parts: readonly string[]): string {
    return hmacSha256(this.#deps.sessionKey, parts.join("\n")).toString("base64url");
  }
}

/**
 * Whether a credential is the admin token.
 * @param adminToken null: there is none
 */
function opensAdmin(credential: string, adminToken: string | null): boolean {
  return adminToken !== null && isSameSecret(credential, adminToken);
}
