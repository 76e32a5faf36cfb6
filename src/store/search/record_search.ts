/**
 * Finds records by their words.
 *
 * Owns the plan of a search. A word is expanded to the words of the index that begin with it, because FTS5
 * would gather every occurrence of a prefix before its first result, while it walks an OR of whole words from
 * the newest on. Rows that are not indexed (yet) are matched one by one. Never writes to the database.
 */
import type { DatabaseSync } from "node:sqlite";
import { betweenEnds, type Page } from "../read/record_page.ts";
import { allOf, anyOf, parseSearch, type SearchTerm, termExpression } from "./query.ts";
import { MemoryIndex } from "./memory_index.ts";
import { searchText } from "./text.ts";
import { prepared } from "../database/statements.ts";
import { SEARCH_COLUMNS, toSearchSource } from "../read/record_decoding.ts";

export interface RecordSearchOptions {
  /** How much text that is not indexed a search from the newest on may read, in UTF-16 units. */
  readonly maxScannedLength: number;
}

const MAX_EXPANSIONS = 256; // docs/tuning.md#store-search-and-statistics
/** Shorter prefixes of too many words are taken as whole words. */
const MIN_PREFIX_LENGTH = 3; // docs/tuning.md#store-search-and-statistics
const SCAN_CHUNK_ROWS = 100;
/** Least cost of reading a row, in units of text. */
const MIN_SCAN_LENGTH = 4 * 1024; // docs/tuning.md#store-search-and-statistics

/** Appended to a word, it sorts after the word and before every longer one. */
const AFTER_WORD = "\u0001";

export class RecordSearch {
  readonly #options: RecordSearchOptions;
  #openIndex: MemoryIndex | null = null;

  constructor(options: RecordSearchOptions) {
    this.#options = options;
  }

  /**
   * Ids in the page's order; null: the query is empty and everything matches. To be called in a read
   * transaction, so that no row is indexed in between.
   */
  find(db: DatabaseSync, page: Page, query: string): number[] | null {
    if (query.trim() === "") return null;
    const terms = this.#plan(db, parseSearch(query));
    if (terms.length === 0) return [];
    const indexed = findIndexed(db, page, terms);
    return this.#addUnindexed(db, page, { indexed, expression: allOf(terms.map(({ direct }) => direct)) });
  }

  close(): void {
    this.#openIndex?.close();
    this.#openIndex = null;
  }

  get #memoryIndex(): MemoryIndex {
    this.#openIndex ??= new MemoryIndex();
    return this.#openIndex;
  }

  /** Terms without a word (`%`, `--`) are ignored. */
  #plan(db: DatabaseSync, terms: readonly SearchTerm[]): PlannedTerm[] {
    const planned: PlannedTerm[] = [];
    for (const term of terms) {
      const words = this.#memoryIndex.wordsOf(term.text);
      const last = words.pop();
      if (last !== undefined) planned.push(planTerm(db, { term, first: words, last }));
    }
    return planned;
  }

  #addUnindexed(
    db: DatabaseSync,
    page: Page,
    { indexed, expression }: { indexed: readonly number[]; expression: string },
  ): number[] {
    const isBefore = (a: number, b: number): boolean => page.order === "ASC" ? a < b : a > b;
    let budget = page.order === "ASC" ? Number.POSITIVE_INFINITY : this.#options.maxScannedLength;
    let found = [...indexed];
    let startId = page.startId;
    while (budget > 0) {
      const chunk = unindexed(db, { ...page, startId, limit: SCAN_CHUNK_ROWS });
      const scan = this.#scan(db, chunk, { expression, budget });
      if (scan.lastId === null) break;
      found.push(...scan.found);
      found = found.sort((a, b) => isBefore(a, b) ? -1 : 1).slice(0, page.limit);
      const lastFound = found.at(-1);
      if (found.length === page.limit && lastFound !== undefined && !isBefore(scan.lastId, lastFound)) break;
      startId = scan.lastId;
      budget -= scan.length;
    }
    return found;
  }

  /** Matches the rows one by one until the budget is used up. */
  #scan(
    db: DatabaseSync,
    ids: readonly number[],
    { expression, budget }: { expression: string; budget: number },
  ): { found: number[]; lastId: number | null; length: number } {
    const read = prepared(db, `SELECT ${SEARCH_COLUMNS} FROM records WHERE id = ?`);
    let length = 0;
    let lastId: number | null = null;
    for (const id of ids) {
      if (length >= budget) break;
      const row = read.get(id);
      lastId = id;
      if (row === undefined) continue;
      const text = searchText(toSearchSource(row));
      this.#memoryIndex.add(id, text);
      length += Math.max(MIN_SCAN_LENGTH, text.request.length + text.reply.length);
    }
    return { found: this.#memoryIndex.takeMatching(expression), lastId, length };
  }
}

