/**
 * Finds a few top-level members of a JSON text in one pass, piece by piece, without building objects.
 *
 * Owns the grammar of RFC 8259: every parser reads what it accepts in the same way. Keeps no text except a key that
 * spans two pieces; memory is bounded by {@link MAX_DEPTH}. Must not know what the members are for.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259
 */
import { isDigit, isNumberEnd, nextInNumber, numberStart } from "./json_number.ts";

/** Half-open range of characters, from the beginning of the text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The result of scanning a text. */
export interface JsonMembers {
  /** Why the text is not JSON; null when it is. */
  readonly problem: string | null;
  /** Watched members on which parsers differ: they occur twice, or their key is not in lower case. */
  readonly ambiguous: ReadonlySet<string>;
  /** The value of each watched member present, quotes included; the last one if it occurs again. */
  readonly spans: ReadonlyMap<string, Span>;
}

export interface ScannerOptions {
  /** Also rejects control characters within strings, which costs a further pass. */
  readonly isStrict: boolean;
}

/** Bounds the memory for open brackets; most parsers refuse far less depth (Go: 10,000, Python: about 1,000). */
export const MAX_DEPTH = 500_000;
/** In characters as written; a longer key is not a watched one. */
const MAX_KEY_LENGTH = 128;

// States: what is expected next, or what the next character is inside of.
const AT_VALUE = 0;
/** After `[`. */
const AT_FIRST_ITEM = 1;
/** After `{`. */
const AT_FIRST_KEY = 2;
/** After `,` in an object. */
const AT_KEY = 3;
const AT_COLON = 4;
const AFTER_VALUE = 5;
const IN_STRING = 6;
const IN_ESCAPE = 7;
/** Within the four digits of a `\u` escape. */
const IN_UNICODE = 8;
const IN_LITERAL = 9;
/** After the whole text's value. */
const DONE = 10;
// Larger states are those inside a number, see json_number.ts.

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const SPACE = 0x20;

const MARK = 0xfeff;
/** The mark in UTF-8, for texts with one character per byte. */
const MARK_BYTES = [0xef, 0xbb, 0xbf];

const ESCAPES = '"\\/bfnrtu';
/** Any character below U+0020. */
const CONTROL = /[^\x20-\uffff]/g;

export class JsonMemberScanner {
  readonly #watched: readonly string[];
  readonly #isStrict: boolean;
  readonly #spans = new Map<string, Span>();
  #ambiguous: Set<string> | null = null;
  #problem: string | null = null;
  #state = AT_VALUE;
  /** For each open bracket, whether it is an object's. */
  readonly #isObject: boolean[] = [];
  /** Length of the pieces before the current one. */
  #offset = 0;
  /** The string being read is a key. */
  #isKey = false;
  /** The start of a top-level key that has escapes or spans several pieces. */
  #key = "";
  /** The watched member whose value is being read. */
  #member: string | null = null;
  #memberStart = 0;
  #literal = "";
  /** Characters left of the literal, or of a `\u` escape. */
  #left = 0;

  /** @param watched names of members, in lower case */
  constructor(watched: readonly string[], { isStrict }: ScannerOptions) {
    this.#watched = watched;
    this.#isStrict = isStrict;
  }

