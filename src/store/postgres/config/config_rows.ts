/**
 * The rows of upstreams and settings, as they go between PostgreSQL and SQLite.
 *
 * Owns which tables and columns those are, and what differs between two states. Values are plain: text, numbers, null;
 * times are milliseconds since the Unix epoch. Pure.
 */

import { CLIENT_TOKEN_COLUMNS } from "../../config/client_token_row.ts";
import { OPTION_COLUMNS } from "../../config/upstream_options.ts";

/** Of an upstream or a setting. */
export type ConfigValue = string | number | null;
/** In the order of the table's columns. */
export type ConfigRow = readonly ConfigValue[];

export type ColumnType = "integer" | "text" | "time";

/** The first column is the row's number. */
export const CONFIG_COLUMNS = {
  openai_upstreams: {
    id: "integer",
    created_at: "time",
    updated_at: "time",
    deleted_at: "time",
    sk: "text",
    endpoint: "text",
    timeout: "integer",
    name: "text",
    position: "integer",
    enabled: "integer",
    allow: "text",
    deny: "text",
    model_map: "text",
    auth_style: "text",
    weight: "integer",
    ...OPTION_COLUMNS,
  },
  config_kvs: {
    id: "integer",
    created_at: "time",
    updated_at: "time",
    deleted_at: "time",
    key: "text",
    value: "text",
  },
  upstream_checks: {
    upstream_id: "integer",
    target: "text",
    checked_at: "time",
    usage_refused: "integer",
  },
  client_tokens: {
    id: "integer",
    created_at: "time",
    updated_at: "time",
    ...CLIENT_TOKEN_COLUMNS,
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ColumnType>>>>;

export type ConfigTable = keyof typeof CONFIG_COLUMNS;
export const CONFIG_TABLES = Object.keys(CONFIG_COLUMNS) as readonly ConfigTable[];

export type ConfigRows = Readonly<Record<ConfigTable, readonly ConfigRow[]>>;

export function columnNames(table: ConfigTable): string[] {
  return Object.keys(CONFIG_COLUMNS[table]);
}

export function columnTypes(table: ConfigTable): ColumnType[] {
  return Object.values(CONFIG_COLUMNS[table]);
}

/** What leads from one state of a table to another. */
export interface TableChange {
  readonly table: ConfigTable;
  readonly removedIds: readonly number[];
  /** New rows, and rows of which a column has another value. */
  readonly put: readonly ConfigRow[];
}

/** Only tables that differ. */
export function changesBetween(before: ConfigRows, after: ConfigRows): TableChange[] {
  return CONFIG_TABLES.flatMap((table) => {
    const old = byId(before[table]);
    const fresh = byId(after[table]);
    const put = after[table].filter((row) => !isSame(row, old.get(idOf(row))));
    const removedIds = [...old.keys()].filter((id) => !fresh.has(id));
    return put.length === 0 && removedIds.length === 0 ? [] : [{ table, removedIds, put }];
  });
}

export function idOf(row: ConfigRow): number {
  return Number(row[0]);
}

function byId(rows: readonly ConfigRow[]): Map<number, ConfigRow> {
  return new Map(rows.map((row) => [idOf(row), row]));
}

function isSame(row: ConfigRow, other: ConfigRow | undefined): boolean {
  return other !== undefined && row.every((value, place) => value === other[place]);
}
