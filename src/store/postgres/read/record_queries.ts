/**
 * The questions about records and statistics (../../read/messages.ts, ../../store.ts), asked of PostgreSQL.
 *
 * Owns which of them wait for how long. Only reads.
 */
import type { SpendQuery, SpentDays } from "../../../core/spend.ts";
import type {
  LastFailure,
  Neighbours,
  NeighboursQuery,
  RecordCount,
  RecordQueries,
  RecordWithAttempts,
  SummaryPage,
  SummaryQuery,
  WholePage,
} from "../../read/messages.ts";
import { Tokenizer } from "../../search/tokenizer.ts";
import type { RequestStats, StatsSpan } from "../../stats/reader.ts";
import type { ClientTotals, DaySpan, UsageStats } from "../../stats/usage_reader.ts";
import type { RecordFilter, RecordReader, StoredAttempt, StoredRecord } from "../../store.ts";
import type { PgStore } from "../query.ts";
import { toReadError } from "./errors.ts";
import { readLastFailures } from "./last_failures.ts";
import { RecordPages } from "./record_pages.ts";
import { findPlace, numberedPlace, placesWithin, readAttempts, readRecords } from "./record_rows.ts";
import { readRemoteSpend } from "./spending.ts";
import { readClientTotals, readCosts, readStats, readUsage } from "./statistics.ts";
import { readSummaries } from "./summaries.ts";

/** Functions of an interface, with their answers later. */
export type Later<Api> = {
  [Name in keyof Api]: Api[Name] extends (...asked: infer Asked) => infer Answer
    ? (...asked: Asked) => Promise<Answer>
    : never;
};

/** Texts of one page of whole records; a larger record comes alone. */
const MAX_WHOLE_BYTES = 4 * 1024 * 1024;

const RECORDS = "Cannot read the records";
const STATISTICS = "Cannot read the statistics";
const SPENDING = "Cannot read what was spent";

export interface PgQueriesOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** What the admin page asks: answers in limited time. @throws StoreError all of them */
export class PgRecordQueries implements Later<RecordQueries> {
  readonly #db: Pick<PgStore, "read">;
  readonly #now: () => number;
  readonly #tokenizer = new Tokenizer();
  readonly #pages: RecordPages;

  constructor(db: Pick<PgStore, "read">, { now }: PgQueriesOptions) {
    this.#db = db;
    this.#now = now;
    this.#pages = new RecordPages(db, this.#tokenizer);
  }