  /** The next characters of the text. */
  push(text: string): void {
    if (this.#problem === null) this.#scan(text);
    this.#offset += text.length;
  }

  /** The text has ended. */
  end(): JsonMembers {
    const isNumber = this.#isObject.length === 0 && isNumberEnd(this.#state);
    if (this.#problem === null && this.#state !== DONE && !isNumber) {
      this.#problem = this.#offset === 0 ? "it is empty" : "it ends too early";
    }
    return { problem: this.#problem, ambiguous: this.#ambiguous ?? NONE, spans: this.#spans };
  }

  #scan(text: string): void {
    const { length } = text;
    // The next position of each, searched again only once it is passed: every character is searched once.
    let quote = -1;
    let backslash = -1;
    let control = this.#isStrict ? -1 : length;
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case IN_STRING: {
          if (quote < at) quote = indexOr(text.indexOf('"', at), length);
          if (backslash < at) backslash = indexOr(text.indexOf("\\", at), length);
          if (control < at) control = nextControl(text, at);
          const end = quote < backslash ? quote : backslash;
          if (control < end) return this.#fail("a string holds a control character that is not escaped");
          const isEnd = end === quote && end < length;
          if (this.#isKey && this.#isObject.length === 1) this.#topLevelKey(text, { start: at, end, isEnd });
          at = end + 1;
          if (isEnd) {
            if (this.#isKey) this.#state = AT_COLON;
            else this.#valueEnded(at);
          } else if (end < length) this.#state = IN_ESCAPE;
          break;
        }
        case IN_ESCAPE:
          if (!ESCAPES.includes(text.charAt(at))) {
            return this.#fail("a string holds an escape that JSON does not have");
          }
          this.#noteEscape(text.charAt(at));
          this.#left = 4;
          this.#state = text.charAt(at++) === "u" ? IN_UNICODE : IN_STRING;
          break;
        case IN_UNICODE:
          if (!isHexDigit(text.charCodeAt(at))) return this.#fail("a string holds a malformed \\u escape");
          this.#noteEscape(text.charAt(at++));
          if (--this.#left === 0) this.#state = IN_STRING;
          break;
        case IN_LITERAL:
          if (text.charAt(at++) !== this.#literal.charAt(this.#literal.length - this.#left)) {
            return this.#fail(NO_VALUE);
          }
          if (--this.#left === 0) this.#valueEnded(at);
          break;
        default:
          at = this.#state > DONE ? this.#number(text, at) : this.#structure(text, at);
          if (this.#problem !== null) return;
      }
    }
  }

  /** Reads the characters of a number; returns the index after it. */
  #number(text: string, from: number): number {
    let state = this.#state;
    let at = from;
    for (; at < text.length; at++) {
      const next = nextInNumber(state, text.charCodeAt(at));
      if (next === null) break;
      state = next;
    }
    this.#state = state;
    if (at === text.length) return at;
    if (isNumberEnd(state)) this.#valueEnded(at);
    else this.#fail("a number is malformed");
    return at;
  }

  /** Reads the characters between strings, numbers and literals; returns the index after the first of the next. */
  #structure(text: string, from: number): number {
    const open = this.#isObject;
    let state = this.#state;
    let at = from;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === SPACE || code === 0x0a || code === 0x0d || code === 0x09) continue;
      if (state === AFTER_VALUE && code === COMMA) state = open[open.length - 1] ? AT_KEY : AT_VALUE;
      else if (state === AT_COLON && code === COLON) state = AT_VALUE;
      else if (isClosing(state, code, open[open.length - 1] === true)) {
        open.pop();
        this.#valueEnded(at + 1);
        state = this.#state;
      } else if (state === AT_VALUE || state === AT_FIRST_ITEM) {
        this.#state = AT_VALUE;
        this.#value(code, at);
        state = this.#state;
        if (state > AFTER_VALUE || this.#problem !== null) return at + 1;
      } else if ((state === AT_KEY || state === AT_FIRST_KEY) && code === QUOTE) {
        this.#isKey = true;
        this.#key = "";
        this.#state = IN_STRING;
        return at + 1;
      } else {
        this.#fail(PROBLEMS[state] ?? NO_VALUE);
        return at;
      }
    }
    this.#state = state;
    return at;
  }

  #value(code: number, at: number): void {
    if (this.#member !== null && this.#isObject.length === 1) this.#memberStart = this.#offset + at;
    switch (code) {
      case QUOTE:
        this.#isKey = false;
        this.#state = IN_STRING;
        return;
      case OPENING_BRACE:
      case OPENING_BRACKET:
        if (this.#isObject.length === MAX_DEPTH) return this.#fail("it is nested too deeply");
        this.#isObject.push(code === OPENING_BRACE);
        this.#state = code === OPENING_BRACE ? AT_FIRST_KEY : AT_FIRST_ITEM;
        return;
      default: {
        const number = numberStart(code);
        if (number !== null) {
          this.#state = number;
          return;
        }
        const literal = LITERALS.find((word) => word.charCodeAt(0) === code);
        if (literal === undefined) {
          return this.#isMark(code, this.#offset + at) ? undefined : this.#fail(NO_VALUE);
        }
        this.#literal = literal;
        this.#left = literal.length - 1;
        this.#state = IN_LITERAL;
      }
    }
  }

  /** JSON does not allow a leading byte order mark, and nearly all parsers skip one. */
  #isMark(code: number, index: number): boolean {
    const isStart = this.#isObject.length === 0 && this.#state === AT_VALUE;
    return isStart && (code === MARK_BYTES[index] || (index === 0 && code === MARK));
  }

  /** @param end index after the value's last character */
  #valueEnded(end: number): void {
    const depth = this.#isObject.length;
    if (this.#member !== null && depth === 1) {
      this.#spans.set(this.#member, { start: this.#memberStart, end: this.#offset + end });
      this.#member = null;
    }
    this.#state = depth === 0 ? DONE : AFTER_VALUE;
  }

