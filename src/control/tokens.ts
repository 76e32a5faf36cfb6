/**
 * The tokens that clients send, and the one that opens the admin page, which is none of them.
 *
 * Owns what a token and its name may look like, how tokens are found, and that one always remains: without any, the
 * server refuses to start.
 */
import { maskSecret } from "../core/secrets.ts";
import type { ClientToken } from "../core/types.ts";
import { adminTokenOf, MIN_ADMIN_TOKEN_LENGTH, setAdminToken } from "../store/config/initial_tokens.ts";
import type { ConfigStore } from "../store/store.ts";
import { ControlError, invalidValue } from "./errors.ts";

/** Without a name it gets one. */
export interface NewToken {
  readonly name?: string | undefined;
  readonly secret: string;
}

export class Tokens {
  readonly #config: ConfigStore;

  constructor({ config }: { readonly config: ConfigStore }) {
    this.#config = config;
  }

  list(): ClientToken[] {
    return this.#config.listTokens();
  }

  /** By its name alone. @throws ControlError `not_found` */
  named(name: string): ClientToken {
    const token = this.list().find((each) => each.name === name);
    if (token === undefined) throw noSuchToken("that name");
    return token;
  }

  /** One more. @throws ControlError `invalid`, `token_exists`, `conflict` when it opens the admin page */
  add({ name: wanted, secret }: NewToken): ClientToken {
    return this.#change((tokens) => {
      const twin = tokens.find((token) => token.secret === secret);
      if (twin !== undefined) {
        throw new ControlError("token_exists", `this token is accepted already, as ${twin.name}`);
      }
      const token = { name: chooseName(wanted, tokens), secret };
      this.#requireApart([...tokens, token], token);
      return { result: token, tokens: [...tokens, token] };
    });
  }

  /** This one and no other. @throws ControlError `invalid`, `conflict` when it opens the admin page */
  replaceAll({ name, secret }: NewToken): ClientToken {
    const token = { name: chooseName(name, []), secret };
    return this.#change(() => {
      this.#requireApart([token], token);
      return { result: token, tokens: [token] };
    });
  }

  /** Those that {@link replaceAll} would no longer accept. */
  replacedBy(secret: string): ClientToken[] {
    return this.list().filter((token) => token.secret !== secret);
  }

  /**
   * By the token itself, else by name or masked form.
   *
   * @throws ControlError `not_found`, `ambiguous`, or `conflict` when it is the only one
   */
  remove(which: string): ClientToken {
    return this.#change((tokens) => {
      const token = findToken(tokens, which);
      const rest = tokens.filter((each) => each !== token);
      if (rest.length > 0) return { result: token, tokens: rest };
      throw new ControlError(
        "conflict",
        `token ${token.name} is the only token, and without one the server refuses to start`,
        { field: "token", hint: "make another first" },
      );
    });
  }

  /** Ends every login to the admin page. @throws ControlError `invalid`, `conflict` when clients send the same */
  setAdmin(secret: string): void {
    requireAdminToken(secret);
    this.#config.atomically("Cannot set the admin token", () => {
      if (this.list().some((token) => token.secret === secret)) {
        throw new ControlError("conflict", "clients send this token, and it must not open the admin page", {
          field: "adminToken",
          hint: "choose another",
        });
      }
      setAdminToken(this.#config, secret);
    });
  }

  /** A new token is nobody's name, its name is nobody's token, and it does not open the admin page. */
  #requireApart(tokens: readonly ClientToken[], added: ClientToken): void {
    if (tokens.some(({ secret }) => secret === added.name)) {
      throw invalidValue("name", "must not be a token itself: records and logs show names");
    }
    if (tokens.some(({ name }) => name === added.secret)) {
      throw new ControlError("invalid", "a token must not be a name, which records and logs show", {
        field: "value",
        hint: "choose another",
      });
    }
    if (adminTokenOf(this.#config) !== added.secret) return;
    throw new ControlError("conflict", "this token opens the admin page, and clients must not have it", {
      field: "value",
      hint: "choose another",
    });
  }

  /** Nobody changes the tokens between the reading and the writing. */
  #change(
    decide: (tokens: readonly ClientToken[]) => {
      readonly result: ClientToken;
      readonly tokens: readonly ClientToken[];
    },
  ): ClientToken {
    return this.#config.atomically("Cannot set the tokens", () => {
      const { result, tokens } = decide(this.list());
      this.#config.setTokens(tokens);
      return result;
    });
  }
}