  summaries(query: SummaryQuery): Promise<SummaryPage> {
    return reading(RECORDS, async () => {
      const { places, nextId } = await this.#pages.page(query, { isExhaustive: false });
      const records = await readSummaries(this.#db, places, query.filter?.text ?? "");
      return { records, nextBeforeId: nextId };
    });
  }

  whole(query: SummaryQuery): Promise<WholePage> {
    return reading(RECORDS, async () => {
      const { places, nextId } = await this.#pages.page(query, { isExhaustive: false });
      const shown = await placesWithin(this.#db, places, MAX_WHOLE_BYTES);
      const nextBeforeId = shown.length < places.length ? shown.at(-1)?.id ?? null : nextId;
      return { records: await readRecords(this.#db, shown), nextBeforeId };
    });
  }

  count(filter: RecordFilter): Promise<RecordCount> {
    return reading(RECORDS, () => this.#pages.count(filter, { isExhaustive: false }));
  }

  neighbours(query: NeighboursQuery): Promise<Neighbours> {
    return reading(RECORDS, async () => {
      const { newer, older } = await this.#pages.neighbours(query);
      return { newerId: newer?.id ?? null, olderId: older?.id ?? null };
    });
  }

  record(requestIdOrId: string | number): Promise<RecordWithAttempts | null> {
    return reading(RECORDS, async () => {
      const place = await findPlace(this.#db, requestIdOrId);
      if (place === null) return null;
      const [[record], attempts] = await Promise.all([
        readRecords(this.#db, [place]),
        readAttempts(this.#db, place),
      ]);
      return record === undefined ? null : { record, attempts };
    });
  }

  stats(span: StatsSpan): Promise<RequestStats> {
    return reading(STATISTICS, () => readStats(this.#db, { span, nowMs: this.#now() }));
  }

  usage(span: StatsSpan): Promise<UsageStats> {
    return reading(STATISTICS, () => readUsage(this.#db, { span, nowMs: this.#now() }));
  }

  costs(span: DaySpan): Promise<UsageStats> {
    return reading(STATISTICS, () => readCosts(this.#db, span, this.#now()));
  }

  /** The argument is not looked at. */
  clientTotals(_: null): Promise<ClientTotals> {
    return reading(STATISTICS, () => readClientTotals(this.#db));
  }

  spend(query: SpendQuery): Promise<SpentDays> {
    return reading(SPENDING, () => readRemoteSpend(this.#db, query));
  }

  lastFailures(upstreamIds: readonly number[]): Promise<readonly LastFailure[]> {
    return reading("Cannot read the attempts", () => readLastFailures(this.#db, upstreamIds));
  }

  /** Closes what the search keeps, not the connections. */
  close(): void {
    this.#tokenizer.close();
  }
}

/** What the command line asks: whole answers, however long they take. @throws StoreError all of them */
export class PgRecordReader implements Later<RecordReader> {
  readonly #db: Pick<PgStore, "read">;
  readonly #tokenizer = new Tokenizer();
  readonly #pages: RecordPages;

  constructor(db: Pick<PgStore, "read">) {
    this.#db = db;
    this.#pages = new RecordPages(db, this.#tokenizer);
  }

  get(requestIdOrId: string | number): Promise<StoredRecord | null> {
    return reading(RECORDS, async () => {
      const place = await findPlace(this.#db, requestIdOrId);
      return place === null ? null : (await readRecords(this.#db, [place]))[0] ?? null;
    });
  }

  attempts(recordId: number): Promise<StoredAttempt[]> {
    return reading(RECORDS, async () => {
      const place = await numberedPlace(this.#db, recordId);
      return place === null ? [] : await readAttempts(this.#db, place);
    });
  }

  list(query: SummaryQuery): Promise<StoredRecord[]> {
    return reading(RECORDS, async () => {
      const { places } = await this.#pages.page(query, { isExhaustive: true });
      return await readRecords(this.#db, places);
    });
  }

  listAfter(
    { limit, afterId, filter = {} }: {
      readonly limit: number;
      readonly afterId: number;
      readonly filter?: RecordFilter;
    },
  ): Promise<StoredRecord[]> {
    return reading(
      RECORDS,
      async () => await readRecords(this.#db, await this.#pages.after(afterId, { limit, filter })),
    );
  }

  /** Numbers of the records after this one that match, in order. */
  idsAfter(
    { limit, afterId, filter = {} }: {
      readonly limit: number;
      readonly afterId: number;
      readonly filter?: RecordFilter;
    },
  ): Promise<number[]> {
    return reading(
      RECORDS,
      async () => (await this.#pages.after(afterId, { limit, filter })).map(({ id }) => id),
    );
  }

  count(filter: RecordFilter): Promise<number> {
    return reading(RECORDS, async () => (await this.#pages.count(filter, { isExhaustive: true })).count);
  }

  lastId(): Promise<number> {
    return reading(RECORDS, () => this.#pages.lastId());
  }

  costs(span: DaySpan, nowMs: number): Promise<UsageStats> {
    return reading(STATISTICS, () => readCosts(this.#db, span, nowMs));
  }

  clientTotals(): Promise<ClientTotals> {
    return reading(STATISTICS, () => readClientTotals(this.#db));
  }

  spend(query: SpendQuery): Promise<SpentDays> {
    return reading(SPENDING, () => readRemoteSpend(this.#db, query));
  }

  /** Closes what the search keeps, not the connections. */
  close(): void {
    this.#tokenizer.close();
  }
}

async function reading<Answer>(action: string, read: () => Promise<Answer>): Promise<Answer> {
  try {
    return await read();
  } catch (error) {
    throw toReadError(error, action);
  }
}
