/**
 * Writes records to PostgreSQL: one statement a table for a whole batch.
 *
 * Owns these statements, and which of two versions of a record stays: as in SQLite (../../write/record_statements.ts) a
 * settled one replaces every other, because a reply may go on after its end marker, and one that is under way or was given
 * up replaces no settled one, because it may have been delayed.
 */
import type { SearchSource } from "../../search/text.ts";
import type { Tokenizer } from "../../search/tokenizer.ts";
import { parseToolCalls } from "../../read/record_decoding.ts";
import { RECORD_COLUMNS } from "../../database/record_columns.ts";
import type { PgQuery } from "../query.ts";
import { searchWords } from "./search_words.ts";
import { ATTEMPT_COLUMNS, type ShippedRecord, VALUE_COLUMNS } from "./shipped_record.ts";

type Column = readonly (string | null)[];

/** Names and types of a table's columns. */
type Columns = Readonly<Record<string, "text" | "bigint" | "timestamptz">>;

const RECORD_TABLE: Columns = {
  request_id: "text",
  created_at: "timestamptz",
  ...Object.fromEntries(
    VALUE_COLUMNS.map((name) => [name, RECORD_COLUMNS[name] === "number" ? "bigint" : "text"] as const),
  ),
};

const KEY = { created_at: "timestamptz", record_id: "bigint" } as const satisfies Columns;

const PUT_RECORDS = `INSERT INTO oar.records AS old (${namesOf(RECORD_TABLE)})
  SELECT * FROM ${unnested(RECORD_TABLE)}
  ON CONFLICT (request_id, created_at) DO UPDATE SET ${replaced(VALUE_COLUMNS)}
  WHERE coalesce(excluded.outcome, '') NOT IN ('in_flight', 'crashed')
    OR coalesce(old.outcome, 'in_flight') IN ('in_flight', 'crashed')
  RETURNING id::text AS id, request_id`;

const TEXT_TABLE: Columns = { ...KEY, body: "text", response: "text", reasoning: "text", tool_calls: "text" };

/** The body of a record that was under way is not sent again. */
const PUT_TEXTS = `INSERT INTO oar.record_texts AS old (${namesOf(TEXT_TABLE)})
  SELECT * FROM ${unnested(TEXT_TABLE)}
  ON CONFLICT (created_at, record_id) DO UPDATE SET body = coalesce(excluded.body, old.body),
    ${replaced(["response", "reasoning", "tool_calls"])}`;

const ATTEMPT_TABLE: Columns = { ...KEY, ...ATTEMPT_COLUMNS };

const ATTEMPT_VALUES = Object.keys(ATTEMPT_COLUMNS).filter((name) => name !== "n");

/** The same again changes nothing: a stream that is under way is sent often. */
const PUT_ATTEMPTS = `INSERT INTO oar.attempts AS old (${namesOf(ATTEMPT_TABLE)})
  SELECT * FROM ${unnested(ATTEMPT_TABLE)}
  ON CONFLICT (created_at, record_id, n) DO UPDATE SET ${replaced(ATTEMPT_VALUES)}
  WHERE (${ATTEMPT_VALUES.map((name) => `old.${name}`).join(", ")})
    IS DISTINCT FROM (${ATTEMPT_VALUES.map((name) => `excluded.${name}`).join(", ")})`;

const DELETE_SURPLUS = `DELETE FROM oar.attempts a
  USING unnest($1::timestamptz[], $2::bigint[], $3::bigint[]) AS kept (created_at, record_id, n)
  WHERE a.created_at = kept.created_at AND a.record_id = kept.record_id AND a.n > kept.n
    AND a.created_at BETWEEN $4 AND $5`;

const PUT_WORDS = `INSERT INTO oar.record_search (created_at, record_id, words)
  SELECT created_at, record_id, words::tsvector
    FROM unnest($1::timestamptz[], $2::bigint[], $3::text[]) AS new (created_at, record_id, words)
  ON CONFLICT (created_at, record_id) DO UPDATE SET words = excluded.words`;

