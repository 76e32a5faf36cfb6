/**
 * The statements on `client_tokens`. Rows that people typed by hand are read as they are (client_token_row.ts).
 */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { fromGoTime, toGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";
import { asBlobs, number, text } from "../database/values.ts";
import { StoreError } from "../store_error.ts";
import type { ClientTokenRow, ClientTokenValues, NewClientToken } from "./client_token_row.ts";

const TEXTS = ["name", "sha256", "hint", "allow", "deny", "upstreams", "budget_usd", "budget_period", "gate"];
const SELECT = `SELECT id, rpm, tpm, max_parallel, enabled,
  ${asBlobs([...TEXTS, "expires_at", "created_at"])} FROM client_tokens`;

/** All of the table in one text: SQLite makes it far sooner than thousands of rows can be read. */
const SELECT_TEXT = `SELECT group_concat(${
  ["id", "rpm", "tpm", "max_parallel", "enabled", ...TEXTS, "expires_at", "created_at"]
    .map((column) => `quote(${column})`).join(" || ',' || ")
}, char(10)) AS text FROM (SELECT * FROM client_tokens ORDER BY id)`;

const NO_ROWS: readonly ClientTokenRow[] = Object.freeze([]);
/** What was read last by each connection. */
const read = new WeakMap<
  DatabaseSync,
  { readonly text: unknown; readonly rows: readonly ClientTokenRow[] }
>();

/** Oldest first; the same array until a row changes. Reads databases of older versions, too. */
export function listClientTokens(db: DatabaseSync): readonly ClientTokenRow[] {
  const hasTable = prepared(
    db,
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'client_tokens'",
  );
  if (hasTable.get() === undefined) return NO_ROWS;
  const text = prepared(db, SELECT_TEXT).get()?.["text"] ?? null;
  if (text === null) return NO_ROWS;
  const known = read.get(db);
  if (known?.text === text) return known.rows;
  const statement = prepared(db, `${SELECT} ORDER BY id`);
  statement.setReadBigInts(true);
  const rows = Object.freeze(statement.all().map(toRow));
  read.set(db, { text, rows });
  return rows;
}

export function addClientToken(db: DatabaseSync, token: NewClientToken, nowMs: number): ClientTokenRow {
  requireUnique(db, token, null);
  const now = toGoTime(nowMs);
  const columns = { created_at: now, updated_at: now, enabled: 1, ...columnsOf(token) };
  const names = Object.keys(columns);
  const { lastInsertRowid } = prepared(
    db,
    `INSERT INTO client_tokens(${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
  ).run(...Object.values(columns));
  return required(db, Number(lastInsertRowid));
}

export function editClientToken(
  db: DatabaseSync,
  { id, changes }: { readonly id: number; readonly changes: Partial<ClientTokenValues> },
  nowMs: number,
): ClientTokenRow {
  required(db, id);
  requireUnique(db, changes, id);
  const columns = { ...columnsOf(changes), updated_at: toGoTime(nowMs) };
  prepared(
    db,
    `UPDATE client_tokens SET ${Object.keys(columns).map((name) => `${name} = ?`).join(", ")} WHERE id = ?`,
  ).run(...Object.values(columns), id);
  return required(db, id);
}

export function removeClientToken(db: DatabaseSync, id: number): void {
  required(db, id);
  prepared(db, "DELETE FROM client_tokens WHERE id = ?").run(id);
  prepared(db, "DELETE FROM token_spend WHERE token_id = ?").run(id);
  prepared(db, "DELETE FROM token_leases WHERE token_id = ?").run(id);
}

function required(db: DatabaseSync, id: number): ClientTokenRow {
  const statement = prepared(db, `${SELECT} WHERE id = ?`);
  statement.setReadBigInts(true);
  const row = statement.get(id);
  if (row === undefined) throw new StoreError("not_found", `There is no client token ${id}`);
  return toRow(row);
}

function requireUnique(db: DatabaseSync, values: Partial<ClientTokenValues>, id: number | null): void {
  for (const name of ["name", "sha256"] as const) {
    const value = values[name];
    if (value === undefined || value === null) continue;
    const twin = prepared(db, `SELECT 1 FROM client_tokens WHERE ${name} = ? AND id IS NOT ?`).get(value, id);
    if (twin === undefined) continue;
    throw new StoreError(
      "duplicate",
      name === "name" ? `A token named ${value} exists already` : "This token is accepted already",
    );
  }
}

function toRow(row: Record<string, SQLOutputValue>): ClientTokenRow {
  const expiresAt = text(row["expires_at"]);
  const createdAt = text(row["created_at"]);
  return {
    id: Number(row["id"]),
    name: text(row["name"]),
    sha256: text(row["sha256"]),
    hint: text(row["hint"]),
    allow: text(row["allow"]),
    deny: text(row["deny"]),
    upstreams: text(row["upstreams"]),
    rpm: number(row["rpm"]),
    tpm: number(row["tpm"]),
    maxParallel: number(row["max_parallel"]),
    budgetUsd: text(row["budget_usd"]),
    budgetPeriod: text(row["budget_period"]),
    gate: text(row["gate"]),
    // What is no time must not count as never.
    expiresAtMs: expiresAt === null || expiresAt.trim() === "" ? null : fromGoTime(expiresAt) ?? Number.NaN,
    enabled: number(row["enabled"]),
    createdAtMs: createdAt === null ? null : fromGoTime(createdAt),
  };
}

const COLUMNS: { readonly [Key in Exclude<keyof ClientTokenValues, "expiresAtMs">]: string } = {
  name: "name",
  sha256: "sha256",
  hint: "hint",
  allow: "allow",
  deny: "deny",
  upstreams: "upstreams",
  rpm: "rpm",
  tpm: "tpm",
  maxParallel: "max_parallel",
  budgetUsd: "budget_usd",
  budgetPeriod: "budget_period",
  gate: "gate",
  enabled: "enabled",
};

function columnsOf(values: Partial<ClientTokenValues>): Record<string, SQLInputValue> {
  const columns: Record<string, SQLInputValue> = {};
  for (const [key, column] of Object.entries(COLUMNS)) {
    const value = values[key as keyof typeof COLUMNS];
    if (value !== undefined) columns[column] = typeof value === "string" ? value.toWellFormed() : value;
  }
  const { expiresAtMs } = values;
  if (expiresAtMs !== undefined) columns["expires_at"] = expiresAtMs === null ? null : toGoTime(expiresAtMs);
  return columns;
}