interface PlannedTerm {
  /** For the index; null: no indexed row can match. */
  readonly indexed: string | null;
  /** For rows that are matched one by one. */
  readonly direct: string;
}

function planTerm(
  db: DatabaseSync,
  { term, first, last }: { term: SearchTerm; first: readonly string[]; last: string },
): PlannedTerm {
  const whole = termExpression({ text: term.text, isPrefix: false });
  if (!term.isPrefix) return { indexed: whole, direct: whole };
  const prefix = termExpression(term);
  const words = wordsBeginningWith(db, last);
  if (words === null) {
    const expression = last.length < MIN_PREFIX_LENGTH ? whole : prefix;
    return { indexed: expression, direct: expression };
  }
  const expansions = words.map((word) =>
    termExpression({ text: [...first, word].join(" "), isPrefix: false })
  );
  return { indexed: expansions.length === 0 ? null : anyOf(expansions), direct: prefix };
}

/** The words of the index with this prefix; null when there are too many. */
function wordsBeginningWith(db: DatabaseSync, beginning: string): string[] | null {
  db.exec(
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.search_words USING fts5vocab(main, records_search, instance)",
  );
  const next = prepared(db, "SELECT term FROM search_words WHERE term >= ? ORDER BY term LIMIT 1");
  const words: string[] = [];
  for (let from = beginning;; from = words.at(-1) + AFTER_WORD) {
    const word = next.get(from)?.["term"];
    if (typeof word !== "string" || !word.startsWith(beginning)) return words;
    if (words.length === MAX_EXPANSIONS) return null;
    words.push(word);
  }
}

function findIndexed(db: DatabaseSync, page: Page, terms: readonly PlannedTerm[]): number[] {
  const expressions = terms.flatMap(({ indexed }) => indexed ?? []);
  if (expressions.length < terms.length) return [];
  const { condition, order, limit } = page;
  const between = betweenEnds("s.rowid", page);
  const rows = prepared(
    db,
    `SELECT s.rowid AS id FROM records_search s
      CROSS JOIN records r INDEXED BY idx_records_list ON r.id = s.rowid
      WHERE s.records_search MATCH ? AND ${between.sql} AND ${condition.sql}
        AND s.rowid NOT IN (SELECT q.id FROM search_queue q)
      ORDER BY s.rowid ${order} LIMIT ?`,
  ).all(allOf(expressions), ...between.params, ...condition.params, limit);
  return rows.map((row) => Number(row["id"]));
}

/** Three ranges, each on the index of ids, so that nothing is read when everything is indexed. */
function unindexed(db: DatabaseSync, page: Page): number[] {
  const { condition, order, limit } = page;
  const between = betweenEnds("r.id", page);
  const part = (where: string): string =>
    `SELECT r.id AS id FROM records r INDEXED BY idx_records_list
      WHERE ${where} AND ${between.sql} AND ${condition.sql}`;
  const params = [...between.params, ...condition.params];
  const rows = prepared(
    db,
    `SELECT id FROM (
      ${part("r.id > (SELECT high FROM search_progress)")}
      UNION ALL ${part("r.id <= (SELECT low FROM search_progress)")}
      UNION ALL ${part("r.id IN (SELECT q.id FROM search_queue q WHERE q.is_gone <> 1)")}
    ) ORDER BY id ${order} LIMIT ?`,
  ).all(...params, ...params, ...params, limit);
  return rows.map((row) => Number(row["id"]));
}
