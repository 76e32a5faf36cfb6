/**
 * Finds records by their words.
 *
 * Owns the candidates of a search: PostgreSQL says what matches, but for records some of whose words are not stored, and
 * those under way, which have none yet. The texts of these are looked at, by the rules of SQLite's index.
 */
import { MemoryIndex } from "../../search/memory_index.ts";
import { searchText } from "../../search/text.ts";
import { toSearchSource } from "../../read/record_decoding.ts";
import type { RecordFilter } from "../../store.ts";
import type { PgStore } from "../query.ts";
import { searchList, TEXT_BYTES, TEXTS_OF_RECORD, timeText } from "./columns.ts";
import { filterTerms } from "./filter.ts";
import type { SearchPlan } from "./search_plan.ts";
import { orderBy, type Place, type Span, SpanTerms } from "./span.ts";
import { readRows } from "./record_rows.ts";
import { Parameters } from "./statement.ts";
import { where } from "./walk.ts";

/** How much text one search may look at, in UTF-16 units. */
const MAX_SCANNED_LENGTH = 16 * 1024 * 1024; // docs/tuning.md#store-search-and-statistics
/** Least cost of looking at a record, in units of text. */
const MIN_SCAN_LENGTH = 4 * 1024;
/** Texts that are read by one statement. */
const MAX_READ_BYTES = 4 * 1024 * 1024;
/** Text beyond this is not searched, in characters. */
const MAX_SEARCHED_LENGTH = 8 * 1024 * 1024;
/** Of one statement. */
const MIN_CANDIDATES = 64;
const MAX_CANDIDATES = 10_000;

interface Candidate extends Place {
  readonly is_sure: boolean;
  /** Of its texts. */
  readonly bytes: number;
}

export interface SearchQuery {
  readonly plan: SearchPlan;
  readonly filter: RecordFilter;
  readonly limit: number;
  readonly timeoutMs: number;
}

/** One search: what it has looked at counts for all of its parts. */
export class RecordSearch {
  readonly #db: Pick<PgStore, "read">;
  #budget: number;
  #openIndex: MemoryIndex | null = null;

  /** @param options.isExhaustive whether all texts are looked at, however long it takes */
  constructor(db: Pick<PgStore, "read">, { isExhaustive }: { readonly isExhaustive: boolean }) {
    this.#db = db;
    this.#budget = isExhaustive ? Number.POSITIVE_INFINITY : MAX_SCANNED_LENGTH;
  }

  /** The first records of a span that match, in order. @throws PgError */
  async find(span: Span, query: SearchQuery): Promise<Place[]> {
    const found: Place[] = [];
    for (let { start } = span;;) {
      const limit = Math.min(Math.max(query.limit - found.length, MIN_CANDIDATES), MAX_CANDIDATES);
      const candidates = await this.#candidates({ ...span, start }, { ...query, limit });
      found.push(...await this.#matching(candidates, query));
      start = candidates.at(-1) ?? null;
      if (found.length >= query.limit || candidates.length < limit) return found.slice(0, query.limit);
    }
  }

  close(): void {
    this.#openIndex?.close();
    this.#openIndex = null;
  }

  async #candidates(span: Span, { plan, filter, limit, timeoutMs }: SearchQuery): Promise<Candidate[]> {
    const parameters = new Parameters();
    const terms = new SpanTerms(span, parameters);
    const possible = parameters.add(plan.possible, "tsquery");
    const conditions = filterTerms(filter, parameters, terms);
    const sure = parameters.add(plan.sure, "tsquery");
    // Each hit is looked up by itself: estimates of words are so bad that all records would be read to join them.
    const records = conditions.length === 0 ? "" : `CROSS JOIN LATERAL (
      SELECT 1 FROM oar.records r
        ${where(["r.created_at = s.created_at", "r.id = s.record_id", ...terms.times("r"), ...conditions])}
        LIMIT 1) r`;
    const hits = [`s.words @@ ${possible}`, ...terms.records("s", "record_id")];
    return await this.#db.read<Candidate>(
      `SELECT ${timeText("r.created_at")} AS at, r.id, ${TEXT_BYTES} AS bytes,
          r.is_indexed AND coalesce((SELECT s.words @@ ${sure} FROM oar.record_search s
            ${
        where(["s.created_at = r.created_at", "s.record_id = r.id", ...terms.times("s")])
      }), false) AS is_sure
        FROM (
          SELECT s.created_at, s.record_id AS id, true AS is_indexed FROM oar.record_search s ${records}
            ${where(hits)}
          UNION ALL
          SELECT r.created_at, r.id, false AS is_indexed FROM oar.records r
            ${where(["r.outcome = 'in_flight'", ...terms.records(), ...conditions])}
          ORDER BY ${orderBy(span, "")} LIMIT ${limit}
        ) r LEFT JOIN oar.record_texts t ON ${[...TEXTS_OF_RECORD, ...terms.times("t")].join(" AND ")}
        ORDER BY ${orderBy(span)}`,
      parameters.values,
      { timeoutMs },
    );
  }

  async #matching(candidates: readonly Candidate[], { plan, timeoutMs }: SearchQuery): Promise<Place[]> {
    const unsure = candidates.filter(({ is_sure }) => !is_sure);
    const matching = new Set<number>();
    for (let from = 0; from < unsure.length && this.#budget > 0;) {
      const some: Candidate[] = [];
      let bytes = 0;
      for (const candidate of unsure.slice(from, from + MIN_CANDIDATES)) {
        bytes += candidate.bytes;
        if (bytes > MAX_READ_BYTES && some.length > 0) break;
        some.push(candidate);
      }
      from += some.length;
      for (const id of await this.#look(some, plan, timeoutMs)) matching.add(id);
    }
    return candidates.filter(({ id, is_sure }) => is_sure || matching.has(id)).map(({ at, id }) => ({
      at,
      id,
    }));
  }

  async #look(some: readonly Candidate[], { direct }: SearchPlan, timeoutMs: number): Promise<number[]> {
    const index = this.#openIndex ??= new MemoryIndex();
    const list = `r.id, ${searchList(MAX_SEARCHED_LENGTH)}`;
    const rows = await readRows(this.#db, some, { list, timeoutMs });
    for (const row of rows) {
      const text = searchText(toSearchSource(row));
      index.add(Number(row["id"]), text);
      this.#budget -= Math.max(MIN_SCAN_LENGTH, text.request.length + text.reply.length);
    }
    return index.takeMatching(direct);
  }
}
