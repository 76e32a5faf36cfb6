/**
 * What a person types into the search, as terms and as an FTS5 expression.
 *
 * Owns the query language: words, each matching its beginning, and `"..."` for a phrase. Pure. Everything
 * that FTS5 could take for syntax ends up inside a quoted string (https://www.sqlite.org/fts5.html section 3).
 */
import { isPartOfId, pictureOf } from "./parts.ts";
import { endsUnspaced, normalized, normalizeForSearch } from "./text.ts";

/** Words that must follow each other. */
export interface SearchTerm {
  /** Normalized; may hold punctuation, which the tokenizer drops. */
  readonly text: string;
  /** The last word may go on. */
  readonly isPrefix: boolean;
}

/** Approximately what the index takes for a word. */
const WORD = /[\p{L}\p{N}\p{M}]+/gu;

const MAX_QUERY_LENGTH = 1_000;
const MAX_TERMS = 32;
/** Of all terms together: in a text that repeats the words of a phrase, each word is compared with the whole phrase. */
const MAX_WORDS = 32;

/** The terms, all of which must be found; empty for an empty query. What is beyond 32 terms or words is left out. */
export function parseSearch(query: string): SearchTerm[] {
  const text = normalized(query.slice(0, MAX_QUERY_LENGTH).replace(/\p{Cc}/gu, " "));
  const terms: SearchTerm[] = [];
  let room = MAX_WORDS;
  for (const [, phrase, word] of text.matchAll(/"([^"]*)"|([^\s"]+)/g)) {
    const term = normalizeForSearch(phrase ?? word ?? "");
    const start = firstWords(term, room);
    const isCut = start.length < term.length;
    terms.push({ text: start, isPrefix: word !== undefined && !isCut && !endsUnspaced(word) });
    room -= start.match(WORD)?.length ?? 0;
    if (room <= 0 || terms.length === MAX_TERMS) break;
  }
  return terms;
}

function firstWords(text: string, count: number): string {
  const next = [...text.matchAll(WORD)][count];
  return next === undefined ? text : text.slice(0, next.index);
}

/**
 * Where the terms begin and end in a text as it was written: a global, case-blind expression; null: nothing to
 * look for. Accents count here, unlike in the index.
 */
export function termPattern(terms: readonly SearchTerm[]): RegExp | null {
  const sources = terms.flatMap(({ text, isPrefix }) => {
    const words = (text.match(WORD) ?? []).map((word) => pictureOf(word) ?? word);
    if (words.length === 0) return [];
    const phrase = words.join(String.raw`[^\p{L}\p{N}]{1,8}`);
    // Characters that are words by themselves are written without spaces.
    const source = words.every((word) => endsUnspaced(word))
      ? words.join(String.raw`[^\p{L}\p{N}]{0,8}`)
      : isPrefix && isPartOfId(phrase)
      ? phrase
      : String.raw`(?<![\p{L}\p{N}])${phrase}${
        isPrefix ? String.raw`[\p{L}\p{N}]*` : String.raw`(?![\p{L}\p{N}])`
      }`;
    return [source];
  });
  return sources.length === 0 ? null : new RegExp(sources.join("|"), "giu");
}

/** The term as FTS5 reads it. */
export function termExpression({ text, isPrefix }: SearchTerm): string {
  return `"${text.replaceAll('"', " ")}"${isPrefix ? " *" : ""}`;
}

/** All of the expressions must match; at least one is needed. */
export function allOf(expressions: readonly string[]): string {
  return expressions.map((expression) => `(${expression})`).join(" AND ");
}

/** One of the expressions must match; at least one is needed. */
export function anyOf(expressions: readonly string[]): string {
  return expressions.join(" OR ");
}
