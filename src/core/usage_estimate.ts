/**
 * What a request used when nobody has counted it: an estimate from its texts.
 *
 * Pure; one pass, linear in the length. By kinds of characters, as the tokenizers of large models split them: a table of
 * tokens would add megabytes to the program and cost ten times as much. How far off it is: docs/usage.md.
 */
import type { CapturedReply, EndpointKind } from "./types.ts";
import type { Usage } from "./usage.ts";

/** Kinds of requests of which tokens are the measure. */
const COUNTED: ReadonlySet<EndpointKind> = new Set([
  "chat",
  "completions",
  "responses",
  "messages",
  "embeddings",
]);

/** What follows is held to be like what came before. */
const MAX_SCANNED_LENGTH = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values
/** No text has so many letters, digits and `+/=_-` in a row: it is an image, or sound. */
const SOLID_LENGTH = 200;
/** Base64 has four small letters in ten characters, and `-` or `_` in thirty: words that are joined have more. */
const MAX_SMALL_SHARE = 0.7;
const MAX_JOINT_SHARE = 0.1;
const LETTERS_A_TOKEN = 8;
const DIGITS_A_TOKEN = 3;
const MARKS_A_TOKEN = 2;

export interface EstimatedTexts {
  readonly kind: EndpointKind;
  /** The body as text; null: it is not known. */
  readonly request: string | null;
  /** null: there is none yet. */
  readonly reply: Pick<CapturedReply, "text" | "reasoning" | "toolCalls"> | null;
}

/** null: its kind has no tokens. */
export function estimatedUsage({ kind, request, reply }: EstimatedTexts): Usage | null {
  if (!COUNTED.has(kind)) return null;
  const reasoning = reply === null || reply.reasoning === "" ? null : tokensOf(reply.reasoning);
  const calls = (reply?.toolCalls ?? []).map((call) => tokensOf(call.name) + tokensOf(call.arguments));
  const said = reply === null || kind === "embeddings"
    ? null
    : calls.reduce((sum, each) => sum + each, tokensOf(reply.text) + (reasoning ?? 0));
  return {
    inputTokens: request === null ? null : requestTokens(request),
    outputTokens: said,
    cachedTokens: null,
    reasoningTokens: reasoning,
  };
}

/** Of a text. */
export function tokensOf(text: string): number {
  const length = Math.min(text.length, MAX_SCANNED_LENGTH);
  const counter = new TokenCounter();
  for (let at = 0; at < length; at++) counter.push(text.charCodeAt(at));
  return scaled(counter.end(), text.length, length);
}

/**
 * Of a body: its strings, with the keys of inner objects, which take about as much as what a provider writes around
 * messages.
 */
export function requestTokens(body: string): number {
  const start = body.trimStart().charCodeAt(0);
  if (start !== OPENING_BRACE && start !== OPENING_BRACKET) return tokensOf(body);
  const length = Math.min(body.length, MAX_SCANNED_LENGTH);
  const counter = new TokenCounter();
  let isInString = false;
  let depth = 0;
  let beforeString = 0;
  for (let at = 0; at < length; at++) {
    const code = body.charCodeAt(at);
    if (code === QUOTE) {
      isInString = !isInString;
      counter.cut();
      if (isInString) beforeString = counter.tokens;
    } else if (!isInString) {
      if (code === OPENING_BRACE || code === OPENING_BRACKET) depth++;
      else if (code === CLOSING_BRACE || code === CLOSING_BRACKET) depth--;
      else if (code === COLON && depth === 1) counter.tokens = beforeString;
      // A list of tokens: each number is one.
      if (isDigit(code) && !isDigit(body.charCodeAt(at - 1))) counter.tokens++;
    } else if (code === BACKSLASH) {
      const escape = body.charCodeAt(++at);
      if (escape === LETTER_U) {
        counter.push(Number.parseInt(body.slice(at + 1, at + 5), 16) || SPACE);
        at += 4;
      } else {counter.push(
          escape === LETTER_N || escape === LETTER_R ? LF : escape === LETTER_T ? SPACE : escape,
        );}
    } else counter.push(code);
  }
  return scaled(counter.end(), body.length, length);
}

