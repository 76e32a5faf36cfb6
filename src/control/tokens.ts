/**
 * The tokens that clients send, and the one that opens the admin page, which is none of them.
 *
 * Owns what a token and its name may look like, how tokens are found, and that one always remains: without any, the
 * server refuses to start.
 */
import { maskSecret } from "../core/secrets.ts";
import type { ClientToken } from "../core/types.ts";
import { adminTokenOf, MIN_ADMIN_TOKEN_LENGTH, setAdminToken } from "../store/config/initial_tokens.ts";
import { digest } from "../store/config/token_list.ts";
import type { ConfigStore } from "../store/store.ts";
import { ControlError, invalidValue } from "./errors.ts";
import { nameIsToken, onlyToken, opensAdminPage, tokenIsName } from "./token_errors.ts";

/** Without a name it gets one. */
export interface NewToken {
  readonly name?: string | undefined;
  readonly secret: string;
}

/** One that is no longer accepted, of either kind. */
export interface ReplacedToken {
  readonly name: string;
  /** Masked. */
  readonly token: string;
  readonly digest: string;
}

/** Those of the list. Rows, which have rules, are in client_tokens.ts. */
export class Tokens {
  readonly #config: ConfigStore;

  constructor({ config }: { readonly config: ConfigStore }) {
    this.#config = config;
  }

  list(): ClientToken[] {
    return this.#config.listTokens();
  }

  /** By its name alone. @throws ControlError `not_found`, `conflict` for one that is kept as a digest */
  named(name: string): ClientToken {
    const token = this.list().find((each) => each.name === name);
    if (token !== undefined) return token;
    if (this.#config.listClientTokens().some((row) => row.name?.trim() === name)) {
      throw new ControlError("conflict", `${name} is kept as a digest, so it cannot be shown again`, {
        hint: "give it another secret with `token rotate`",
      });
    }
    throw noSuchToken("that name");
  }

  /** By the token itself, else by name or masked form. @throws ControlError `not_found`, `ambiguous` */
  found(which: string): ClientToken {
    return findToken(this.list(), which);
  }

  /** One more. @throws ControlError `invalid`, `token_exists`, `conflict` when it opens the admin page */
  add({ name: wanted, secret }: NewToken): ClientToken {
    return this.#change((tokens) => {
      const twin = tokens.find((token) => token.secret === secret);
      const rows = this.#config.listClientTokens();
      const twinName = twin?.name ?? rows.find(({ sha256 }) => sha256 === digest(secret))?.name;
      if (twinName !== undefined) {
        throw new ControlError("token_exists", `this token is accepted already, as ${twinName}`);
      }
      const named = [...tokens, ...rows.map(({ name }) => ({ name: name?.trim() ?? "" }))];
      const token = { name: chooseName(wanted, named), secret };
      this.#requireApart([...tokens, token], token);
      return { result: token, tokens: [...tokens, token] };
    });
  }

  /** This one and no other, also of those that are rows. @throws ControlError `invalid`, `conflict` when it opens the admin page */
  replaceAll({ name, secret }: NewToken): ClientToken {
    const token = { name: chooseName(name, []), secret };
    return this.#change(() => {
      this.#requireApart([token], token);
      for (const { id } of this.#config.listClientTokens()) this.#config.removeClientToken(id);
      return { result: token, tokens: [token] };
    });
  }

  /** Those that {@link replaceAll} would no longer accept. */
  replacedBy(secret: string): ReplacedToken[] {
    const listed = this.list().map(({ name, secret: each }) => ({
      name,
      token: maskSecret(each),
      digest: digest(each),
    }));
    const rows = this.#config.listClientTokens().map(({ id, name, hint, sha256 }) => ({
      name: name ?? String(id),
      token: hint ?? "…",
      digest: sha256 ?? "",
    }));
    return [...listed, ...rows].filter((token) => token.digest !== digest(secret));
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
      if (rest.length > 0 || this.#config.listClientTokens().length > 0) {
        return { result: token, tokens: rest };
      }
      throw onlyToken(token.name);
    });
  }

  /** Ends every login to the admin page. @throws ControlError `invalid`, `conflict` when clients send the same */
  setAdmin(secret: string): void {
    requireAdminToken(secret);
    this.#config.atomically("Cannot set the admin token", () => {
      const isClients = this.list().some((token) => token.secret === secret) ||
        this.#config.listClientTokens().some(({ sha256 }) => sha256 === digest(secret));
      if (isClients) {
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
    const rows = this.#config.listClientTokens();
    const isToken = tokens.some(({ secret }) => secret === added.name) ||
      rows.some(({ sha256 }) => sha256 === digest(added.name));
    if (isToken) throw nameIsToken();
    if ([...tokens, ...rows].some(({ name }) => name === added.secret)) throw tokenIsName();
    if (adminTokenOf(this.#config) === added.secret) throw opensAdminPage();
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

function chooseName(given: string | undefined, tokens: readonly Pick<ClientToken, "name">[]): string {
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
  if (found === undefined) throw noSuchToken("that name, number, masked form or text");
  if (more.length === 0) return found;
  throw new ControlError("ambiguous", "several tokens look like that", {
    field: "token",
    hint: "give the token itself",
  });
}

/** Does not repeat what was typed: it may be a secret with a typing mistake. */
export function noSuchToken(what: string): ControlError {
  return new ControlError("not_found", `no token has ${what}`, {
    field: "token",
    hint: "the list shows those that there are",
  });
}
