/**
 * Which requests may pass: compares the credentials that a client sent with the configured tokens.
 *
 * Comparison is constant-time over SHA-256 digests, and every token of the list is compared. Rows hold digests only, and are
 * looked up by them: whoever guesses does not choose the digest, so the time of a look-up tells nothing of use.
 */
import { timingSafeEqual } from "node:crypto";
import type { ClientRules } from "../core/client_rules.ts";
import { clientCredentials } from "../core/credentials.ts";
import { sha256 } from "../core/digest.ts";
import type { Buffer } from "node:buffer";
import { RouterError } from "../core/errors.ts";
import type { HeaderView } from "../core/header_fields.ts";
import type { ClientToken } from "../core/types.ts";

const OWN_TOKEN = "a token of this router, which `openai-api-route token show` prints";

/** Size of the cache of credentials, which is emptied when it is full. */
const MAX_KNOWN = 1024; // docs/tuning.md#core

/** A client's token, and what it may do. */
export interface AcceptedToken extends ClientToken {
  /** null: everything, because it is one of the list. */
  readonly rules: ClientRules | null;
}

/** The configured tokens, ready for comparison. */
export class TokenChecker {
  readonly #tokens: readonly { readonly token: AcceptedToken; readonly digest: Buffer }[];
  /** Rows, by their digests in hexadecimal. */
  readonly #rules: ReadonlyMap<string, ClientRules>;
  /**
   * Cache of credentials that are tokens: a digest costs more than routing a request. The time of a lookup reveals
   * nothing about what is not in it, because a map's hash is seeded at random.
   */
  readonly #known = new Map<string, AcceptedToken>();

  constructor(tokens: readonly ClientToken[], rules: readonly ClientRules[] = []) {
    this.#tokens = tokens.map((token) => ({
      token: { ...token, rules: null },
      digest: sha256(token.secret),
    }));
    this.#rules = new Map(rules.map((each) => [each.digest, each]));
  }

  /** The token that a credential is, usable or not; null: it is none. */
  find(credential: string): AcceptedToken | null {
    const known = this.#known.get(credential);
    if (known !== undefined) return known;
    const digest = sha256(credential);
    let found: AcceptedToken | null = null;
    for (const known of this.#tokens) if (timingSafeEqual(known.digest, digest)) found = known.token;
    found ??= this.#row(credential, digest);
    if (found !== null) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(credential, found);
    }
    return found;
  }

  /**
   * The token that the request carries in `Authorization: Bearer`, `x-api-key` or `api-key`.
   * @param nowMs wall clock
   * @throws RouterError 403; for a token that is none its message begins as the Go program's
   */
  authenticate(headers: HeaderView, nowMs: number): AcceptedToken {
    const credentials = clientCredentials(headers);
    if (credentials.length === 0) {
      throw forbidden(`authorization header should start with 'Bearer': send ${OWN_TOKEN}`);
    }
    let refusal: RouterError | null = null;
    for (const credential of credentials) {
      const token = this.find(credential);
      if (token === null) continue;
      const problem = token.rules === null ? null : unusable(token.rules, nowMs);
      if (problem === null) return token;
      refusal ??= problem;
    }
    throw refusal ?? forbidden(`wrong authorization header: send ${OWN_TOKEN}, not an upstream's key`);
  }

  #row(credential: string, digest: Buffer): AcceptedToken | null {
    if (this.#rules.size === 0) return null;
    const rules = this.#rules.get(digest.toString("hex"));
    return rules === undefined ? null : { name: rules.name, secret: credential, rules };
  }
}

/** Why a token of this router may not be used now; null: it may. */
function unusable({ name, isEnabled, expiresAtMs }: ClientRules, nowMs: number): RouterError | null {
  if (!isEnabled) {
    return new RouterError(
      403,
      "token_disabled",
      `The token ${name} is disabled; ask whoever runs this router`,
    );
  }
  if (expiresAtMs === null || nowMs < expiresAtMs) return null;
  const date = new Date(expiresAtMs).toISOString().replace(".000Z", "Z");
  return new RouterError(
    403,
    "token_expired",
    `The token ${name} expired at ${date}; ask whoever runs this router for another date or a new token`,
  );
}

function forbidden(message: string): RouterError {
  return new RouterError(403, "invalid_authorization", message);
}
