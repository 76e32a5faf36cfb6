/**
 * Which records are on a page, how many there are, and which are next to one.
 *
 * Owns how long each of these may take, see walk.ts.
 */
import type { NeighboursQuery, RecordCount, SummaryQuery } from "../../read/messages.ts";
import type { Tokenizer } from "../../search/tokenizer.ts";
import type { RecordFilter } from "../../store.ts";
import type { PgStore } from "../query.ts";
import { timeText } from "./columns.ts";
import { isTimeUp } from "./errors.ts";
import { filterTerms } from "./filter.ts";
import { RecordSearch } from "./record_search.ts";
import { planSearch, type SearchPlan } from "./search_plan.ts";
import { type Order, orderBy, type Place, type Span, spanOf, SpanTerms } from "./span.ts";
import { Parameters } from "./statement.ts";
import {
  COUNT_PARTS,
  inParts,
  ONE_PART,
  PATIENT_MS,
  placeOf,
  PLAIN_PARTS,
  SEARCH_PARTS,
  where,
} from "./walk.ts";

/** After this long, a page is returned as it is. */
const WALK_MS = 150; // docs/tuning.md#postgresql-read
/** A count comes with a page, which must not wait long for it. */
const COUNT_MS = 100; // docs/tuning.md#postgresql-read
/** A search gathers the records that it finds. */
const MAX_COUNTED_HITS = 10_000;

/** Numbers that a search in their order looks through at once; more where nothing is found. */
const FIRST_PART_IDS = 4_096; // docs/tuning.md#postgresql-read
const PART_GROWTH = 4;
const MAX_PART_IDS = 262_144;

export interface PageOptions {
  /** Whether nothing is left out, however long it takes. */
  readonly isExhaustive: boolean;
}

interface Found {
  readonly places: readonly Place[];
  /** All of the span was looked at. */
  readonly isWhole: boolean;
  /** The last record that was looked at; null: none was. */
  readonly next: Place | null;
}

interface ListOptions {
  readonly limit: number;
  readonly filter: RecordFilter;
}

export interface FoundPage {
  readonly places: readonly Place[];
  /** Where the next page begins, though records may match there; null: there are no more. */
  readonly nextId: number | null;
}

export class RecordPages {
  readonly #db: Pick<PgStore, "read">;
  readonly #tokenizer: Tokenizer;

  constructor(db: Pick<PgStore, "read">, tokenizer: Tokenizer) {
    this.#db = db;
    this.#tokenizer = tokenizer;
  }

