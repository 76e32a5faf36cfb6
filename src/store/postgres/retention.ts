/**
 * Deletes what need not be kept any longer, a day at a time: a partition is dropped, which costs nothing of what its rows
 * would.
 *
 * Owns what is due. Any replica may do it; two that do the same do not harm each other.
 */
import { PgError } from "./errors.ts";
import { DAY_MS, dropPartition, listPartitions, type Partition } from "./partitions.ts";
import type { PgStore } from "./query.ts";

export interface RetentionLimits {
  /** null: none. */
  readonly keepDays: number | null;
  /** Of bodies, replies and the words that find them; null: as long as the rest. */
  readonly keepBodiesDays: number | null;
  /** Of all partitions together; null: no limit. */
  readonly maxBytes: number | null;
  /** Of owners of ids, since they were seen last. Default: no limit. */
  readonly keepIdsDays?: number | null;
}

const TEXT_TABLES: ReadonlySet<Partition["table"]> = new Set(["record_texts", "record_search"]);

/**
 * The partitions that are to be dropped, oldest first.
 *
 * A day is dropped when all of it is too old. The size is kept by dropping whole days, never the present one.
 */
export function dueForDeletion(
  partitions: readonly Partition[],
  { keepDays, keepBodiesDays, maxBytes }: RetentionLimits,
  nowMs: number,
): Partition[] {
  const isOld = (dayMs: number, days: number | null) =>
    days !== null && dayMs + DAY_MS <= nowMs - days * DAY_MS;
  const due = new Set(
    partitions.filter(({ table, dayMs }) =>
      isOld(dayMs, keepDays) || (TEXT_TABLES.has(table) && isOld(dayMs, keepBodiesDays))
    ),
  );
  if (maxBytes !== null) addLargest(due, partitions, { maxBytes, nowMs });
  return partitions.filter((partition) => due.has(partition)).toSorted((a, b) => a.dayMs - b.dayMs);
}

/** Adds the oldest days until the rest is small enough. */
function addLargest(
  due: Set<Partition>,
  partitions: readonly Partition[],
  { maxBytes, nowMs }: { readonly maxBytes: number; readonly nowMs: number },
): void {
  const kept = partitions.filter((partition) => !due.has(partition));
  let bytes = kept.reduce((sum, partition) => sum + partition.bytes, 0);
  const days = [...new Set(kept.map(({ dayMs }) => dayMs))].sort((a, b) => a - b);
  for (const day of days) {
    if (bytes <= maxBytes || day + DAY_MS > nowMs) return;
    for (const partition of kept.filter(({ dayMs }) => dayMs === day)) {
      due.add(partition);
      bytes -= partition.bytes;
    }
  }
}

/**
 * Another replica drops the same at this moment, or somebody reads it (a backup): not a partition any more, pending, no
 * lock within the time.
 */
const LEFT_FOR_LATER: ReadonlySet<string | null> = new Set([
  "40P01",
  "42P01",
  "55000",
  "55006",
  "55P03",
  "TIMEOUT",
]);

/** Drops what is due and can be dropped now. @returns the names of what was dropped; @throws PgError */
export async function keepLimits(
  database: Pick<PgStore, "read" | "write" | "execute">,
  limits: RetentionLimits,
  nowMs: number,
): Promise<string[]> {
  const dropped: string[] = [];
  for (const partition of dueForDeletion(await listPartitions(database), limits, nowMs)) {
    try {
      await dropPartition(database, partition);
      dropped.push(partition.name);
    } catch (error) {
      if (!(error instanceof PgError) || !LEFT_FOR_LATER.has(error.code)) throw error;
    }
  }
  return dropped;
}

const SERVER_TIME = "SELECT floor(extract(epoch from now()) * 1000)::bigint AS now_ms";

/** The earlier of two clocks: one replica whose clock is wrong must not delete what belongs to all. @throws PgError */
export async function cautiousNow(database: Pick<PgStore, "read">, nowMs: number): Promise<number> {
  const [row] = await database.read<{ now_ms: number }>(SERVER_TIME);
  if (row === undefined) throw new TypeError("no time");
  return Math.min(nowMs, row.now_ms);
}
