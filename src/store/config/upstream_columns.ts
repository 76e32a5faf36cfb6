/**
 * The columns of `openai_upstreams`, to and from SQLite. Pure.
 */
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { asBlobs, number, text } from "../database/values.ts";
import type { UpstreamChanges, UpstreamRow } from "../store.ts";
import { StoreError } from "../store_error.ts";
import { OPTION_COLUMN_NAMES, OPTION_COLUMNS, type OptionValues } from "./upstream_options.ts";

const TEXT_OPTIONS = OPTION_COLUMN_NAMES.filter((name) => OPTION_COLUMNS[name] === "text");
const NUMBER_OPTIONS = OPTION_COLUMN_NAMES.filter((name) => OPTION_COLUMNS[name] === "integer");

/** What {@link toUpstreamRow} reads. */
export const SELECT_UPSTREAMS = `SELECT id, timeout, position, enabled, weight, ${NUMBER_OPTIONS.join(", ")},
  ${
  asBlobs([
    ...["sk", "endpoint", "name", "allow", "deny", "model_map", "auth_style", "updated_at"],
    ...TEXT_OPTIONS,
  ])
}
  FROM openai_upstreams WHERE deleted_at IS NULL`;

export function assignments(columns: Readonly<Record<string, SQLInputValue>>): string {
  return Object.keys(columns).map((name) => `${name} = ?`).join(", ");
}

/** The columns that an edit changes. */
export function changedColumns(changes: UpstreamChanges): Record<string, SQLInputValue> {
  const columns: Record<string, SQLInputValue> = {};
  if (changes.sk !== undefined) columns["sk"] = changes.sk.trim().toWellFormed();
  if (changes.endpoint !== undefined) columns["endpoint"] = changes.endpoint.trim().toWellFormed();
  if (changes.name !== undefined) columns["name"] = changes.name;
  if (changes.timeout !== undefined) columns["timeout"] = changes.timeout;
  if (changes.enabled !== undefined) columns["enabled"] = changes.enabled ? 1 : 0;
  if (changes.authStyle !== undefined) columns["auth_style"] = changes.authStyle;
  if (changes.allow !== undefined) columns["allow"] = joined(changes.allow);
  if (changes.deny !== undefined) columns["deny"] = joined(changes.deny);
  if (changes.modelMap !== undefined) columns["model_map"] = toJson(changes.modelMap);
  if (changes.weight !== undefined) columns["weight"] = changes.weight ?? 1;
  return Object.assign(columns, optionColumns(changes.options ?? {}));
}

export function joined(patterns: readonly string[] | null): string | null {
  return patterns === null || patterns.length === 0 ? null : patterns.join(",").toWellFormed();
}

export function toJson(map: Readonly<Record<string, string>> | null): string | null {
  return map === null || Object.keys(map).length === 0 ? null : JSON.stringify(map).toWellFormed();
}

export function toUpstreamRow(row: Record<string, SQLOutputValue>): UpstreamRow {
  return {
    id: Number(row["id"]),
    sk: text(row["sk"]),
    endpoint: text(row["endpoint"]),
    timeout: number(row["timeout"]),
    name: text(row["name"]),
    position: number(row["position"]),
    enabled: number(row["enabled"]),
    allow: text(row["allow"]),
    deny: text(row["deny"]),
    modelMap: text(row["model_map"]),
    authStyle: text(row["auth_style"]),
    weight: number(row["weight"]),
    options: toOptions(row),
    updatedAt: text(row["updated_at"]),
  };
}

function toOptions(row: Record<string, SQLOutputValue>): OptionValues {
  return Object.fromEntries(
    OPTION_COLUMN_NAMES.map((
      name,
    ) => [name, OPTION_COLUMNS[name] === "text" ? text(row[name]) : number(row[name])]),
  );
}

/** The columns of options that are named, as they are written. */
export function optionColumns(options: OptionValues): Record<string, string | number | null> {
  const columns: Record<string, string | number | null> = {};
  for (const name of OPTION_COLUMN_NAMES) {
    const value = options[name];
    if (value !== undefined) columns[name] = typeof value === "string" ? value.toWellFormed() : value;
  }
  return columns;
}

export function duplicate(id: number): StoreError {
  return new StoreError(
    "duplicate",
    `Upstream ${id} has this key and endpoint already; use "edit ${id}" to change it, or "enable ${id}"`,
  );
}
