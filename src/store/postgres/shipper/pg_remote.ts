/**
 * The shipper's PostgreSQL.
 *
 * Owns transactions, their deadlines, and that the days of a batch have partitions. A lost connection, another server and
 * the like are the pool's (../pool.ts).
 */
import type { Clock } from "../../../core/clock.ts";
import type { Tokenizer } from "../../search/tokenizer.ts";
import { classify, isMissingPartition } from "../errors.ts";
import { makePartitions } from "../partitions.ts";
import type { PgStore } from "../query.ts";
import type { Remote, RemoteFailure } from "./remote.ts";
import { RecordWriter } from "./remote_records.ts";
import { putStatistics, readStatistics } from "./remote_statistics.ts";
import { dayOf, type ShippedRecord } from "./shipped_record.ts";
import type { StatisticsChanges } from "./statistics_changes.ts";

/** Of one statement, for a batch of nothing. */
const BASE_TIMEOUT_MS = 5_000;
/** On top, for a line of 1 MB/s. */
const BYTES_PER_MS = 1_000;
const STATISTICS_TIMEOUT_MS = 15_000;
/** After this much work other tasks of the thread have their turn. */
const MAX_TURN_MS = 8; // docs/tuning.md#shipper
/** Days that are known to have partitions. */
const MAX_KNOWN_DAYS = 1_000;

/** Through PgBouncer, too. */
const SERVER = "SELECT pg_postmaster_start_time()::text || ' ' || coalesce(inet_server_port(), 0) AS server";

export class PgRemote implements Remote {
  readonly #db: Pick<PgStore, "read" | "write">;
  readonly #clock: Pick<Clock, "monotonic" | "setTimer">;
  readonly #writer: RecordWriter;
  readonly #days = new Set<string>();

  constructor(
    db: Pick<PgStore, "read" | "write">,
    { tokenizer, clock }: {
      readonly tokenizer: Tokenizer;
      readonly clock: Pick<Clock, "monotonic" | "setTimer">;
    },
  ) {
    this.#db = db;
    this.#clock = clock;
    this.#writer = new RecordWriter(tokenizer);
  }

  async server(): Promise<string> {
    const [row] = await this.#db.write((query) => query<{ server: string }>(SERVER));
    return row?.server ?? "";
  }

  async prepare(records: readonly ShippedRecord[]): Promise<void> {
    let turnEndMs = this.#clock.monotonic() + MAX_TURN_MS;
    for (const record of records) {
      this.#writer.prepare(record);
      if (this.#clock.monotonic() < turnEndMs) continue;
      await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, 0));
      turnEndMs = this.#clock.monotonic() + MAX_TURN_MS;
    }
  }

  async putRecords(records: readonly ShippedRecord[]): Promise<void> {
    await this.#makeDays(records);
    // Before the transaction, which would wait for it.
    await this.prepare(records);
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    try {
      await this.#db.write((query) => this.#writer.put(query, records), {
        timeoutMs: BASE_TIMEOUT_MS + Math.ceil(bytes / BYTES_PER_MS),
      });
    } catch (error) {
      // Somebody has dropped it.
      if (isMissingPartition(error)) this.#days.clear();
      throw error;
    }
  }

  async putStatistics(journal: string, changes: StatisticsChanges): Promise<void> {
    await this.#db.write((query) => putStatistics(query, journal, changes), {
      timeoutMs: STATISTICS_TIMEOUT_MS,
    });
  }

  async statistics(journal: string): Promise<ReadonlyMap<string, string>> {
    return await this.#db.write((query) => readStatistics(query, journal), {
      timeoutMs: STATISTICS_TIMEOUT_MS,
    });
  }

  failureOf(error: unknown): RemoteFailure {
    return classify(error);
  }

  async #makeDays(records: readonly ShippedRecord[]): Promise<void> {
    const days = new Set(records.map(dayOf).filter((day) => !this.#days.has(day)));
    if (days.size === 0) return;
    await makePartitions(this.#db, {
      days: [...days].map((day) => Date.parse(`${day}T00:00:00Z`)),
      shouldWait: true,
    });
    if (this.#days.size > MAX_KNOWN_DAYS) this.#days.clear();
    for (const day of days) this.#days.add(day);
  }
}
