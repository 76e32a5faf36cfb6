/**
 * What a person types into the search, as a `tsquery` over the words of the records.
 *
 * Owns the translation; the query language is that of ../../search/query.ts, and the words are those of
 * ../shipper/search_words.ts. Lexemes are quoted (https://www.postgresql.org/docs/current/datatype-textsearch.html), so that
 * nothing is taken for syntax.
 */
import { allOf, parseSearch, type SearchTerm, termExpression } from "../../search/query.ts";
import type { Tokenizer } from "../../search/tokenizer.ts";
import type { PgStore } from "../query.ts";
import { lexemeOf, SOME_POSITIONS_MISSING, SOME_WORDS_MISSING } from "../shipper/search_words.ts";
import { isTimeUp } from "./errors.ts";

export interface SearchPlan {
  /** What matches it is found. */
  readonly sure: string;
  /** What matches it may be found: also records some of whose words or positions are not stored. */
  readonly possible: string;
  /** For records whose texts are looked at, as FTS5 has it. */
  readonly direct: string;
}

/** Shorter prefixes of too many words are taken as whole words. */
const MIN_PREFIX_LENGTH = 3;
const MAX_EXPANSIONS = 256;
/** Records in which words of a short prefix are counted. */
const SAMPLE_RECORDS = 500; // docs/tuning.md#postgresql-read
const SAMPLE_MS = 200;

interface TermWords {
  readonly term: SearchTerm;
  readonly words: readonly string[];
  readonly isPrefix: boolean;
}

/** null: there is no word in it, and so nothing is found. Terms without a word (`%`, `--`) are ignored. @throws PgError */
export async function planSearch(
  db: Pick<PgStore, "read">,
  { text, tokenizer }: { readonly text: string; readonly tokenizer: Tokenizer },
): Promise<SearchPlan | null> {
  const terms: TermWords[] = [];
  for (const term of parseSearch(text)) {
    const words = tokenizer.wordsOf(term.text).map(lexemeOf);
    const last = words.at(-1);
    if (last === undefined) continue;
    const isPrefix = term.isPrefix && (last.length >= MIN_PREFIX_LENGTH || await isOfFewWords(db, last));
    terms.push({ term, words, isPrefix });
  }
  if (terms.length === 0) return null;
  const sure = terms.map((term) => queryOf(term, " <-> ")).join(" & ");
  const isPhrase = terms.some(({ words }) => words.length > 1);
  const loose = terms.map((term) => queryOf(term, " & ")).join(" & ");
  return {
    sure,
    possible: [
      `(${sure})`,
      ...(isPhrase ? [`(${quoted(SOME_POSITIONS_MISSING)} & ${loose})`] : []),
      quoted(SOME_WORDS_MISSING),
    ].join(" | "),
    direct: allOf(terms.map(({ term, isPrefix }) => termExpression({ ...term, isPrefix }))),
  };
}

function queryOf({ words, isPrefix }: TermWords, operator: string): string {
  return `(${
    words.map((word, place) => `${quoted(word)}${isPrefix && place === words.length - 1 ? ":*" : ""}`)
      .join(operator)
  })`;
}

function quoted(lexeme: string): string {
  return `'${lexeme.replaceAll(/['\\]/g, "$&$&")}'`;
}

/** Counted in the newest records: PostgreSQL cannot list the words of an index. */
async function isOfFewWords(db: Pick<PgStore, "read">, prefix: string): Promise<boolean> {
  try {
    const [row] = await db.read<{ count: number }>(
      `SELECT count(*) AS count FROM (
        SELECT DISTINCT word.lexeme FROM
          (SELECT words FROM oar.record_search ORDER BY created_at DESC, record_id DESC LIMIT ${SAMPLE_RECORDS}) newest,
          unnest(newest.words) word
        WHERE starts_with(word.lexeme, $1) LIMIT ${MAX_EXPANSIONS + 1}) words`,
      [prefix],
      { timeoutMs: SAMPLE_MS },
    );
    return (row?.count ?? 0) <= MAX_EXPANSIONS;
  } catch (error) {
    if (isTimeUp(error)) return false;
    throw error;
  }
}