interface Placed {
  readonly record: ShippedRecord;
  readonly id: string;
}

export class RecordWriter {
  readonly #tokenizer: Tokenizer;
  /** A batch that fails is sent again, in parts. */
  readonly #words = new WeakMap<ShippedRecord, string>();

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Finds its words, which takes a while; once for each record. */
  prepare(record: ShippedRecord): void {
    if (!record.isSettled || this.#words.has(record)) return;
    this.#words.set(record, searchWords(sourceOf(record), this.#tokenizer));
  }

  /** Within a transaction. @throws PgError */
  async put(query: PgQuery, records: readonly ShippedRecord[]): Promise<void> {
    if (records.length === 0) return;
    const stored = await query<{ id: string; request_id: string }>(PUT_RECORDS, [
      records.map(({ requestId }) => requestId),
      records.map(({ createdAt }) => createdAt),
      ...VALUE_COLUMNS.map((_, place) => records.map(({ values }) => values[place] ?? null)),
    ]);
    const ids = new Map(stored.map(({ id, request_id }) => [request_id, id]));
    // Those that are not among them are older than what is there.
    const placed = records.flatMap((record) => {
      const id = ids.get(record.requestId);
      return id === undefined ? [] : [{ record, id }];
    });
    if (placed.length === 0) return;
    await query(PUT_TEXTS, [
      ...keysOf(placed),
      ...(["body", "response", "reasoning", "tool_calls"] as const).map((name) =>
        placed.map(({ record }) => record.texts[name])
      ),
    ]);
    await this.#putAttempts(query, placed);
    await this.#putWords(query, placed.filter(({ record }) => record.isSettled));
  }

  async #putAttempts(query: PgQuery, placed: readonly Placed[]): Promise<void> {
    const each = placed.flatMap(({ record, id }) =>
      record.attempts.map(({ values }) => ({ record, id, values }))
    );
    const times = placed.map(({ record }) => record.createdAt).toSorted();
    await query(DELETE_SURPLUS, [
      ...keysOf(placed),
      placed.map(({ record }) => highestOf(record)),
      times[0],
      times.at(-1),
    ]);
    if (each.length === 0) return;
    const columns = Object.keys(ATTEMPT_COLUMNS).map((_, place) =>
      each.map(({ values }) => values[place] ?? null)
    );
    await query(PUT_ATTEMPTS, [...keysOf(each), ...columns]);
  }

  async #putWords(query: PgQuery, placed: readonly Placed[]): Promise<void> {
    if (placed.length === 0) return;
    for (const { record } of placed) this.prepare(record);
    await query(PUT_WORDS, [
      ...keysOf(placed),
      placed.map(({ record }) => this.#words.get(record) ?? ""),
    ]);
  }
}

function keysOf(placed: readonly Placed[]): [createdAt: Column, recordId: Column] {
  return [placed.map(({ record }) => record.createdAt), placed.map(({ id }) => id)];
}

/** The number of its last attempt. */
function highestOf({ attempts }: ShippedRecord): string {
  return attempts.at(-1)?.values[0] ?? "0";
}

function sourceOf({ texts }: ShippedRecord): SearchSource {
  const { body, response, reasoning, tool_calls } = texts;
  return { body, response, reasoning, toolCalls: parseToolCalls(tool_calls) };
}

function namesOf(columns: Columns): string {
  return Object.keys(columns).map(quoted).join(", ");
}

function unnested(columns: Columns): string {
  return `unnest(${Object.values(columns).map((type, place) => `$${place + 1}::${type}[]`).join(", ")})`;
}

function replaced(names: readonly string[]): string {
  return names.map((name) => `${quoted(name)} = excluded.${quoted(name)}`).join(", ");
}

/** `authorization` is a word of SQL. */
function quoted(name: string): string {
  return `"${name}"`;
}
