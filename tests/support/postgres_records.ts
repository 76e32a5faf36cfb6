/**
 * Puts records, and what a journal has counted of them, into PostgreSQL, as the shipper does.
 */
import { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../src/core/types.ts";
import { systemClock } from "../../src/server/clock.ts";
import { prepared } from "../../src/store/database/statements.ts";
import { migrate } from "../../src/store/postgres/migration.ts";
import type { PgDatabase } from "../../src/store/postgres/pool.ts";
import { Journal } from "../../src/store/postgres/shipper/journal.ts";
import { SELECT_ATTEMPTS, SELECT_SHIPPED, toShipped } from "../../src/store/postgres/shipper/journal_rows.ts";
import { PgRemote } from "../../src/store/postgres/shipper/pg_remote.ts";
import type { ShippedRecord } from "../../src/store/postgres/shipper/shipped_record.ts";
import { StatisticsCopy } from "../../src/store/postgres/shipper/statistics_copy.ts";
import { Tokenizer } from "../../src/store/search/tokenizer.ts";
import { makeSession, withDirectory } from "../unit/store/support.ts";
import { isPgBouncerMissing, openPg, PgBouncer, Postgres } from "./postgres.ts";

const BATCH_RECORDS = 500;

/** A way to a database, by its name. */
export type PgWay = readonly [name: string, url: string];

/** Runs the body over every way on which the database may be reached: plain, with TLS, through PgBouncer. */
export async function overEveryWay(
  body: (postgres: Postgres, way: PgWay) => Promise<void>,
): Promise<void> {
  await using postgres = await Postgres.start();
  const tls = `sslmode=verify-full&sslrootcert=${postgres.authority.root}`;
  await body(postgres, ["plain", postgres.url({ query: "sslmode=disable" })]);
  await body(postgres, ["verify-full", postgres.url({ host: "localhost", query: tls })]);
  if (isPgBouncerMissing) return;
  await using bouncer = await PgBouncer.start(postgres);
  await body(postgres, ["PgBouncer, in transaction mode", bouncer.url()]);
}

/** A database with exactly these records, numbered from 1. */
export async function withPgRecords(
  { postgres, url = postgres.url() }: { readonly postgres: Postgres; readonly url?: string },
  records: readonly RequestRecord[],
  body: (db: PgDatabase) => Promise<void>,
): Promise<void> {
  await postgres.clear();
  const db = openPg(url);
  try {
    await migrate(db);
    await putRecords(db, records);
    await body(db);
  } finally {
    await db.close();
  }
}

/** In their order, those under way too. */
export async function putRecords(db: PgDatabase, records: readonly RequestRecord[]): Promise<void> {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write(records);
    session.close();
    await putJournal(db, path);
  });
}

/** All records of a journal. */
export async function putJournal(db: PgDatabase, path: string): Promise<void> {
  const tokenizer = new Tokenizer();
  const remote = new PgRemote(db, { tokenizer, clock: systemClock });
  try {
    const shipped = shippedOf(path);
    for (let from = 0; from < shipped.length; from += BATCH_RECORDS) {
      await remote.putRecords(shipped.slice(from, from + BATCH_RECORDS));
    }
  } finally {
    tokenizer.close();
  }
}

/** What a journal has counted. */
export async function putStatistics(db: PgDatabase, path: string, journalId: string): Promise<void> {
  const tokenizer = new Tokenizer();
  const journal = new Journal(path, { busyTimeoutMs: 5_000, newId: () => journalId, now: Date.now });
  try {
    const remote = new PgRemote(db, { tokenizer, clock: systemClock });
    await new StatisticsCopy({ journal, remote, clock: systemClock }).send({ isLast: true });
  } finally {
    journal.close();
    tokenizer.close();
  }
}

function shippedOf(path: string): ShippedRecord[] {
  const sqlite = new DatabaseSync(path, { readOnly: true });
  const all = (sql: string, ...params: number[]) => {
    const statement = prepared(sqlite, sql);
    statement.setReadBigInts(true);
    return statement.all(...params);
  };
  try {
    return all("SELECT id FROM records ORDER BY id").flatMap(({ id }) => {
      const [row] = all(SELECT_SHIPPED, Number(id));
      return row === undefined ? [] : toShipped(row, all(SELECT_ATTEMPTS, Number(id))) ?? [];
    });
  } finally {
    sqlite.close();
  }
}
