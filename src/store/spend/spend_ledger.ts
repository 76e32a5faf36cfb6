/**
 * The statements on `token_spend` and `token_leases` in SQLite: rows and leases are renewed, leases of dead sources become
 * rows, rows of dead sources become one.
 *
 * Owns what a row's source may be: the run of a server that wrote it; `RUN~dead`, what a run that was taken for dead might
 * have charged; `copy~ID`, what was copied from another database; empty, sums of all that are old. All functions but
 * {@link renewLeases} are to be called in a transaction.
 */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { grantedNano } from "../../core/lease_grant.ts";
import type { LeaseAnswer, LeaseRequest, SpendRow, SpentDays } from "../../core/spend.ts";
import { SPEND_COLUMNS } from "../database/cost_columns.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { number } from "../database/values.ts";
import { exact } from "./spend_reader.ts";

/** Follows the run of a server: what it might have charged when it was taken for dead. */
export const DEAD_SUFFIX = "~dead";
/** Goes before the identity of a database. Such rows are replaced by the next copy, and never merged. */
export const COPY_PREFIX = "copy~";
/**
 * Rows are left by themselves for so long: a server that was only thought dead, as one on a sleeping machine is, may still
 * write them.
 */
export const MERGE_AFTER_MS = 8 * 86_400_000; // docs/tuning.md#spending

const COLUMNS = Object.keys(SPEND_COLUMNS);

const PUT_ROW = `INSERT INTO token_spend(token_id, day, source, ${COLUMNS.join(", ")})
  VALUES (?, ?, ?, ${COLUMNS.map(() => "?").join(", ")})
  ON CONFLICT(token_id, day, source) DO UPDATE SET ${
  COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")
}`;

const ADD_UP = `ON CONFLICT(token_id, day, source) DO UPDATE SET ${
  COLUMNS.map((name) => `${name} = ${name} + excluded.${name}`).join(", ")
}`;

const OWN = "SELECT total(cost_nano) AS nano FROM token_spend WHERE token_id = ? AND source = ?";
const SPENT = "SELECT total(cost_nano) AS nano FROM token_spend WHERE token_id = ? AND day >= ?";
const FORGET = "DELETE FROM token_spend WHERE token_id = ? AND source = ?";
const LEASES = `SELECT total(max(nano, 0)) FILTER (WHERE source = ?2) AS own,
    total(max(nano, 0)) FILTER (WHERE source <> ?2) AS others
  FROM token_leases WHERE token_id = ?1`;
const PUT_LEASE = `INSERT INTO token_leases(token_id, source, nano, renewed_ms) VALUES (?, ?, ?, ?)
  ON CONFLICT(token_id, source) DO UPDATE SET nano = excluded.nano, renewed_ms = excluded.renewed_ms`;
const DELETE_LEASE = "DELETE FROM token_leases WHERE token_id = ? AND source = ?";

const IS_DEAD = "source NOT IN (SELECT id FROM instances)";

/** In the order of the columns. */
function valuesOf(row: SpendRow): SQLInputValue[] {
  return [row.costNano, row.requests, row.tokens, row.estimatedNano, row.overshootNano];
}

export interface Renewing {
  /** The run that asks. */
  readonly source: string;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
}

/** In one transaction. @throws what SQLite throws, with nothing changed */
export function renewLeases(
  db: DatabaseSync,
  requests: readonly LeaseRequest[],
  renewing: Renewing,
): LeaseAnswer[] {
  return inTransaction(db, () => requests.map((request) => renewLease(db, request, renewing)));
}

