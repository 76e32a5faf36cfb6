/**
 * What the shipper needs of PostgreSQL: interfaces, and how a failure of it is told from one of the journal.
 */
import { messageOf } from "../../../core/errors.ts";
import type { StatisticsChanges } from "./statistics_changes.ts";
import type { ShippedRecord } from "./shipped_record.ts";

/** How a transaction went wrong, see ../errors.ts. */
export type RemoteFailure = "retry" | "poison" | "setup";

export interface Remote {
  /** Which server it is that takes writes now, since its start: another text after a failover or a restart. */
  server(): Promise<string>;
  /** Does what of {@link putRecords} takes this thread's time, in steps; may be called while another batch is sent. */
  prepare(records: readonly ShippedRecord[]): Promise<void>;
  /**
   * Commits all of the records, or none. Records that are there already are replaced by what is newer, so that the same may
   * be sent again; one statement takes each `requestId` once.
   *
   * @throws an error that {@link failureOf} knows; after `retry` nobody knows whether it was committed
   */
  putRecords(records: readonly ShippedRecord[]): Promise<void>;
  /** Commits all of the changes of this journal's statistics, or none. */
  putStatistics(journal: string, changes: StatisticsChanges): Promise<void>;
  /** What is there of this journal's statistics: a digest of each row, by table and key. */
  statistics(journal: string): Promise<ReadonlyMap<string, string>>;
  failureOf(error: unknown): RemoteFailure;
}

/** PostgreSQL does not take anything for now. */
export class RemoteTrouble extends Error {
  override readonly name = "RemoteTrouble";
  readonly kind: Exclude<RemoteFailure, "poison">;

  constructor(kind: Exclude<RemoteFailure, "poison">, cause: unknown) {
    super(messageOf(cause), { cause });
    this.kind = kind;
  }
}
