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

  async write(record: RequestRecord): Promise<WriteResult> {
    if (record.outcome === "in_flight") return await this.#journal.write(record);
    // The journal may be faster than its caller.
    const shipped = this.#remote.waits.until(record.requestId);
    const result = await this.#journal.write(record);
    if (result === "committed") await shipped;
    else this.#remote.waits.forget(record.requestId);
    return result;
  }

  close(): Promise<void> {
    return this.#journal.close();
  }
}
