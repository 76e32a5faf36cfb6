/**
 * What a server asks of PostgreSQL for its page: records and statistics, which replicas there are, and that a record be
 * deleted.
 */
import type { DeletionResult } from "../write/messages.ts";
import { deleteRemoteRecord } from "./delete_record.ts";
import type { PgStore } from "./query.ts";
import { PgRecordQueries } from "./read/record_queries.ts";
import { toReadError } from "./read/errors.ts";
import type { Replica, Replicas } from "./replicas.ts";
import type { Journal } from "./shipper/journal.ts";

export interface RemoteQueriesOptions {
  readonly database: PgStore;
  readonly replicas: Replicas;
  readonly journal: Journal;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** @throws StoreError all of them */
export class RemoteQueries extends PgRecordQueries {
  readonly #options: RemoteQueriesOptions;

  constructor(options: RemoteQueriesOptions) {
    super(options.database, { now: options.now });
    this.#options = options;
  }

  /** Those that live, oldest first. The argument is not looked at. */
  async replicas(_: null): Promise<readonly Replica[]> {
    try {
      return await this.#options.replicas.list();
    } catch (error) {
      throw toReadError(error, "Cannot read the replicas");
    }
  }

  /** @param id number of its row */
  async deleteRecord(id: number): Promise<DeletionResult> {
    const { database, journal } = this.#options;
    try {
      return await deleteRemoteRecord(database, journal, id);
    } catch (error) {
      throw toReadError(error, "Cannot delete the record");
    }
  }
}
