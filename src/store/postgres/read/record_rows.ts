/**
 * Reads records whose places are known, and their attempts.
 *
 * Owns these statements. Rows come in the form of SQLite's, and are decoded by the same functions.
 */
import { type Row, toAttempt, toStoredRecord } from "../../read/record_decoding.ts";
import type { StoredAttempt, StoredRecord } from "../../store.ts";
import type { PgStore } from "../query.ts";
import { numbers, RECORD_LIST, recordsWithTexts, safeTimeText, TEXT_BYTES, timeText } from "./columns.ts";
import type { Place } from "./span.ts";
import { Parameters } from "./statement.ts";

/** Texts may be large. */
const TEXTS_MS = 10_000;
const MAX_ID_LENGTH = 1_000;

/** Rows of these records, in no particular order. @param options.list of columns of the records `r` and texts `t` */
export async function readRows(
  db: Pick<PgStore, "read">,
  places: readonly Place[],
  { list, timeoutMs }: { readonly list: string; readonly timeoutMs: number },
): Promise<Row[]> {
  const times = places.map(({ at }) => at);
  const sorted = times.toSorted();
  const [low, high] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined) return [];
  const parameters = new Parameters();
  const from = parameters.add(low, "timestamptz");
  const to = parameters.add(high, "timestamptz");
  const keys = `unnest(${parameters.add(times, "timestamptz[]")}, ${
    parameters.add(places.map(({ id }) => id), "bigint[]")
  })`;
  // The bounds choose the partitions before the statement runs.
  return await db.read<Row>(
    `SELECT ${list} FROM ${recordsWithTexts([`t.created_at BETWEEN ${from} AND ${to}`])}
      WHERE (r.created_at, r.id) IN (SELECT * FROM ${keys}) AND r.created_at BETWEEN ${from} AND ${to}`,
    parameters.values,
    { timeoutMs },
  );
}

/** In the order of the places; without those that have gone. */
export async function readRecords(
  db: Pick<PgStore, "read">,
  places: readonly Place[],
): Promise<StoredRecord[]> {
  const rows = await readRows(db, places, { list: RECORD_LIST, timeoutMs: TEXTS_MS });
  const records = new Map(rows.map((row) => [Number(row["id"]), toStoredRecord(row)]));
  return places.flatMap(({ id }) => records.get(id) ?? []);
}

/** The first of the records that have no more bytes of text than this together, at least one. */
export async function placesWithin(
  db: Pick<PgStore, "read">,
  places: readonly Place[],
  maxBytes: number,
): Promise<readonly Place[]> {
  const rows = await readRows(db, places, { list: `r.id, ${TEXT_BYTES} AS bytes`, timeoutMs: TEXTS_MS });
  const bytesOf = new Map(rows.map((row) => [Number(row["id"]), Number(row["bytes"])]));
  let bytes = 0;
  const end = places.findIndex(({ id }, index) => {
    bytes += bytesOf.get(id) ?? 0;
    return bytes > maxBytes && index > 0;
  });
  return end < 0 ? places : places.slice(0, end);
}

/** By `request_id`, or by number, in any partition; null: there is none. */
export async function findPlace(
  db: Pick<PgStore, "read">,
  requestIdOrId: string | number,
): Promise<Place | null> {
  const requestId = String(requestIdOrId);
  if (requestId.length > MAX_ID_LENGTH) return null;
  const parameters = new Parameters();
  const [row] = await db.read<Place>(
    `${SELECT_PLACE} WHERE request_id = ${parameters.add(requestId, "text")} LIMIT 1`,
    parameters.values,
  );
  return row ?? await numberedPlace(db, Number(requestIdOrId));
}

/** By number; null: there is none. */
export async function numberedPlace(db: Pick<PgStore, "read">, id: number): Promise<Place | null> {
  if (!Number.isSafeInteger(id)) return null;
  const [row] = await db.read<Place>(`${SELECT_PLACE} WHERE id = $1::bigint LIMIT 1`, [id]);
  return row ?? null;
}

const SELECT_PLACE = `SELECT ${timeText("created_at")} AS at, id FROM oar.records`;

/** In order. */
export async function readAttempts(db: Pick<PgStore, "read">, { at, id }: Place): Promise<StoredAttempt[]> {
  const rows = await db.read<Row>(
    `SELECT ${numbers(["n", "upstream_id", "duration_ms", "status", "key_n", "changed", "cost_nano"], "a")},
        ${
      safeTimeText("a.started_at")
    } AS started_at, a.error_class, a.error, a.partial, a.usage, u.name, u.endpoint
      FROM oar.attempts a LEFT JOIN oar.openai_upstreams u ON u.id = a.upstream_id
      WHERE a.created_at = $1::timestamptz AND a.record_id = $2::bigint ORDER BY a.n`,
    [at, id],
    { timeoutMs: TEXTS_MS },
  );
  return rows.map(toAttempt);
}
