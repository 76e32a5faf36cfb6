/**
 * Copies a SQLite database to PostgreSQL: upstreams and settings, then the records, oldest first, then the statistics and
 * what tokens have spent.
 *
 * Owns the order, the batches, and how far a copy has come. What is sent is what the shipper sends (../shipper/), so that the
 * same again changes nothing; both sides may be in use.
 */
import { messageOf } from "../../../core/errors.ts";
import type { Tokenizer } from "../../search/tokenizer.ts";
import { FIRST_OWNED_ID, type OwnedIdPlace, ownedIdsAfter } from "../../config/owned_ids.ts";
import { migrate } from "../migration.ts";
import { putRemoteOwnedIds } from "../owned_ids.ts";
import type { PgStore } from "../query.ts";
import { sendApart } from "../shipper/isolation.ts";
import { PgRemote } from "../shipper/pg_remote.ts";
import { dayOf, type ShippedRecord } from "../shipper/shipped_record.ts";
import { StatisticsCopy } from "../shipper/statistics_copy.ts";
import { type CopyCounts, type CopyOptions, CopyTally, throwIfStopped } from "./copied.ts";
import { type CopiedConfig, copyConfig } from "./copied_config.ts";
import { copySpend } from "./copied_spend.ts";
import { type Mark, moveMark, readMark } from "./marks.ts";
import { Patience } from "./patience.ts";
import { presentOutcomes } from "./present_records.ts";
import { identifyRemote } from "./remote_source.ts";
import type { SourceKey, SqliteSource } from "./sqlite_source.ts";

const MAX_BATCH_ROWS = 500;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** Of one batch: its partitions are made in one transaction, which holds their locks. */
const MAX_BATCH_DAYS = 8;

const NO_TIME = "the time of the request cannot be read";
const NO_PARTITION = "the time of the request is outside of the years 1 to 9999";

export interface CopiedToPostgres extends CopyCounts {
  readonly config: CopiedConfig;
  /** Records that earlier copies were refused. */
  readonly refusedBefore: number;
  /** The statistics lack some of the records, because no server has counted them yet. */
  readonly isUncounted: boolean;
  /** The source was copied from this PostgreSQL database, which has its statistics, and what tokens have spent: both were left out. */
  readonly isReturning: boolean;
}

export interface ToPostgresOptions extends CopyOptions {
  readonly source: SqliteSource;
  readonly database: PgStore;
  readonly tokenizer: Tokenizer;
}

interface Batched {
  readonly id: bigint;
  readonly record: ShippedRecord;
  readonly isChanged: boolean;
  readonly isCrashed: boolean;
}

/** @throws CopyRefusedError, CopyStoppedError, PgError, RemoteTrouble, StoreError or what SQLite throws */
export async function copyToPostgres(options: ToPostgresOptions): Promise<CopiedToPostgres> {
  const { source, database } = options;
  await migrate(database);
  const patience = new Patience(options.clock, options.signal);
  const config = await patience.repeat(() =>
    copyConfig(database, { id: source.identity.id, rows: source.config() })
  );
  throwIfStopped(options.signal);
  const records = new RecordCopy(options);
  const { tally, refusedBefore } = await records.run();
  const isUncounted = source.hasUncounted();
  const isReturning = source.identity.origin === await patience.repeat(() => identifyRemote(database));
  if (!isReturning) {
    await records.copyStatistics();
    await patience.repeat(() => copySpend(database, { db: source.db, id: source.identity.id }));
  }
  await records.copyOwnedIds();
  return { ...tally.counts(), config, refusedBefore, isUncounted, isReturning };
}

class RecordCopy {
  readonly #options: ToPostgresOptions;
  readonly #remote: PgRemote;
  readonly #patience: Patience;
  readonly #tally = new CopyTally();
  #refusedBefore = 0;
  /** Records of the source. */
  #total = 0;
  /** Everything up to here has been looked at. */
  #cursor: bigint | null = null;
  /** What the next copy begins after: nothing up to here is left to do. */
  #doneId: bigint | null = null;
  /** A record after {@link #doneId} will be written again by its server. */
  #isHeld = false;
  /** Already in the mark. */
  #noted = { records: 0, id: null as bigint | null };

