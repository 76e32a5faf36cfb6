/**
 * Finds the router's own tokens in what is about to be sent to an upstream.
 *
 * Owns the forms in which a token is recognised: as it is, in lower case, percent-encoded up to three times, and in
 * base64 (RFC 4648, both alphabets) with any text before or after it, as in `Basic` (RFC 7617). Pure.
 */
import { Buffer } from "node:buffer";
import { SecretSet } from "./secret_set.ts";
import { MIN_MASKABLE_LENGTH } from "./secrets.ts";

/** A query that passed through several programs may be encoded more than once. */
const MAX_DECODINGS = 3;

/** Bounds on the cache, since clients choose what is cached. */
const MAX_CLEAN = 1024; // docs/tuning.md#core
const MAX_CLEAN_LENGTH = 256;

/** What separates a short token from the rest of a header's value. */
const DELIMITERS = /[\s,;="']+/;

/** The clients' tokens and the admin page's. A new object is made whenever they change. */
export class TokenGuard {
  /** Those of 12 characters or more: found anywhere in a text. */
  readonly #long: SecretSet;
  /** Shorter ones may be ordinary words: only a whole value, or a whole piece of one, counts. */
  readonly #short: ReadonlySet<string>;
  /** Texts known to hold none: clients repeat nearly everything that they send. */
  readonly #clean = new Set<string>();

  constructor(tokens: Iterable<string>) {
    const all = [...tokens].map((token) => token.trim()).filter((token) => token !== "");
    this.#long = new SecretSet(all.filter((token) => token.length >= MIN_MASKABLE_LENGTH).flatMap(formsOf));
    this.#short = new Set(all.filter((token) => token.length < MIN_MASKABLE_LENGTH));
  }

  /** Whether a header's name or value, or a query's parameter, holds a token. */
  holds(text: string): boolean {
    if (this.#clean.has(text)) return false;
    if (this.#holdsLong(text) || (this.#short.size > 0 && this.#isShort(text))) return true;
    if (text.length <= MAX_CLEAN_LENGTH) {
      if (this.#clean.size >= MAX_CLEAN) this.#clean.clear();
      this.#clean.add(text);
    }
    return false;
  }

  /** Whether a path holds one. Short tokens are not looked for: a segment may be a model with such a name. */
  isInPath(path: string): boolean {
    return this.#holdsLong(path);
  }

  #holdsLong(text: string): boolean {
    return decodings(text).some((decoded) => this.#long.isIn(decoded));
  }

  #isShort(value: string): boolean {
    const texts = decodings(value).map((text) => text.trim());
    if (texts.some((text) => this.#short.has(text))) return true;
    const pieces = texts.flatMap((text) => text.split(DELIMITERS));
    if (pieces.some((piece) => this.#short.has(piece))) return true;
    return pieces.some((piece) => {
      const said = fromBase64(piece);
      const colon = said.indexOf(":");
      return this.#short.has(said) ||
        (colon >= 0 && (this.#short.has(said.slice(0, colon)) || this.#short.has(said.slice(colon + 1))));
    });
  }
}

/** Finds nothing: for requests that hold nothing from a client. */
export const NO_TOKENS = new TokenGuard([]);

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Empty for anything that is not base64: older runtimes throw on some of it, where Node skips characters. */
function fromBase64(text: string): string {
  if (!BASE64.test(text)) return "";
  try {
    return Buffer.from(text, "base64").toString("latin1");
  } catch {
    return "";
  }
}

/** The text as it is, and decoded again and again, up to {@link MAX_DECODINGS} times. */
function decodings(text: string): string[] {
  const texts = [text];
  for (let last = text; texts.length <= MAX_DECODINGS && last.includes("%");) {
    last = percentDecoded(last);
    texts.push(last);
  }
  return texts;
}

/** `%41` becomes `A`, each octet one character; what is malformed stays. */
function percentDecoded(text: string): string {
  return text.replaceAll(
    /%([0-9a-f]{2})/gi,
    (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** The forms of a token to search for, of 12 characters or more each. */
function formsOf(token: string): string[] {
  // In a head, each octet is one character (Latin-1).
  const latin1 = Buffer.from(token, "utf8").toString("latin1");
  return [
    ...new Set([token, latin1, token.toLowerCase(), ...base64FormsOf(token)]),
  ].filter((form) => form.length >= MIN_MASKABLE_LENGTH);
}

/** The base64 of a token after 0, 1 and 2 other octets, without the characters that depend on its neighbours. */
function base64FormsOf(token: string): string[] {
  const bytes = Buffer.from(token, "utf8");
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const form = text.slice(Math.ceil(offset * 8 / 6), Math.floor((offset + bytes.length) * 8 / 6));
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
