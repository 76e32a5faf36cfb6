/**
 * One record as JSON: for the commands, and for exports.
 */
import type { StoredAttempt, StoredRecord } from "../store/store.ts";

/** What `--json` and `--format jsonl` print: the stored record, with what a program would have to look up. */
export interface RecordView extends StoredRecord {
  /** ISO 8601, UTC. */
  readonly createdAt: string | null;
  /** Name of the upstream that answered; `#3` when it was removed since. */
  readonly upstream: string | null;
}

export interface DetailedRecordView extends RecordView {
  readonly attempts: readonly StoredAttempt[];
}

export interface NameSource {
  nameOf(id: number | null): string | null;
}

export function viewRecord(record: StoredRecord, names: NameSource): RecordView {
  const { id, requestId, createdAtMs, ...rest } = record;
  return {
    id,
    requestId,
    createdAt: createdAtMs === null ? null : new Date(createdAtMs).toISOString(),
    createdAtMs,
    ...rest,
    upstream: names.nameOf(record.upstreamId),
  };
}