  constructor(options: ToPostgresOptions) {
    const { database, tokenizer, clock, signal } = options;
    this.#options = options;
    this.#remote = new PgRemote(database, { tokenizer, clock });
    this.#patience = new Patience(clock, signal);
  }

  async run(): Promise<{ readonly tally: CopyTally; readonly refusedBefore: number }> {
    const { source } = this.#options;
    const lastId = source.lastId();
    if (lastId !== null) {
      await this.#begin(lastId);
      this.#total = source.count(null, lastId);
      for (let keys = this.#next(lastId); keys.length > 0; keys = this.#next(lastId)) {
        await this.#copyPage(keys);
      }
    }
    return { tally: this.#tally, refusedBefore: this.#refusedBefore };
  }

  /** Those of the source replace what an earlier copy sent. */
  async copyStatistics(): Promise<void> {
    const { source, clock } = this.#options;
    const journal = { db: source.db, id: source.identity.statisticsId };
    const statistics = new StatisticsCopy({ journal, remote: this.#remote, clock });
    await this.#patience.repeat(async () => {
      statistics.startOver();
      await statistics.send({ isLast: true });
    });
  }

  /** A later finding of PostgreSQL stays. */
  async copyOwnedIds(): Promise<void> {
    const { source, database, signal } = this.#options;
    let place: OwnedIdPlace = FIRST_OWNED_ID;
    for (let ids = ownedIdsAfter(source.db, place, MAX_BATCH_ROWS); ids.length > 0;) {
      throwIfStopped(signal);
      const batch = ids;
      await this.#patience.repeat(() =>
        database.write((query) => putRemoteOwnedIds(query, batch, { isNow: false }))
      );
      place = ids.at(-1) ?? place;
      ids = ownedIdsAfter(source.db, place, MAX_BATCH_ROWS);
    }
  }

