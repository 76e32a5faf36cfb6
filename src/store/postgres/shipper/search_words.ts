/**
 * The words of a record as PostgreSQL's text form of a `tsvector`.
 *
 * Owns what is in it, and PostgreSQL's limits
 * (https://www.postgresql.org/docs/current/textsearch-limitations.html). The words are those of SQLite's index. Where not
 * all of it fits, a lexeme that no word can be says so, so that a search can look at the texts of these few records.
 */
import { type SearchSource, searchText } from "../../search/text.ts";
import type { Tokenizer } from "../../search/tokenizer.ts";

/** Lexeme of a record some of whose words have no position: a phrase may be in it without being found. */
export const SOME_POSITIONS_MISSING = "+";
/** Lexeme of a record some of whose words are missing. */
export const SOME_WORDS_MISSING = "-";

/** PostgreSQL takes less than 2 KiB. */
const MAX_LEXEME_BYTES = 2_000;
/** Of one `tsvector`, where PostgreSQL takes less than 1 MiB: its lexemes and positions. */
const MAX_VECTOR_BYTES = 1_000_000;
const MAX_POSITION = 16_383;
/** Of one lexeme; PostgreSQL takes 255. */
const MAX_POSITIONS = 255;
/** Of the longest, request and reply together are less than a vector holds. */
const MAX_SURE_WORDS = Math.floor(MAX_VECTOR_BYTES / (2 * (MAX_LEXEME_BYTES + 6)));
/** Between the words of the request and those of the reply, so that no phrase is in both. */
const GAP = 8;
/** What a lexeme costs beside its bytes: padding, and the number of its positions. */
const LEXEME_BYTES = 4;
const POSITION_BYTES = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A word as it is stored, and has to be looked for: cut where PostgreSQL takes no longer one. */
export function lexemeOf(word: string): string {
  // No UTF-16 unit takes more than three bytes.
  if (word.length * 3 <= MAX_LEXEME_BYTES) return word;
  const bytes = encoder.encode(word);
  if (bytes.length <= MAX_LEXEME_BYTES) return word;
  let end = MAX_LEXEME_BYTES;
  while (isContinuation(bytes[end])) end--;
  return decoder.decode(bytes.subarray(0, end));
}

/** The `tsvector` of a record. Never throws. */
export function searchWords(source: SearchSource, tokenizer: Tokenizer): string {
  const { request, reply } = searchText(source);
  const words = [tokenizer.wordsOf(request), tokenizer.wordsOf(reply)];
  const vector = new Vector({ isBounded: words.some((part) => part.length > MAX_SURE_WORDS) });
  for (const part of words) vector.addAll(part);
  return vector.text;
}

class Vector {
  /** In the order of the text. A word holds letters and digits only, and so nothing that has to be escaped. */
  readonly #positions = new Map<string, number[]>();
  readonly #isBounded: boolean;
  #next = 1;
  #bytes = 0;
  #isWithoutSomePositions = false;
  #isWithoutSomeWords = false;

  /** @param options.isBounded whether there may be too much for one vector, so that it has to be counted */
  constructor({ isBounded }: { readonly isBounded: boolean }) {
    this.#isBounded = isBounded;
  }

  addAll(words: readonly string[]): void {
    for (const word of words) this.#add(lexemeOf(word), this.#next++);
    this.#next += GAP;
  }

  get text(): string {
    let text = "";
    if (this.#isWithoutSomePositions) text += ` '${SOME_POSITIONS_MISSING}'`;
    if (this.#isWithoutSomeWords) text += ` '${SOME_WORDS_MISSING}'`;
    for (const [lexeme, positions] of this.#positions) {
      text += positions.length === 0 ? ` '${lexeme}'` : ` '${lexeme}':${positions.join(",")}`;
    }
    return text.slice(1);
  }

  #add(lexeme: string, position: number): void {
    const positions = this.#positions.get(lexeme);
    if (positions === undefined) return this.#addFirst(lexeme, position);
    const isPlaced = position <= MAX_POSITION && positions.length < MAX_POSITIONS &&
      this.#takes(POSITION_BYTES);
    if (isPlaced) positions.push(position);
    else this.#isWithoutSomePositions = true;
  }

  #addFirst(lexeme: string, position: number): void {
    if (this.#isBounded && !this.#takes(byteLength(lexeme) + LEXEME_BYTES)) {
      this.#isWithoutSomeWords = true;
      return;
    }
    const isPlaced = position <= MAX_POSITION && this.#takes(POSITION_BYTES);
    if (!isPlaced) this.#isWithoutSomePositions = true;
    this.#positions.set(lexeme, isPlaced ? [position] : []);
  }

  /** False when there is no room for it. */
  #takes(bytes: number): boolean {
    if (this.#bytes + bytes > MAX_VECTOR_BYTES) return false;
    this.#bytes += bytes;
    return true;
  }
}

function byteLength(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    // Each half of a surrogate pair counts for two.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
