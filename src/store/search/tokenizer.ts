/**
 * The words of a text in order, as the tokenizer of the full-text index makes them (FTS5's
 * `unicode61 remove_diacritics 2`), without a table: for indexes that are not SQLite's.
 *
 * Owns what each character is to that tokenizer, which FTS5 itself is asked, once per character: it judges one code point at
 * a time (https://www.sqlite.org/fts5.html#unicode61_tokenizer).
 */
import { MemoryIndex } from "./memory_index.ts";

/** Ends a word. */
const SEPARATOR = null;
/** Belongs to the word before it, and leaves nothing in it. */
const DROPPED = "";

const ASCII = 128;
/** Code points that are remembered; there are fewer that a tokenizer knows. */
const MAX_REMEMBERED = 200_000;

export class Tokenizer {
  /** By code point: what it adds to a word; null: it ends the word. */
  readonly #known = new Map<number, string | null>();
  readonly #ascii: readonly (string | null)[];
  readonly #index: MemoryIndex;

  constructor() {
    this.#index = new MemoryIndex();
    const codes = Array.from({ length: ASCII }, (_, code) => code);
    this.#ask(codes);
    this.#ascii = codes.map((code) => this.#known.get(code) ?? null);
  }

  /** Linear in the text. */
  wordsOf(text: string): string[] {
    this.#learn(text);
    const words: string[] = [];
    let word = "";
    let from = 0;
    let isVerbatim = true;
    for (let at = 0; at < text.length;) {
      const code = text.codePointAt(at) ?? 0;
      const width = code > 0xffff ? 2 : 1;
      const folded = code < ASCII ? this.#ascii[code] ?? SEPARATOR : this.#known.get(code) ?? SEPARATOR;
      if (folded === SEPARATOR || (folded === DROPPED && isVerbatim && from === at && word === "")) {
        if (isVerbatim) word = text.slice(from, at);
        if (word !== "") words.push(word);
        word = "";
        isVerbatim = true;
        from = at + width;
      } else if (isVerbatim && !isSame(folded, code)) {
        word = text.slice(from, at) + folded;
        isVerbatim = false;
      } else if (!isVerbatim) {
        word += folded;
      }
      at += width;
    }
    if (isVerbatim) word = text.slice(from);
    if (word !== "") words.push(word);
    return words;
  }

  close(): void {
    this.#index.close();
  }

  #learn(text: string): void {
    const unknown = this.#unknownOf(text);
    if (unknown === null) return;
    const isFull = this.#known.size + unknown.size > MAX_REMEMBERED;
    if (isFull) this.#known.clear();
    this.#ask([...(isFull ? this.#unknownOf(text) ?? [] : unknown)]);
  }

  #unknownOf(text: string): Set<number> | null {
    let unknown: Set<number> | null = null;
    for (let at = 0; at < text.length; at++) {
      if (text.charCodeAt(at) < ASCII) continue;
      const code = text.codePointAt(at) ?? 0;
      if (code > 0xffff) at++;
      if (!this.#known.has(code)) (unknown ??= new Set()).add(code);
    }
    return unknown;
  }

  /** Each between two letters: two words, or one. */
  #ask(codes: readonly number[]): void {
    const text = codes.map((code) => `x${String.fromCodePoint(code)}y`).join(" 0 ").toWellFormed();
    const answers: string[][] = [[]];
    for (const word of this.#index.wordsOf(text)) {
      if (word === "0") answers.push([]);
      else answers.at(-1)?.push(word);
    }
    codes.forEach((code, place) => {
      const [first = "", second] = answers[place] ?? [];
      this.#known.set(code, second === undefined && first.length > 1 ? first.slice(1, -1) : SEPARATOR);
    });
  }
}

function isSame(folded: string, code: number): boolean {
  return folded.codePointAt(0) === code;
}
