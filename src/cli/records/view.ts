/**
 * One record as the commands show it: as JSON, and in a few words.
 */
import type { StoredAttempt, StoredRecord } from "../../store/store.ts";

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

const START_LENGTH = 160;

/** The beginning of the reply: its text, else its tool calls, its error or its reasoning. */
export function startOfReply({ response, toolCalls, error, reasoning }: StoredRecord): string {
  if (response) return response.slice(0, START_LENGTH);
  if (toolCalls.length > 0) {
    return toolCalls.map((call) => `${call.name}(${call.arguments})`).join(" ").slice(0, START_LENGTH);
  }
  return (error || reasoning || "").slice(0, START_LENGTH);
}

/** The status that the client got; `-` while there is none. */
export function statusText({ status, outcome }: StoredRecord): string {
  return status === null || status === 0 || outcome === "in_flight" ? "-" : String(status);
}

/** A number, or `-` when it is not known. */
export function countText(count: number | null): string {
  return count === null ? "-" : String(count);
}
