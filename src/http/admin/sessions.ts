/**
 * Who has logged in: the admin token, the sessions that it opened, and how often it may be guessed.
 *
 * Owns what is kept in memory of all that, always bounded. Session ids are kept as digests only. Knows nothing of
 * HTTP.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** What a request that may pass was let in by. */
export interface AdminSession {
  /** A page sends it back with everything that changes something; null for a script, which has no cookie. */
  readonly csrfToken: string | null;
}

export interface SessionsDeps {
  /** Milliseconds from an arbitrary start; never jumps. */
  readonly monotonic: () => number;
  /** The admin token now; null when there is none, and nobody can log in. */
  readonly adminToken: () => string | null;
}

export const SESSION_MS = 12 * 3_600_000;
/** Over it, the oldest session ends. */
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
    const id = randomText();
    this.#kept.set(digestOf(id), {
      csrfToken: randomText(),
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

/** Whether a credential is the admin token; null: there is none, and nothing is. */
export function opensAdmin(credential: string, adminToken: string | null): boolean {
  return adminToken !== null && isSame(credential, adminToken);
}

/** Compares digests, in a time that tells nothing about either. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(
    createHash("sha256").update(a).digest(),
    createHash("sha256").update(b).digest(),
  );
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

function randomText(): string {
  return crypto.getRandomValues(new Uint8Array(ID_BYTES)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

const WINDOW_MS = 5 * 60_000;
const MAX_FAILURES_PER_ADDRESS = 10;
const MAX_FAILURES = 200;
const MAX_ADDRESSES = 1_000;

interface Failures {
  count: number;
  readonly startedAtMs: number;
}

/** Counts wrong tokens in windows of five minutes: ten from one address, two hundred from all together. */
export class LoginLimiter {
  readonly #monotonic: () => number;
  /** By address, oldest window first. */
  readonly #byAddress = new Map<string, Failures>();
  #all: Failures | null = null;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Seconds to wait before another try counts; 0 when it may be made now. */
  waitSeconds(address: string): number {
    const own = this.#current(this.#byAddress.get(address) ?? null);
    const all = this.#current(this.#all);
    const blocks = [
      ...(own !== null && own.count >= MAX_FAILURES_PER_ADDRESS ? [own] : []),
      ...(all !== null && all.count >= MAX_FAILURES ? [all] : []),
    ];
    const waits = blocks.map(({ startedAtMs }) => startedAtMs + WINDOW_MS - this.#monotonic());
    return Math.max(0, ...waits.map((ms) => Math.ceil(ms / 1000)));
  }

  failed(address: string): void {
    this.#all = this.#counted(this.#all);
    const own = this.#counted(this.#byAddress.get(address) ?? null);
    this.#byAddress.set(address, own);
    for (const oldest of this.#byAddress.keys()) {
      if (this.#byAddress.size <= MAX_ADDRESSES) break;
      this.#byAddress.delete(oldest);
    }
  }

  #counted(failures: Failures | null): Failures {
    const current = this.#current(failures) ?? { count: 0, startedAtMs: this.#monotonic() };
    current.count++;
    return current;
  }

  #current(failures: Failures | null): Failures | null {
    return failures !== null && this.#monotonic() - failures.startedAtMs < WINDOW_MS ? failures : null;
  }
}
