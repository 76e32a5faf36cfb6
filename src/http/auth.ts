/**
 * Which requests may pass: compares the credentials that a client sent with the configured tokens.
 *
 * Comparison is constant-time over SHA-256 digests, and every token is compared.
 */
import { timingSafeEqual } from "node:crypto";
import { clientCredentials } from "../core/credentials.ts";
import { sha256 } from "../core/digest.ts";
import type { Buffer } from "node:buffer";
import { RouterError } from "../core/errors.ts";
import type { HeaderView } from "../core/header_fields.ts";
import type { ClientToken } from "../core/types.ts";

const OWN_TOKEN = "a token of this router, which `openai-api-route token show` prints";

/** Size of the cache of credentials, which is emptied when it is full. */
const MAX_KNOWN = 1024; // docs/tuning.md#core

/** The configured tokens, ready for comparison. */
export class TokenChecker {
  readonly #tokens: readonly { readonly token: ClientToken; readonly digest: Buffer }[];
  /**
   * Cache of credentials that are tokens: a digest costs more than routing a request. The time of a lookup reveals
   * nothing about what is not in it, because a map's hash is seeded at random.
   */
  readonly #known = new Map<string, ClientToken>();

  constructor(tokens: readonly ClientToken[]) {
    this.#tokens = tokens.map((token) => ({ token, digest: sha256(token.secret) }));
  }

  /** The token that a credential is, or null. */
  find(credential: string): ClientToken | null {
    const known = this.#known.get(credential);
    if (known !== undefined) return known;
    const digest = sha256(credential);
    let found: ClientToken | null = null;
    for (const known of this.#tokens) if (timingSafeEqual(known.digest, digest)) found = known.token;
    if (found !== null) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(credential, found);
    }
    return found;
  }

  /**
   * The token that the request carries in `Authorization: Bearer`, `x-api-key` or `api-key`.
   * @throws RouterError 403, whose message begins as the Go program's
   */
  authenticate(headers: HeaderView): ClientToken {
    const credentials = clientCredentials(headers);
    if (credentials.length === 0) {
      throw forbidden(`authorization header should start with 'Bearer': send ${OWN_TOKEN}`);
    }
    for (const credential of credentials) {
      const token = this.find(credential);
      if (token !== null) return token;
    }
    throw forbidden(`wrong authorization header: send ${OWN_TOKEN}, not an upstream's key`);
  }
}

function forbidden(message: string): RouterError {
  return new RouterError(403, "invalid_authorization", message);
}
