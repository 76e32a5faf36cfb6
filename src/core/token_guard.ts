/**
 * Finds the router's own tokens in what is about to be sent to an upstream.
 *
 * Owns the forms in which a token is recognised: as it is, in lower case, percent-encoded up to three times, and in
 * base64 (RFC 4648, both alphabets) with any text before or after it, as in `Basic` (RFC 7617). Of tokens that are known by
 * their digests only, a whole value is recognised, or a whole piece of one. Pure.
 */
import { Buffer } from "node:buffer";
import { sha256 } from "./digest.ts";
import { SecretSet } from "./secret_set.ts";
import { MIN_MASKABLE_LENGTH } from "./secrets.ts";

/** A query that passed through several programs may be encoded more than once. */
const MAX_DECODINGS = 3;

/** Bounds on the cache, since clients choose what is cached. */
const MAX_CLEAN = 1024; // docs/tuning.md#core
const MAX_CLEAN_LENGTH = 256;

/** What separates a short token from the rest of a header's value. */
const DELIMITERS = /[\s,;="']+/;

/** What separates a token that is known by its digest from its neighbours, in a URL too. */
const URL_DELIMITERS = /[^A-Za-z0-9._~+-]+/;
const WORD_DELIMITERS = /[^A-Za-z0-9_-]+/;
/** Shorter pieces are not digested: thousands of them fit into one head. */
const MIN_DIGESTED_LENGTH = 8;

/** A token of which only this is known. */
export interface DigestedToken {
  /** SHA-256, in hexadecimal. */
  readonly digest: string;
  /** As `maskSecret` makes it. */
  readonly hint: string;
}

/** What a guard knows besides whole tokens. */
export interface MoreTokens {
  readonly digested?: readonly DigestedToken[];
  /** Its tokens count, too. */
  readonly base?: TokenGuard;
}

/** The clients' tokens and the admin page's. A new object is made whenever they change. */
export class TokenGuard {
  /** Those of 12 characters or more: found anywhere in a text. */
  readonly #long: SecretSet;
  /** Shorter ones may be ordinary words: only a whole value, or a whole piece of one, counts. */
  readonly #short: ReadonlySet<string>;
  /** Texts known to hold none: clients repeat nearly everything that they send. */
  readonly #clean = new Set<string>();
  /** The same of paths, in which less is looked for. */
  readonly #cleanPaths = new Set<string>();
  readonly #digested: DigestedTokens | null;
  readonly #base: TokenGuard | null;

  constructor(tokens: Iterable<string>, { digested = [], base }: MoreTokens = {}) {
    this.#digested = digested.length === 0 ? null : new DigestedTokens(digested);
    this.#base = base ?? null;
    const all = [...tokens].map((token) => token.trim()).filter((token) => token !== "");
    this.#long = new SecretSet(all.filter((token) => token.length >= MIN_MASKABLE_LENGTH).flatMap(formsOf));
    this.#short = new Set(all.filter((token) => token.length < MIN_MASKABLE_LENGTH));
  }

  /** Whether a header's name or value, or a query's parameter, holds a token. */
  holds(text: string): boolean {
    // What is clean here was found to be clean for the base, too.
    if (this.#clean.has(text)) return false;
    if (this.#base?.holds(text) === true) return true;
    if (this.#holdsLong(text) || (this.#short.size > 0 && this.#isShort(text))) return true;
    if (this.#digested?.isIn(text) === true) return true;
    remember(this.#clean, text);
    return false;
  }

  /** Whether a path holds one. Short tokens are not looked for: a segment may be a model with such a name. */
  isInPath(path: string): boolean {
    if (this.#cleanPaths.has(path)) return false;
    if (this.#base?.isInPath(path) === true || this.#holdsLong(path)) return true;
    if (this.#digested?.isOneOf(wordsOf(decodings(path)), MIN_MASKABLE_LENGTH) === true) return true;
    remember(this.#cleanPaths, path);
    return false;
  }

  #holdsLong(text: string): boolean {
    return decodings(text).some((decoded) => this.#long.isIn(decoded));
  }

  #isShort(value: string): boolean {
    const { texts, pieces } = piecesOf(value);
    return [...texts, ...pieces, ...pieces.flatMap(saidIn)].some((text) => this.#short.has(text));
  }
}

/** Finds tokens that are known by their digests. Their hints spare nearly all of the digests that this takes. */
class DigestedTokens {
  readonly #digests: ReadonlySet<string>;
  /** Their last characters; null: those of one are not known. */
  readonly #ends: ReadonlySet<string> | null;
  /** One is so short that its hint says nothing of it. */
  readonly #hasShort: boolean;
  /** What each text has in it that holds one, plain or in base64; null: that is not known. */
  readonly #marks: Marks | null;

  constructor(tokens: readonly DigestedToken[]) {
    this.#digests = new Set(tokens.map(({ digest }) => digest));
    const ends = tokens.filter(({ hint }) => hint !== SHORT_HINT).map(({ hint }) => endOf(hint));
    const known = ends.filter((end) => end !== null);
    this.#ends = known.length < ends.length ? null : new Set(known);
    this.#hasShort = ends.length < tokens.length;
    const isKnown = this.#ends !== null && !this.#hasShort;
    this.#marks = isKnown ? new Marks(known.flatMap((end) => [end, ...base64FormsOf(end)])) : null;
  }

  isIn(value: string): boolean {
    if (this.#marks !== null && !this.#marks.areInOneOf(decodings(value))) return false;
    const { texts, pieces } = piecesOf(value);
    if (this.isOneOf(texts, 1)) return true;
    const parts = pieces.filter((piece) => piece.length >= MIN_DIGESTED_LENGTH);
    if (this.isOneOf(parts, MIN_DIGESTED_LENGTH) || this.isOneOf(wordsOf(texts), MIN_DIGESTED_LENGTH)) {
      return true;
    }
    // Others say less than a token in base64.
    const coded = parts.filter((piece) => piece.length * 3 / 4 >= MIN_DIGESTED_LENGTH);
    return this.isOneOf(coded.flatMap(saidIn), MIN_DIGESTED_LENGTH);
  }

  isOneOf(texts: readonly string[], minLength: number): boolean {
    const seen = new Set<string>();
    for (const text of texts) {
      if (text.length < minLength || !this.#mayBe(text) || seen.has(text)) continue;
      if (this.#digests.has(sha256(text).toString("hex"))) return true;
      seen.add(text);
    }
    return false;
  }

  #mayBe(text: string): boolean {
    if (this.#ends === null || this.#ends.has(text.slice(-END_LENGTH))) return true;
    return this.#hasShort && text.length < MIN_MASKABLE_LENGTH;
  }
}

/** Finds short texts, of four characters or more each, by their beginnings: one pass, which takes 1 ns a character. */
class Marks {
  readonly #beginnings: ReadonlySet<string>;
  /** Marks the pairs of characters with which one begins, by their low bytes. */
  readonly #pairs = new Uint8Array(0x10000);

  constructor(texts: readonly string[]) {
    this.#beginnings = new Set(texts.map((text) => text.slice(0, END_LENGTH)));
    for (const text of this.#beginnings) this.#pairs[pairOf(text.charCodeAt(0), text.charCodeAt(1))] = 1;
  }

  areInOneOf(texts: readonly string[]): boolean {
    return texts.some((text) => this.#isIn(text));
  }

  #isIn(text: string): boolean {
    let first = text.charCodeAt(0);
    for (let at = 0; at <= text.length - END_LENGTH; at++) {
      const second = text.charCodeAt(at + 1);
      if (this.#pairs[pairOf(first, second)] === 1 && this.#beginnings.has(text.slice(at, at + END_LENGTH))) {
        return true;
      }
      first = second;
    }
    return false;
  }
}

function pairOf(first: number, second: number): number {
  return (first & 0xff) << 8 | (second & 0xff);
}

/** Of a token in a hint: `sk-…f3aQ`. */
const SHORT_HINT = "…";
const END_LENGTH = 4;

/** null: the hint is of another form. */
function endOf(hint: string): string | null {
  return hint.length === 4 + END_LENGTH && hint.charAt(3) === SHORT_HINT ? hint.slice(-END_LENGTH) : null;
}

/** All that a value says, and the pieces of it. */
function piecesOf(value: string): { readonly texts: string[]; readonly pieces: string[] } {
  const texts = decodings(value).map((text) => text.trim());
  return { texts, pieces: texts.flatMap((text) => text.split(DELIMITERS)) };
}

function wordsOf(texts: readonly string[]): string[] {
  return [
    ...texts.flatMap((text) => text.split(URL_DELIMITERS)),
    ...texts.flatMap((text) => text.split(WORD_DELIMITERS)),
  ];
}

/** What a piece says in base64: all of it, and both parts of `user:password`. */
function saidIn(piece: string): string[] {
  const said = fromBase64(piece);
  if (said === "") return [];
  const colon = said.indexOf(":");
  return colon < 0 ? [said] : [said, said.slice(0, colon), said.slice(colon + 1)];
}

function remember(clean: Set<string>, text: string): void {
  if (text.length > MAX_CLEAN_LENGTH) return;
  if (clean.size >= MAX_CLEAN) clean.clear();
  clean.add(text);
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
