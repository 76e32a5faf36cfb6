/**
 * What the writing session knows of its rows without a query: most records are written once, and need no look at an
 * older row.
 *
 * Has to be told of each write, and then that the transaction was committed or rolled back.
 */
import type { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../core/types.ts";

/** What is known to be stored of a row in flight. */
interface OpenRow {
  readonly id: number;
  readonly attempts: number;
  readonly upstreamId: number | null;
}

/** Of an earlier session: nothing is known. */
const UNKNOWN: OpenRow = { id: -1, attempts: -1, upstreamId: null };

export class WrittenRows {
  /** Rows up to this id may have been there before; ids only grow. */
  #lastId: number;
  /** Requests whose row says that they are in flight. */
  readonly #open: Map<string, OpenRow>;
  #stagedLastId: number;
  /** null: settled. */
  readonly #staged = new Map<string, OpenRow | null>();

  /** Reads which rows earlier sessions left in flight. */
  constructor(db: DatabaseSync) {
    this.#lastId = this.#stagedLastId = Number(
      db.prepare("SELECT coalesce(max(id), 0) AS id FROM records").get()?.["id"] ?? 0,
    );
    const open = db.prepare("SELECT request_id FROM records WHERE outcome = 'in_flight'").all();
    this.#open = new Map(open.map((row) => [String(row["request_id"]), UNKNOWN]));
  }

  /** Whether its row says, or may say, that it is in flight. */
  isOpen(requestId: string): boolean {
    return this.#open.has(requestId) || this.#staged.has(requestId);
  }

  /** Whether the record only continues the reply in its row: same attempts, same upstream. */
  isProgress(record: RequestRecord): boolean {
    return this.idOfProgress(record) !== null;
  }

  /** The row's id, if {@link isProgress}. */
  idOfProgress({ requestId, outcome, attempts, upstreamId }: RequestRecord): number | null {
    const row = this.#staged.get(requestId) ?? this.#open.get(requestId);
    const isProgress = outcome === "in_flight" && row?.attempts === attempts.length &&
      row.upstreamId === upstreamId;
    return isProgress ? row.id : null;
  }

  /** Call after a row was written whole. @returns whether it was there before */
  note(id: number, { requestId, outcome, attempts, upstreamId }: RequestRecord): boolean {
    const wasThere = id <= this.#stagedLastId;
    this.#stagedLastId = Math.max(this.#stagedLastId, id);
    if (outcome === "in_flight") this.#staged.set(requestId, { id, attempts: attempts.length, upstreamId });
    else if (this.isOpen(requestId)) this.#staged.set(requestId, null);
    return wasThere;
  }

  committed(): void {
    this.#lastId = this.#stagedLastId;
    for (const [requestId, row] of this.#staged) {
      if (row === null) this.#open.delete(requestId);
      else this.#open.set(requestId, row);
    }
    this.#staged.clear();
  }

  rolledBack(): void {
    this.#stagedLastId = this.#lastId;
    this.#staged.clear();
  }
}