  /** The first `limit` that match, newest first. @throws PgError */
  async page({ limit, beforeId, filter = {} }: SummaryQuery, options: PageOptions): Promise<FoundPage> {
    const { places, isWhole, next } = await this.#from(
      { id: beforeId, order: "DESC" },
      { limit: limit + 1, filter },
      options,
    );
    const shown = places.slice(0, limit);
    if (places.length > limit) return { places: shown, nextId: shown.at(-1)?.id ?? null };
    if (isWhole) return { places: shown, nextId: null };
    return { places: shown, nextId: next?.id ?? beforeId ?? Number.MAX_SAFE_INTEGER };
  }

  /** On both sides of a record; null also when none was found in time. @throws PgError */
  async neighbours(
    { id, filter = {} }: NeighboursQuery,
  ): Promise<{ readonly newer: Place | null; readonly older: Place | null }> {
    const next = async (order: Order): Promise<Place | null> =>
      (await this.#from({ id, order }, { limit: 1, filter }, { isExhaustive: false })).places[0] ?? null;
    const [newer, older] = await Promise.all([next("ASC"), next("DESC")]);
    return { newer, older };
  }

  /** How many match, or how many were found until time was up. @throws PgError */
  async count(filter: RecordFilter, { isExhaustive }: PageOptions): Promise<RecordCount> {
    const span = spanOf(filter, "DESC");
    const limitMs = isExhaustive ? Number.POSITIVE_INFINITY : COUNT_MS;
    const maxHits = isExhaustive ? Number.MAX_SAFE_INTEGER : MAX_COUNTED_HITS;
    let count = 0;
    const { isWhole } = await this.#searching(filter, { isExhaustive }, async (find) => {
      if (find === "nothing") return { isWhole: true };
      const partRows = find === null ? COUNT_PARTS : SEARCH_PARTS;
      return await inParts(this.#db, { span, limitMs, partRows }, async (part, timeoutMs) => {
        if (find === null) {
          count += await this.#countPart(part, filter, timeoutMs);
          return false;
        }
        count += (await find(part, maxHits - count, timeoutMs)).length;
        return count >= maxHits;
      });
    });
    return { count, isComplete: isWhole };
  }

  /** By number, oldest first: what arrived late has a number above those that were there. @throws PgError */
  async after(afterId: number, { limit, filter }: ListOptions): Promise<Place[]> {
    const span: Span = { ...spanOf(filter, "ASC"), by: "id", start: numbered(afterId) };
    return await this.#searching(filter, { isExhaustive: true }, async (find) => {
      if (find === "nothing") return [];
      if (find === null) return await this.#listPart(span, { limit, filter, timeoutMs: PATIENT_MS });
      const found: Place[] = [];
      const lastId = await this.lastId();
      let partIds = FIRST_PART_IDS;
      for (let from = afterId; from < lastId && found.length < limit;) {
        const part = { ...span, start: numbered(from), end: numbered(from + partIds) };
        const bounds = await this.#boundsOf(part);
        const some = bounds === null
          ? []
          : await find({ ...part, ...bounds }, limit - found.length, PATIENT_MS);
        found.push(...some);
        from += partIds;
        if (some.length === 0) partIds = Math.min(partIds * PART_GROWTH, MAX_PART_IDS);
      }
      return found;
    });
  }

  /** Of the record that arrived last; 0: there is none. @throws PgError */
  async lastId(): Promise<number> {
    const [row] = await this.#db.read<{ id: number }>("SELECT id FROM oar.records ORDER BY id DESC LIMIT 1");
    return row?.id ?? 0;
  }

  /** The first that match after the record of a number; of undefined: after none. */
  async #from(
    { id, order }: { readonly id: number | undefined; readonly order: Order },
    asked: ListOptions,
    options: PageOptions,
  ): Promise<Found> {
    try {
      const start = id === undefined ? null : await placeOf(this.#db, id, order);
      return await this.#walk({ ...spanOf(asked.filter, order), start }, asked, options);
    } catch (error) {
      if (options.isExhaustive || !isTimeUp(error)) throw error;
      return { places: [], isWhole: false, next: null };
    }
  }

  async #walk(
    span: Span,
    { limit, filter }: ListOptions,
    { isExhaustive }: PageOptions,
  ): Promise<Found> {
    const places: Place[] = [];
    const limitMs = isExhaustive ? Number.POSITIVE_INFINITY : WALK_MS;
    const { sinceMs: _since, untilMs: _until, ...rest } = filter;
    const end = await this.#searching(filter, { isExhaustive }, async (find) => {
      if (find === "nothing") return { isWhole: true, next: null };
      const isPlain = find === null && Object.values(rest).every((value) => value === undefined);
      const partRows = find !== null
        ? SEARCH_PARTS
        : isPlain
        ? ONE_PART
        : isExhaustive
        ? COUNT_PARTS
        : PLAIN_PARTS;
      return await inParts(this.#db, { span, limitMs, partRows }, async (part, timeoutMs) => {
        const room = limit - places.length;
        places.push(
          ...(find === null
            ? await this.#listPart(part, { limit: room, filter, timeoutMs })
            : await find(part, room, timeoutMs)),
        );
        return places.length === limit;
      });
    });
    return { places, ...end };
  }

  /** @param body gets how to search; null: everything matches */
  async #searching<Result>(
    filter: RecordFilter,
    options: PageOptions,
    body: (
      find: "nothing" | null | ((part: Span, limit: number, timeoutMs: number) => Promise<Place[]>),
    ) => Promise<Result>,
  ): Promise<Result> {
    const text = filter.text ?? "";
    if (text.trim() === "") return await body(null);
    const plan: SearchPlan | null = await planSearch(this.#db, { text, tokenizer: this.#tokenizer });
    if (plan === null) return await body("nothing");
    const search = new RecordSearch(this.#db, options);
    try {
      return await body((part, limit, timeoutMs) => search.find(part, { plan, filter, limit, timeoutMs }));
    } finally {
      search.close();
    }
  }

  /** The times of a part by number, by which the words are found; null: it is empty. */
  async #boundsOf(part: Span): Promise<Pick<Span, "since" | "until"> | null> {
    const parameters = new Parameters();
    const terms = new SpanTerms(part, parameters).records();
    const [row] = await this.#db.read<Pick<Span, "since" | "until">>(
      `SELECT ${timeText("min(r.created_at)")} AS since,
          ${timeText("(max(r.created_at) + interval '1 microsecond')")} AS until
        FROM oar.records r ${where(terms)}`,
      parameters.values,
      { timeoutMs: PATIENT_MS },
    );
    return row === undefined || row.since === null ? null : row;
  }

  async #listPart(
    part: Span,
    { limit, filter, timeoutMs }: ListOptions & { readonly timeoutMs: number },
  ): Promise<Place[]> {
    const { parameters, condition } = conditionOf(part, filter);
    return await this.#db.read<Place>(
      `SELECT ${timeText("r.created_at")} AS at, r.id FROM oar.records r ${condition}
        ORDER BY ${orderBy(part)} LIMIT ${limit}`,
      parameters.values,
      { timeoutMs },
    );
  }

  async #countPart(part: Span, filter: RecordFilter, timeoutMs: number): Promise<number> {
    const { parameters, condition } = conditionOf(part, filter);
    const [row] = await this.#db.read<{ count: number }>(
      `SELECT count(*) AS count FROM oar.records r ${condition}`,
      parameters.values,
      { timeoutMs },
    );
    return row?.count ?? 0;
  }
}

function conditionOf(part: Span, filter: RecordFilter): { parameters: Parameters; condition: string } {
  const parameters = new Parameters();
  const span = new SpanTerms(part, parameters);
  return { parameters, condition: where([...span.records(), ...filterTerms(filter, parameters, span)]) };
}

function numbered(id: number): Place {
  return { at: "", id };
}
