/**
 * `--durability remote`: a record counts as committed when PostgreSQL has it.
 */
import type { RequestRecord } from "../core/types.ts";
import type { RecordSink, WriteResult } from "../store/store.ts";
import type { RemoteDatabase } from "./remote_database.ts";

export class RemoteSink implements RecordSink {
  readonly #journal: RecordSink;
  readonly #remote: Pick<RemoteDatabase, "waits" | "state">;

  constructor(journal: RecordSink, remote: Pick<RemoteDatabase, "waits" | "state">) {
    this.#journal = journal;
    this.#remote = remote;
  }

  get queuedBytes(): number {
    return this.#journal.queuedBytes;
  }

  /** Waiting for a PostgreSQL that is known to be away would only slow every reply down. */
  get isStalled(): boolean {
    return this.#journal.isStalled || this.#remote.state.type !== "up";
  }

  /** No async function: it would hold the record, with its texts, for as long as PostgreSQL does not have it. */
  write(record: RequestRecord): Promise<WriteResult> {
    const { requestId, outcome } = record;
    const { waits, state } = this.#remote;
    if (outcome === "in_flight" || state.type !== "up") return this.#journal.write(record);
    // The journal may be faster than its caller.
    const shipped = waits.until(requestId);
    return this.#journal.write(record).then((result) => {
      if (result === "committed") return shipped.then(() => result);
      waits.forget(requestId);
      return result;
    });
  }

  close(): Promise<void> {
    return this.#journal.close();
  }
}