  #next(lastId: bigint): SourceKey[] {
    return this.#options.source.keys(this.#cursor, lastId, MAX_BATCH_ROWS);
  }

  /** Goes on after the last record of an earlier copy. */
  async #begin(lastId: bigint): Promise<void> {
    const { source, database } = this.#options;
    const mark = await this.#patience.repeat(() =>
      database.write((query) => readMark(query, source.identity.id))
    );
    if (mark === null || mark.lastId === null || !this.#isValid(mark, mark.lastId, lastId)) return;
    this.#refusedBefore = mark.refused;
    this.#cursor = this.#doneId = this.#noted.id = mark.lastId;
    this.#tally.present = Math.max(0, source.count(null, mark.lastId) - mark.refused);
  }

  /** The database may be an older one with the same id: a backup. */
  #isValid({ lastKey }: Mark, markedId: bigint, lastId: bigint): boolean {
    const key = this.#options.source.keyOf(markedId);
    // Old records are deleted.
    return key === null ? markedId < lastId : key === lastKey;
  }

  async #copyPage(keys: readonly SourceKey[]): Promise<void> {
    const present = await this.#patience.repeat(() =>
      presentOutcomes(this.#options.database, keys.filter(hasPlace))
    );
    let batch = new Batch();
    for (const key of keys) {
      const item = this.#take(key, present);
      if (item !== null && !batch.takes(item)) {
        await this.#finish(batch);
        batch = new Batch();
      }
      if (item !== null) batch.add(item);
      this.#pass(key);
    }
    await this.#finish(batch);
  }

  /** null: it is there already, or cannot be copied (now). */
  #take(key: SourceKey, present: ReadonlyMap<bigint, string | null>): Batched | null {
    const { id, createdAt, isUnderWay } = key;
    if (!hasPlace(key)) {
      this.#tally.refuse(id, createdAt === null ? NO_TIME : NO_PARTITION);
      return null;
    }
    if (isUnderWay) {
      this.#tally.underWay++;
      this.#isHeld = true;
      return null;
    }
    if (this.#isPresent(key, present)) {
      this.#tally.present++;
      return null;
    }
    const read = this.#options.source.read(id);
    return read === null ? null : { id, ...read };
  }

  /** PostgreSQL has the same, or what came later. */
  #isPresent({ id, outcome }: SourceKey, present: ReadonlyMap<bigint, string | null>): boolean {
    if (!present.has(id)) return false;
    const there = present.get(id) ?? null;
    if (there !== "in_flight" && there !== "crashed") return true;
    // What other replicas marked as crashed lacks what came last, which only the journal has.
    const { isJournal } = this.#options.source.identity;
    return there === "crashed" && (outcome === "crashed" || (outcome === "in_flight" && !isJournal));
  }

  #pass({ id }: SourceKey): void {
    this.#cursor = id;
    if (!this.#isHeld) this.#doneId = id;
  }

  async #finish({ items }: Batch): Promise<void> {
    await this.#send(items);
    await this.#note();
    const { records, present, underWay, refusedCount } = this.#tally;
    this.#options.onProgress(records + present + underWay + refusedCount, this.#total);
    throwIfStopped(this.#options.signal);
  }

  async #send(batch: readonly Batched[]): Promise<void> {
    const items = new Map(batch.map((item) => [item.record, item]));
    let rest = batch.map(({ record }) => record);
    let size = rest.length;
    while (rest.length > 0) {
      const { done, refused, failure } = await sendApart(rest.slice(0, size), {
        put: (records) => this.#remote.putRecords(records),
        failureOf: (error) => this.#remote.failureOf(error),
      });
      for (const record of done) this.#count(items.get(record));
      for (const { item, error } of refused) {
        this.#tally.refuse(items.get(item)?.id ?? BigInt(item.id), messageOf(error));
      }
      const over = new Set([...done, ...refused.map(({ item }) => item)]);
      rest = rest.filter((record) => !over.has(record));
      if (failure === null) {
        this.#patience.succeeded();
        continue;
      }
      // It may be too much for the line.
      size = Math.max(1, Math.floor(size / 2));
      await this.#patience.failed(failure);
    }
  }

  #count(item: Batched | undefined): void {
    if (item === undefined) return;
    this.#tally.records++;
    this.#tally.attempts += item.record.attempts.length;
    if (item.isCrashed) this.#tally.crashed++;
    if (item.isChanged) this.#tally.replaced++;
  }

  /** The next copy goes on from here. */
  async #note(): Promise<void> {
    const { source, database } = this.#options;
    const { records, refusedCount } = this.#tally;
    if (this.#doneId === null || this.#doneId === this.#noted.id) return;
    const mark = {
      lastId: this.#doneId,
      lastKey: source.keyOf(this.#doneId),
      refused: this.#refusedBefore + refusedCount,
      records: records - this.#noted.records,
    };
    await this.#patience.repeat(() => database.write((query) => moveMark(query, source.identity.id, mark)));
    this.#noted = { records, id: this.#doneId };
  }
}

/** A partition's name has four digits, and PostgreSQL has no year 0. */
function hasPlace({ createdAt }: SourceKey): boolean {
  return createdAt !== null && /^(?!0000)\d{4}-/.test(createdAt);
}

/** What is sent in one transaction. */
class Batch {
  readonly items: Batched[] = [];
  readonly #requestIds = new Set<string>();
  readonly #days = new Set<string>();
  #bytes = 0;

  takes({ record }: Batched): boolean {
    if (this.items.length === 0) return true;
    if (this.#bytes + record.bytes > MAX_BATCH_BYTES) return false;
    // One statement takes each request id once, and two may become one when they are cleaned.
    if (this.#requestIds.has(record.requestId)) return false;
    return this.#days.size < MAX_BATCH_DAYS || this.#days.has(dayOf(record));
  }

  add(item: Batched): void {
    this.items.push(item);
    this.#requestIds.add(item.record.requestId);
    this.#days.add(dayOf(item.record));
    this.#bytes += item.record.bytes;
  }
}