/** A shorter one could be guessed: wrong tokens are refused as fast as they come. */
export const MIN_TOKEN_LENGTH = 16;
/** What fits into a header beside the others. */
export const MAX_TOKEN_LENGTH = 4_096;

/**
 * What a token that somebody chose must look like.
 *
 * @param isShortAllowed somebody insists on one that could be guessed
 * @throws ControlError `invalid`, without showing it
 */
export function requireClientToken(
  secret: string,
  { isShortAllowed }: { readonly isShortAllowed: boolean },
): void {
  if (!/^[\x21-\x7e]+$/.test(secret)) {
    throw invalidValue("value", "must be one word of visible ASCII characters, without spaces");
  }
  if (secret.includes(",")) {
    throw new ControlError("invalid", "a token must not contain commas", {
      field: "token",
      hint: "add each token by itself",
    });
  }
  if (secret.length > MAX_TOKEN_LENGTH) {
    throw invalidValue("value", `has more than ${MAX_TOKEN_LENGTH} characters, which clients cannot send`);
  }
  if (isShortAllowed || secret.length >= MIN_TOKEN_LENGTH) return;
  throw new ControlError(
    "invalid",
    `the token has fewer than ${MIN_TOKEN_LENGTH} characters, and could be guessed`,
    { field: "force", hint: "leave it out for a random one, or insist with force" },
  );
}

/** Beginnings of the keys of known providers, of this program's tokens, and of signed tokens (RFC 7519). */
const KEY_PREFIX = /^(?:sk-|sk_|pk-|gsk_|xai-|AIza|ghp_|admin-oar-|eyJ)/;
/** Longer than any word. */
const LONG_RUN = /^[\w-]{24,}$/;

/** Whether a name was probably meant to be the token itself. */
export function looksLikeToken(name: string): boolean {
  return KEY_PREFIX.test(name) || (LONG_RUN.test(name) && /\d/.test(name) && /[A-Za-z]/.test(name));
}

/** @throws ControlError `invalid` */
export function requireAdminToken(secret: string): void {
  if (secret.length >= MIN_ADMIN_TOKEN_LENGTH && /^[\x21-\x7e]+$/.test(secret)) return;
  throw new ControlError(
    "invalid",
    `the admin token must be at least ${MIN_ADMIN_TOKEN_LENGTH} visible ASCII characters without spaces`,
    { field: "adminToken", hint: "give none to get a random one" },
  );
}

/** @throws ControlError `invalid` */
export function requireTokenName(name: string): void {
  if (/^[^\s,=:\p{C}]{1,64}$/u.test(name)) return;
  throw invalidValue("name", "must be one word of at most 64 characters, without commas, = or :");
}

function chooseName(given: string | undefined, tokens: readonly ClientToken[]): string {
  const taken = new Set(tokens.map((token) => token.name));
  if (given === undefined) {
    let number = tokens.length + 1;
    while (taken.has(`token-${number}`)) number++;
    return `token-${number}`;
  }
  const name = given.trim();
  requireTokenName(name);
  if (!taken.has(name)) return name;
  throw new ControlError("token_exists", `a token named ${name} exists already`, {
    field: "name",
    hint: "choose another name",
  });
}

function findToken(tokens: readonly ClientToken[], which: string): ClientToken {
  const exact = tokens.find((token) => token.secret === which);
  if (exact !== undefined) return exact;
  const [found, ...more] = tokens.filter((token) => [token.name, maskSecret(token.secret)].includes(which));
  if (found === undefined) throw noSuchToken("that name, masked form or text");
  if (more.length === 0) return found;
  throw new ControlError("ambiguous", "several tokens look like that", {
    field: "token",
    hint: "give the token itself",
  });
}

/** Does not repeat what was typed: it may be a secret with a typing mistake. */
function noSuchToken(what: string): ControlError {
  return new ControlError("not_found", `no token has ${what}`, {
    field: "token",
    hint: "the list shows those that there are",
  });
}
