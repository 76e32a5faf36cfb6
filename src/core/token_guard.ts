/**
 * Finds the router's own tokens in what is about to leave for an upstream.
 *
 * Owns the forms in which a token is recognised: as it is, in lower case, percent-encoded up to three times, and in
 * base64 (RFC 4648, both alphabets) together with whatever stands before or after it, as in `Basic` (RFC 7617). Pure.
 */
import { Buffer } from "node:buffer";
import { SecretSet } from "./secret_set.ts";
import { MIN_MASKABLE_LENGTH } from "./secrets.ts";

/** A query that was put through several programs may be encoded more than once. */
const MAX_DECODINGS = 3;

/** Clients choose what is remembered: bounds keep it from piling up. */
const MAX_CLEAN = 1024;
const MAX_CLEAN_LENGTH = 256;

/** What a short token stands between in the value of a header. */
const DELIMITERS = /[\s,;="']+/;

/** The tokens of clients, and the one that opens the admin page. Made once for each change of them. */
export class TokenGuard {
  /** Those of 12 characters or more: found wherever they stand. */
  readonly #long: SecretSet;
  /** Shorter ones may be ordinary words or parts of them: only a value that is nothing else is one. */
  readonly #short: ReadonlySet<string>;
  /** Texts in which none was found: nearly all that clients say they have said before. */
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

  /** Whether a path does. A segment of it that is a short token is a word: models have names like that. */
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

/** Guards nothing: for requests that hold nothing of a client's. */
export const NO_TOKENS = new TokenGuard([]);

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Empty for what is no base64: older runtimes throw for some of it, where Node skips characters. */
function fromBase64(text: string): string {
  if (!BASE64.test(text)) return "";
  try {
    return Buffer.from(text, "base64").toString("latin1");
  } catch {
    return "";
  }
}

/** The text as it is, and decoded for as long as that changes anything. */
function decodings(text: string): string[] {
  const texts = [text];
  for (let last = text; texts.length <= MAX_DECODINGS && last.includes("%");) {
    last = percentDecoded(last);
    texts.push(last);
  }
  return texts;
}

/** `%41` becomes `A`, each octet a character of its own; what is not well formed stays. */
function percentDecoded(text: string): string {
  return text.replaceAll(
    /%([0-9a-f]{2})/gi,
    (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** What is searched for instead of a token that may be encoded: texts of 12 characters or more. */
function formsOf(token: string): string[] {
  // Octets in a head are characters of their own there (Latin-1).
  const latin1 = Buffer.from(token, "utf8").toString("latin1");
  return [
    ...new Set([token, latin1, token.toLowerCase(), ...base64FormsOf(token)]),
  ].filter((form) => form.length >= MIN_MASKABLE_LENGTH);
}

/** What base64 makes of a token after 0, 1 and 2 other octets: the characters that do not depend on its neighbours. */
function base64FormsOf(token: string): string[] {
  const bytes = Buffer.from(token, "utf8");
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const form = text.slice(Math.ceil(offset * 8 / 6), Math.floor((offset + bytes.length) * 8 / 6));
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
