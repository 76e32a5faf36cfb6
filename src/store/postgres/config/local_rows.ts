/**
 * Upstreams and settings in a SQLite database, as rows: the copy that a replica serves from, and the one in memory in
 * which a change is tried.
 *
 * Owns the statements for that. Triggers nothing where nothing differs, so that servers do not load the same again.
 */
import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { fromGoTime, toGoTime } from "../../database/go_time.ts";
import { inTransaction } from "../../database/transaction.ts";
import { asBlobs, number, text } from "../../database/values.ts";
import {
  changesBetween,
  columnNames,
  type ColumnType,
  columnTypes,
  CONFIG_TABLES,
  type ConfigRow,
  type ConfigRows,
  type ConfigTable,
  type ConfigValue,
  type TableChange,
} from "./config_rows.ts";

export function readConfigRows(db: DatabaseSync): ConfigRows {
  return Object.fromEntries(
    CONFIG_TABLES.map((table) => [table, readTable(db, table)]),
  ) as unknown as ConfigRows;
}

/** Makes the database hold exactly these rows. Returns whether it did not. */
export function putConfigRows(db: DatabaseSync, rows: ConfigRows): boolean {
  return inTransaction(db, () => {
    const changes = changesBetween(readConfigRows(db), rows);
    for (const change of changes) apply(db, change);
    return changes.length > 0;
  });
}

function readTable(db: DatabaseSync, table: ConfigTable): ConfigRow[] {
  const names = columnNames(table);
  const types = columnTypes(table);
  const columns = names.map((name, place) => types[place] === "integer" ? `"${name}"` : asBlobs([name]));
  const statement = db.prepare(`SELECT ${columns.join(", ")} FROM ${table} ORDER BY ${names[0]}`);
  statement.setReadBigInts(true);
  const enabledPlace = table === "client_tokens" ? names.indexOf("enabled") : -1;
  return statement.all().map((row) => {
    const values = names.map((name, place) =>
      fromSqlite(
        enabledPlace >= 0 && RULES.has(name) ? wholeOf(row[name]) : row[name],
        types[place] ?? "text",
      )
    );
    // A token that is refused for a mistake must not come out of it without that limit or end.
    const isRefused = enabledPlace >= 0 &&
      names.some((name, place) => RULES.has(name) && values[place] === null && !isEmpty(row[name]));
    return isRefused ? values.with(enabledPlace, 0) : values;
  });
}

/** Columns of `client_tokens` in which a mistake refuses the token, and that hold numbers or times in PostgreSQL. */
const RULES: ReadonlySet<string> = new Set(["rpm", "tpm", "max_parallel", "enabled", "expires_at"]);

/** A limit of a token that is no whole number counts as the next lower one. */
function wholeOf(value: SQLOutputValue | undefined): SQLOutputValue | undefined {
  return typeof value === "number" ? Math.trunc(value) : value;
}

function isEmpty(value: SQLOutputValue | undefined): boolean {
  return value === undefined || value === null || (text(value) ?? "").trim() === "";
}

function fromSqlite(value: SQLOutputValue | undefined, type: ColumnType): ConfigValue {
  if (type === "text") return text(value);
  if (type === "time") return fromGoTime(text(value) ?? "");
  const whole = number(value);
  // People type anything by hand; PostgreSQL takes whole numbers only.
  return whole === null || !Number.isSafeInteger(whole) ? null : whole;
}

function toSqlite(value: ConfigValue, type: ColumnType): ConfigValue {
  return type === "time" && typeof value === "number" ? toGoTime(value) : value;
}

function apply(db: DatabaseSync, { table, removedIds, put }: TableChange): void {
  const names = columnNames(table);
  const types = columnTypes(table);
  const remove = db.prepare(`DELETE FROM ${table} WHERE ${names[0]} = ?`);
  // First all rows that change are taken out: two of them may exchange what must be unique.
  for (const id of removedIds) remove.run(id);
  for (const [id = null] of put) remove.run(id);
  const insert = db.prepare(
    `INSERT INTO ${table}(${names.map((name) => `"${name}"`).join(", ")}) VALUES (${
      names.map(() => "?").join(", ")
    })`,
  );
  for (const row of put) insert.run(...row.map((value, place) => toSqlite(value, types[place] ?? "text")));
}