  /** Reads a run of characters of a top-level key. */
  #topLevelKey(
    text: string,
    run: { readonly start: number; readonly end: number; readonly isEnd: boolean },
  ): void {
    const length = run.end - run.start;
    if (run.isEnd && this.#key === "" && !this.#watched.some((name) => name.length === length)) {
      // The common case: no escape, and no watched key is of that length.
      this.#member = null;
      return;
    }
    if (this.#key.length <= MAX_KEY_LENGTH) {
      this.#key += text.slice(run.start, Math.min(run.end, run.start + MAX_KEY_LENGTH + 1));
    }
    if (run.isEnd) this.#keyEnded();
    else if (run.end < text.length) this.#noteEscape("\\");
  }

  #noteEscape(character: string): void {
    const isTopLevelKey = this.#isKey && this.#isObject.length === 1;
    if (isTopLevelKey && this.#key.length <= MAX_KEY_LENGTH) this.#key += character;
  }

  #keyEnded(): void {
    this.#member = null;
    if (this.#key.length > MAX_KEY_LENGTH) return;
    const name = this.#key.includes("\\") ? unescaped(this.#key) : this.#key;
    const folded = name.toLowerCase();
    if (!this.#watched.includes(folded)) return;
    // Go's parser matches keys in any case; of repeated keys, some parsers take the first, some the last.
    if (folded !== name || this.#spans.has(name)) (this.#ambiguous ??= new Set()).add(folded);
    if (folded === name) this.#member = name;
  }

  #fail(problem: string): void {
    this.#problem = problem;
  }
}

/** What an unexpected character means, by state. */
const PROBLEMS: Readonly<Record<number, string>> = {
  [AT_FIRST_KEY]: "a key of an object is not a string in double quotes",
  [AT_KEY]: "a key of an object is not a string in double quotes",
  [AT_COLON]: "there is no colon after a key",
  [AFTER_VALUE]: "there is no comma between two values",
  [DONE]: "something follows the value",
};

function isClosing(state: number, code: number, isObject: boolean): boolean {
  if (state !== AFTER_VALUE && state !== (isObject ? AT_FIRST_KEY : AT_FIRST_ITEM)) return false;
  return code === (isObject ? CLOSING_BRACE : CLOSING_BRACKET);
}

const NONE: ReadonlySet<string> = new Set();
const NO_VALUE = "it holds something that is not a JSON value";
const LITERALS = ["true", "false", "null"];

function indexOr(index: number, otherwise: number): number {
  return index < 0 ? otherwise : index;
}

function nextControl(text: string, from: number): number {
  CONTROL.lastIndex = from;
  return CONTROL.exec(text)?.index ?? text.length;
}

/** The key with its escapes decoded, which were checked before; "" when it holds a raw control character. */
function unescaped(key: string): string {
  try {
    return String(JSON.parse(`"${key}"`));
  } catch {
    return "";
  }
}

function isHexDigit(code: number): boolean {
  const letter = code | 0x20;
  return isDigit(code) || (letter >= 0x61 && letter <= 0x66);
}