function scaled(tokens: number, length: number, scanned: number): number {
  return Math.ceil(scanned === 0 ? 0 : tokens * (length / scanned));
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const LETTER_N = 0x6e;
const LETTER_R = 0x72;
const LETTER_T = 0x74;
const LETTER_U = 0x75;

const NONE = 0;
const LETTER = 1;
const DIGIT = 2;
const MARK = 3;
const BLANK = 4;
const LINE = 5;
const OTHER = 6;

/** Counts character by character. */
class TokenCounter {
  /** Without what is under way. */
  tokens = 0;
  #class = NONE;
  /** Characters of the same class in a row. */
  #run = 0;
  /** Characters that may be Base64 in a row, and what had been counted before them. */
  #solid = 0;
  #before = 0;
  /** Small letters, and `-` or `_`, among these. */
  #small = 0;
  #joints = 0;

  push(code: number): void {
    if (isSolid(code)) {
      if (this.#solid++ === 0) {
        this.#endRun();
        this.#before = this.tokens;
        this.#small = 0;
        this.#joints = 0;
      }
      if (code >= 0x61 && code <= 0x7a) this.#small++;
      else if (code === 0x2d || code === 0x5f) this.#joints++;
    } else if (this.#solid > 0) this.#endSolid();
    const kind = classOf(code);
    const isNewWord = kind === LETTER && this.#run > 1 && isUpper(code) && this.#class === LETTER;
    if (kind !== this.#class || isNewWord) {
      this.#endRun();
      this.#class = kind;
    }
    if (kind === OTHER) this.tokens += weightOf(code);
    else this.#run++;
  }

  /** What follows is another text. */
  cut(): void {
    this.#endSolid();
    this.#endRun();
    this.#class = NONE;
  }

  end(): number {
    this.cut();
    return this.tokens;
  }

  #endSolid(): void {
    const isBase64 = this.#solid >= SOLID_LENGTH && this.#small <= this.#solid * MAX_SMALL_SHARE &&
      this.#joints <= this.#solid * MAX_JOINT_SHARE;
    if (isBase64) {
      this.#run = 0;
      this.#class = NONE;
      this.tokens = this.#before;
    }
    this.#solid = 0;
  }

  #endRun(): void {
    const run = this.#run;
    this.#run = 0;
    if (run === 0) return;
    switch (this.#class) {
      case LETTER:
        this.tokens += Math.ceil(run / LETTERS_A_TOKEN);
        return;
      case DIGIT:
        this.tokens += Math.ceil(run / DIGITS_A_TOKEN);
        return;
      case MARK:
        this.tokens += Math.ceil(run / MARKS_A_TOKEN);
        return;
      case BLANK:
        // A single one belongs to the word that follows.
        this.tokens += run > 1 ? 0.7 : 0;
        return;
      case LINE:
        // It often belongs to the marks before it.
        this.tokens += 0.5;
        return;
      default:
    }
  }
}

function classOf(code: number): number {
  if (code >= 0x80) return OTHER;
  if (isLetter(code)) return LETTER;
  if (isDigit(code)) return DIGIT;
  if (code === SPACE || code === 0x09) return BLANK;
  return code === LF || code === CR ? LINE : MARK;
}

function isLetter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || isUpper(code);
}

function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Of Base64, in either alphabet. */
function isSolid(code: number): boolean {
  return isLetter(code) || isDigit(code) || code === 0x2b || code === 0x2f || code === 0x3d ||
    code === 0x2d ||
    code === 0x5f;
}

/** Tokens of one character beyond ASCII. */
function weightOf(code: number): number {
  // Accents, Greek, Cyrillic; Hebrew, Arabic; the scripts of India and South-East Asia.
  if (code < 0x250) return 0.5;
  if (code < 0x590) return 0.36;
  if (code < 0x900) return 0.45;
  if (code < 0x2000) return 0.6;
  // Punctuation, arrows, symbols; then Chinese, Japanese, Korean; then emoji, by halves.
  if (code < 0x2e80) return 1;
  if (code >= 0xd800 && code < 0xe000) return 1;
  return 0.75;
}
