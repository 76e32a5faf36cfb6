/**
 * The messages between WorkerLink and the database thread.
 */
import type { PackedRecord } from "./packed_record.ts";
import type { DeletionReason, RetentionLimits } from "./retention.ts";
import type { TroubleReason } from "../database/errors.ts";
import type { ListedUpstream } from "../../core/model_catalog.ts";
import type { LeaseAnswer, LeaseRequest } from "../../core/spend.ts";
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import type { StoreError, UpstreamStateNote } from "../store.ts";

export interface OpenMessage {
  readonly type: "open";
  readonly path: string;
  readonly durability: "normal" | "full";
  /** Identifies this process in `records.instance`. */
  readonly instance: string;
  readonly pid: number;
  readonly busyTimeoutMs: number;
  readonly retention: RetentionLimits;
  /** The full-text index is kept. */
  readonly isSearched: boolean;
  /** Where the days of budgets begin. */
  readonly timeZone: string;
}

/** A record in flight stays: its row is still being written. */
export type DeletionResult = "deleted" | "in_flight" | "not_found";

/** Batches are answered one by one, in order, with their `batch` number. */
export type ToWorker =
  | OpenMessage
  | { readonly type: "batch"; readonly batch: number; readonly records: readonly PackedRecord[] }
  /** All upstreams that are not well; ignored before `opened`. */
  | { readonly type: "upstream_states"; readonly notes: readonly UpstreamStateNote[] }
  /** Upstreams that have answered for the first time; ignored before `opened`. */
  | { readonly type: "upstream_checks"; readonly checks: readonly UpstreamCheck[] }
  /** What an upstream lists; null: it is gone. Ignored before `opened`. */
  | { readonly type: "model_list"; readonly upstreamId: number; readonly asked: ListedUpstream | null }
  /** The answer to `journal_lost`: no other part of this process has the database open. */
  | { readonly type: "detached" }
  /** Answered with `record_deletion` and the same `call`. */
  | { readonly type: "delete_record"; readonly call: number; readonly id: number }
  /** Answered with `spend_renewal` and the same `call`. */
  | { readonly type: "renew_spend"; readonly call: number; readonly requests: readonly LeaseRequest[] }
  | { readonly type: "close" };

/** Work that can wait, and that nobody waits for. */
export type Chore = "retention" | "search_index" | "statistics";

/** A step failed, or (`failure` null) was done after one that had failed. */
export interface ChoreReport {
  readonly type: "chore";
  readonly chore: Chore;
  readonly failure: { readonly reason: TroubleReason; readonly message: string } | null;
}

export type FromWorker =
  | {
    readonly type: "committed";
    readonly batch: number;
    readonly durationMs: number;
    /** Places in the batch of records that no database could take; they were left out. */
    readonly invalid: readonly number[];
    /** Parts of replies under way that found no row to continue; they were left out. Absent: none. */
    readonly unplaced?: readonly number[];
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
  /** The database cannot be opened; it is tried again every second. */
  | { readonly type: "unopened"; readonly reason: TroubleReason; readonly message: string }
  /** The file had gone or was replaced; what is at its path now is in use. */
  | { readonly type: "reopened" }
  | { readonly type: "deleted"; readonly reason: DeletionReason; readonly count: number }
  | { readonly type: "bodies_deleted"; readonly count: number }
  /** This process's row in `instances` is in the database's file, no longer in its journal alone. */
  | { readonly type: "anchored" }
  /** The journal was deleted. What it held is safe; `detached` is expected, and `journal_new` follows. */
  | { readonly type: "journal_lost" }
  /** The database was opened anew, with another journal. */
  | { readonly type: "journal_new" }
  | ChoreReport
  | {
    readonly type: "record_deletion";
    readonly call: number;
    readonly result: DeletionResult | "failed";
    /** Why it failed; else empty. */
    readonly message: string;
  }
  | {
    readonly type: "spend_renewal";
    readonly call: number;
    /** null: it failed, and nothing was changed. */
    readonly answers: readonly LeaseAnswer[] | null;
    readonly failure: { readonly code: StoreError["code"]; readonly message: string } | null;
  }
  | { readonly type: "closed" };