function renewLease(db: DatabaseSync, request: LeaseRequest, { source, nowMs }: Renewing): LeaseAnswer {
  const { tokenId, rows, fromDay } = request;
  const before = sum(db, OWN, tokenId, source);
  for (const row of rows) prepared(db, PUT_ROW).run(tokenId, row.day, source, ...valuesOf(row));
  // It was taken for dead, and is not: what it might have charged is its lease again.
  const charged = sum(db, OWN, tokenId, source + DEAD_SUFFIX);
  if (charged !== 0) prepared(db, FORGET).run(tokenId, source + DEAD_SUFFIX);
  const leases = prepared(db, LEASES).get(tokenId, source);
  const spentNano = sum(db, SPENT, tokenId, fromDay);
  const othersLeaseNano = exact(number(leases?.["others"]));
  const leaseNano = grantedNano(request, {
    spentNano,
    grownNano: sum(db, OWN, tokenId, source) - before,
    heldNano: exact(number(leases?.["own"])) + charged,
    othersLeaseNano,
  });
  if (leaseNano > 0) prepared(db, PUT_LEASE).run(tokenId, source, leaseNano, nowMs);
  else prepared(db, DELETE_LEASE).run(tokenId, source);
  return { tokenId, leaseNano, spentNano, othersLeaseNano };
}

function sum(db: DatabaseSync, sql: string, ...values: SQLInputValue[]): number {
  return exact(number(prepared(db, sql).get(...values)?.["nano"]));
}

/**
 * Charges what dead sources might have: their leases become rows of the days on which they were renewed.
 *
 * @param dayOf the day of a time in milliseconds since the Unix epoch
 */
export function chargeDeadLeases(db: DatabaseSync, dayOf: (ms: number) => string): void {
  const times = prepared(db, `SELECT DISTINCT renewed_ms FROM token_leases WHERE ${IS_DEAD}`);
  times.setReadBigInts(true);
  const charge = prepared(
    db,
    `INSERT INTO token_spend(token_id, day, source, cost_nano, estimated_nano)
      SELECT token_id, ?, source || '${DEAD_SUFFIX}', nano, nano FROM token_leases
      WHERE renewed_ms IS ? AND nano > 0 AND ${IS_DEAD} ${ADD_UP}`,
  );
  const found = times.all();
  for (const { renewed_ms: renewedMs = null } of found) {
    charge.run(dayOf(number(renewedMs) ?? Number.NaN), renewedMs);
  }
  if (found.length > 0) prepared(db, `DELETE FROM token_leases WHERE ${IS_DEAD}`).run();
}

/**
 * Makes one row of all that dead sources have charged a token on a day, once it is old. What belongs to tokens that are no
 * more is deleted.
 */
export function mergeSpend(db: DatabaseSync, nowMs: number): void {
  for (const table of ["token_spend", "token_leases"]) {
    prepared(db, `DELETE FROM ${table} WHERE token_id NOT IN (SELECT id FROM client_tokens)`).run();
  }
  const day = mergedBefore(nowMs);
  const isMerged = `source <> '' AND day < ? AND substr(source, 1, ${COPY_PREFIX.length}) <> '${COPY_PREFIX}'
    AND replace(source, '${DEAD_SUFFIX}', '') NOT IN (SELECT id FROM instances)`;
  prepared(
    db,
    `INSERT INTO token_spend(token_id, day, source, ${COLUMNS.join(", ")})
      SELECT token_id, day, '', ${
      COLUMNS.map((name) => `CAST(total(${name}) AS INTEGER)`).join(", ")
    } FROM token_spend
      WHERE ${isMerged} GROUP BY token_id, day ${ADD_UP}`,
  ).run(day);
  prepared(db, `DELETE FROM token_spend WHERE ${isMerged}`).run(day);
}

/** From now on these sums are all that was spent. */
export function replaceSpend(db: DatabaseSync, days: SpentDays): void {
  db.exec("DELETE FROM token_spend");
  for (const row of days) prepared(db, PUT_ROW).run(row.tokenId, row.day, "", ...valuesOf(row));
}

/** Wherever days begin. */
function mergedBefore(nowMs: number): string {
  return new Date(nowMs - MERGE_AFTER_MS).toISOString().slice(0, 10);
}
