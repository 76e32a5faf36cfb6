/**
 * Reads `records` and `attempts`.
 *
 * Owns the translation of rows, ours and the Go program's, into {@link StoredRecord}. Never writes.
 */
import type { SQLOutputValue } from "node:sqlite";
import { maskSecret } from "../core/secrets.ts";
import type { Attempt, ErrorClass, Outcome, ToolCall } from "../core/types.ts";
import { fromGoTime } from "./go_time.ts";
import type { LiveConnection } from "./live_connection.ts";
import { asBlobs, number, text } from "./sql_values.ts";
import { toStoreError } from "./sqlite_errors.ts";
import type { RecordReader, StoredRecord } from "./store.ts";

type Row = Record<string, SQLOutputValue>;

const TEXT_COLUMNS = [
  "request_id",
  "created_at",
  "ip",
  "method",
  "path",
  "body",
  "model",
  "response",
  "reasoning",
  "tool_calls",
  "response_model",
  "finish_reason",
  "outcome",
  "authorization",
  "client",
  "user_agent",
  "error",
  "instance",
];

const SELECT_RECORDS =
  `SELECT id, is_stream, elapsed_time, first_byte_ms, first_token_ms, status, upstream_id,
  attempts, input_tokens, output_tokens, cached_tokens, reasoning_tokens, request_bytes, response_bytes,
  is_truncated, ${asBlobs(TEXT_COLUMNS)} FROM records`;

const NANOSECONDS_PER_MS = 1e6;

export class SqliteRecordReader implements RecordReader {
  readonly #connection: LiveConnection;

  constructor(connection: LiveConnection) {
    this.#connection = connection;
  }

  get(requestIdOrId: string | number): StoredRecord | null {
    const [byRequestId] = this.#query(`${SELECT_RECORDS} WHERE request_id = ?`, String(requestIdOrId));
    if (byRequestId !== undefined) return toStoredRecord(byRequestId);
    const id = Number(requestIdOrId);
    if (!Number.isSafeInteger(id)) return null;
    const [byId] = this.#query(`${SELECT_RECORDS} WHERE id = ?`, id);
    return byId === undefined ? null : toStoredRecord(byId);
  }

  attempts(recordId: number): Attempt[] {
    const rows = this.#query(
      `SELECT a.n, a.upstream_id, a.duration_ms, a.status, CAST(a.started_at AS BLOB) AS started_at,
        CAST(a.error_class AS BLOB) AS error_class, CAST(a.error AS BLOB) AS error,
        CAST(u.name AS BLOB) AS name, CAST(u.endpoint AS BLOB) AS endpoint
        FROM attempts a LEFT JOIN openai_upstreams u ON u.id = a.upstream_id
        WHERE a.record_id = ? ORDER BY a.n`,
      recordId,
    );
    return rows.map(toAttempt);
  }

  list(page: { readonly limit: number; readonly beforeId?: number }): StoredRecord[] {
    const before = page.beforeId ?? Number.MAX_SAFE_INTEGER;
    return this.#query(`${SELECT_RECORDS} WHERE id < ? ORDER BY id DESC LIMIT ?`, before, page.limit)
      .map(toStoredRecord);
  }

  #query(sql: string, ...params: (string | number)[]): Row[] {
    try {
      const statement = this.#connection.db.prepare(sql);
      statement.setReadBigInts(true);
      return statement.all(...params);
    } catch (error) {
      throw toStoreError(error, "Cannot read the records");
    }
  }
}

function toStoredRecord(row: Row): StoredRecord {
  const requestId = text(row["request_id"]);
  const body = text(row["body"]);
  const elapsedNs = number(row["elapsed_time"]);
  const createdAt = text(row["created_at"]);
  const authorization = text(row["authorization"]);
  return {
    id: Number(row["id"]),
    requestId,
    createdAtMs: createdAt === null ? null : fromGoTime(createdAt),
    ip: text(row["ip"]),
    method: text(row["method"]),
    path: text(row["path"]),
    body: requestId === null && body !== null ? decodeGoBody(body) : body,
    model: text(row["model"]),
    isStream: row["is_stream"] === null ? null : number(row["is_stream"]) === 1,
    response: text(row["response"]),
    reasoning: text(row["reasoning"]),
    toolCalls: parseToolCalls(text(row["tool_calls"])),
    responseModel: text(row["response_model"]),
    finishReason: text(row["finish_reason"]),
    usage: {
      inputTokens: number(row["input_tokens"]),
      outputTokens: number(row["output_tokens"]),
      cachedTokens: number(row["cached_tokens"]),
      reasoningTokens: number(row["reasoning_tokens"]),
    },
    elapsedMs: elapsedNs === null ? null : elapsedNs / NANOSECONDS_PER_MS,
    firstByteMs: number(row["first_byte_ms"]),
    firstTokenMs: number(row["first_token_ms"]),
    status: number(row["status"]),
    outcome: text(row["outcome"]) as Outcome | null,
    upstreamId: number(row["upstream_id"]),
    attemptCount: number(row["attempts"]),
    authorization: authorization === null ? null : maskAuthorization(authorization),
    client: text(row["client"]),
    userAgent: text(row["user_agent"]),
    requestBytes: number(row["request_bytes"]),
    responseBytes: number(row["response_bytes"]),
    error: text(row["error"]),
    isTruncated: number(row["is_truncated"]) === 1,
    instance: text(row["instance"]),
  };
}

function toAttempt(row: Row): Attempt {
  const upstreamId = number(row["upstream_id"]) ?? 0;
  const startedAt = text(row["started_at"]);
  return {
    index: Number(row["n"]),
    upstreamId,
    upstreamName: text(row["name"])?.trim() || hostOf(text(row["endpoint"])) || `#${upstreamId}`,
    startedAtMs: (startedAt === null ? null : fromGoTime(startedAt)) ?? 0,
    durationMs: number(row["duration_ms"]) ?? 0,
    status: number(row["status"]),
    errorClass: text(row["error_class"]) as ErrorClass | null,
    message: text(row["error"]),
  };
}

/** The Go program stored the request text as a JSON string literal. */
function decodeGoBody(body: string): string {
  if (!body.startsWith('"')) return body;
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "string" ? value : body;
  } catch {
    return body;
  }
}

/** Our rows hold a masked form already; the Go program's hold the header itself. */
function maskAuthorization(value: string): string {
  return value.includes("…") ? value : maskSecret(value.replace(/^bearer\s+/i, ""));
}

function parseToolCalls(json: string | null): ToolCall[] {
  if (json === null || json === "") return [];
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.filter(isToolCall) : [];
  } catch {
    return [];
  }
}

function isToolCall(value: unknown): value is ToolCall {
  return typeof value === "object" && value !== null && "name" in value && "arguments" in value &&
    typeof value.name === "string" && typeof value.arguments === "string";
}

function hostOf(endpoint: string | null): string | null {
  return endpoint === null ? null : URL.parse(endpoint.trim())?.host ?? null;
}
