/**
 * Deletes what need not be kept any longer, a day at a time: a partition is dropped, which costs nothing of what its rows
 * would.
 *
 * Owns what is due. Any replica may do it; two that do the same do not harm each other.
 */
import { DAY_MS, dropPartition, listPartitions, type Partition } from "./partitions.ts";
import type { PgStore } from "./query.ts";

export interface RetentionLimits {
  /** null: none. */
  readonly keepDays: number | null;
  /** Of bodies, replies and the words that find them; null: as long as the rest. */
  readonly keepBodiesDays: number | null;
  /** Of all partitions together; null: no limit. */
  readonly maxBytes: number | null;
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

/** Drops what is due. @returns the names of what was dropped; @throws PgError */
export async function keepLimits(
  database: Pick<PgStore, "read" | "write" | "execute">,
  limits: RetentionLimits,
  nowMs: number,
): Promise<string[]> {
  const due = dueForDeletion(await listPartitions(database), limits, nowMs);
  for (const partition of due) await dropPartition(database, partition);
  return due.map(({ name }) => name);
}
