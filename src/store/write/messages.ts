/**
 * The messages between WorkerLink and the database thread.
 */
import type { PackedRecord } from "./packed_record.ts";
import type { ProcessIdentity } from "../database/processes.ts";
import type { DeletionReason, RetentionLimits } from "./retention.ts";
import type { TroubleReason } from "../database/errors.ts";
import type { UpstreamStateNote } from "../store.ts";

export interface OpenMessage {
  readonly type: "open";
  readonly path: string;
  readonly durability: "normal" | "full";
  /** Identifies this process in `records.instance`. */
  readonly instance: string;
  readonly process: ProcessIdentity;
  readonly busyTimeoutMs: number;
  readonly retention: RetentionLimits;
}

/** A record in flight stays: its row is still being written. */
export type DeletionResult = "deleted" | "in_flight" | "not_found";

/** Batches are answered one by one, in order, with their `batch` number. */
export type ToWorker =
  | OpenMessage
  | { readonly type: "batch"; readonly batch: number; readonly records: readonly PackedRecord[] }
  /** All upstreams that are not well; ignored before `opened`. */
  | { readonly type: "upstream_states"; readonly notes: readonly UpstreamStateNote[] }
  /** The answer to `processes`: when each process started, by pid; null: there is no such process. */
  | { readonly type: "processes"; readonly starts: ReadonlyMap<number, string | null> }
  /** Answered with `record_deletion` and the same `call`. */
  | { readonly type: "delete_record"; readonly call: number; readonly id: number }
  | { readonly type: "close" };

export type FromWorker =
  | {
    readonly type: "committed";
    readonly batch: number;
    readonly durationMs: number;
    /** Places in the batch of records that no database could take; they were left out. */
    readonly invalid: readonly number[];
  }
  /** Nothing of the batch was committed. */
  | {
    readonly type: "failed";
    readonly batch: number;
    readonly reason: TroubleReason;
    readonly message: string;
  }
  /** The database was opened; notes on upstreams that were sent before were ignored. */
  | { readonly type: "opened" }
  /** The file had gone or was replaced; what is at its path now is in use. */
  | { readonly type: "reopened" }
  | { readonly type: "deleted"; readonly reason: DeletionReason; readonly count: number }
  | { readonly type: "bodies_deleted"; readonly count: number }
  | {
    readonly type: "record_deletion";
    readonly call: number;
    readonly result: DeletionResult | "failed";
    /** Why it failed; else empty. */
    readonly message: string;
  }
  /** Asks which of these processes are alive; they have the database open, or had. */
  | { readonly type: "processes"; readonly pids: readonly number[] }
  | { readonly type: "closed" };
