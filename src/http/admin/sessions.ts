/**
 * Who has logged in: the admin token, and the sessions that it opened.
 *
 * Owns the sessions in memory: a bounded number, with ids kept as digests only. Knows nothing of HTTP.
 */
import { randomText } from "../../core/random_text.ts";
import { isSameSecret, sha256 } from "../../core/digest.ts";

/** How a request was authenticated. */
export interface AdminSession {
  /** The page sends it with every change; null for a script, which has no cookie. */
  readonly csrfToken: string | null;
}

export interface SessionsDeps {
  /** Milliseconds from an arbitrary start; never jumps. */
  readonly monotonic: () => number;
  /** The admin token now; null when there is none, and nobody can log in. */
  readonly adminToken: () => string | null;
}

export const SESSION_MS = 12 * 3_600_000;
/** Beyond this, the oldest session ends. */
const MAX_SESSIONS = 256;
const ID_BYTES = 32;

interface Kept {
  readonly csrfToken: string;
  readonly tokenDigest: string;
  readonly endsAtMs: number;
}

/** The sessions of this process; a restart ends them, and so does another admin token. */
export class AdminSessions {
  readonly #deps: SessionsDeps;
  /** By digest of the session id, oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  isAdminToken(credential: string): boolean {
    return opensAdmin(credential, this.#deps.adminToken());
  }

  /** @returns the id for the cookie; null when there is no admin token any more */
  open(): string | null {
    const token = this.#deps.adminToken();
    if (token === null) return null;
    const nowMs = this.#deps.monotonic();
    for (const [key, { endsAtMs }] of this.#kept) {
      if (endsAtMs > nowMs && this.#kept.size < MAX_SESSIONS) break;
      this.#kept.delete(key);
    }
    const id = randomText(ID_BYTES);
    this.#kept.set(digestOf(id), {
      csrfToken: randomText(ID_BYTES),
      tokenDigest: digestOf(token),
      endsAtMs: nowMs + SESSION_MS,
    });
    return id;
  }

  find(id: string): AdminSession | null {
    const key = digestOf(id);
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    const token = this.#deps.adminToken();
    const isOver = kept.endsAtMs <= this.#deps.monotonic() || token === null ||
      kept.tokenDigest !== digestOf(token);
    if (!isOver) return { csrfToken: kept.csrfToken };
    this.#kept.delete(key);
    return null;
  }

  close(id: string): void {
    this.#kept.delete(digestOf(id));
  }
}

/**
 * Whether a credential is the admin token.
 * @param adminToken null: there is none
 */
function opensAdmin(credential: string, adminToken: string | null): boolean {
  return adminToken !== null && isSameSecret(credential, adminToken);
}

function digestOf(text: string): string {
  return sha256(text).toString("base64url");
}
