/**
 * What a writing session knows of the rows that it writes without asking the database: most records are written once, and
 * need none of what a record needs that replaces another.
 *
 * Told of each write, and then that the transaction was committed or rolled back.
 */
import type { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../core/types.ts";

/** What of a row in flight is known to be stored. */
interface OpenRow {
  readonly attempts: number;
  readonly upstreamId: number | null;
}

/** Of an earlier session: nothing is known. */
const UNKNOWN: OpenRow = { attempts: -1, upstreamId: null };

export class WrittenRows {
  /** Rows up to it may have been there before; ids only grow. */
  #lastId: number;
  /** Requests whose row says that they are in flight. */
  readonly #open: Map<string, OpenRow>;
  #stagedLastId: number;
  /** null: settled. */
  readonly #staged = new Map<string, OpenRow | null>();

  /** Rows in flight may be of a session before this one. */
  constructor(db: DatabaseSync) {
    this.#lastId = this.#stagedLastId = Number(
      db.prepare("SELECT coalesce(max(id), 0) AS id FROM records").get()?.["id"] ?? 0,
    );
    const open = db.prepare("SELECT request_id FROM records WHERE outcome = 'in_flight'").all();
    this.#open = new Map(open.map((row) => [String(row["request_id"]), UNKNOWN]));
  }

  /** Its row says that it is in flight, or may do so. */
  isOpen(requestId: string): boolean {
    return this.#open.has(requestId) || this.#staged.has(requestId);
  }

  /** The record says more of a reply than its row, and nothing else: no further attempt, no other upstream. */
  isProgress({ requestId, outcome, attempts, upstreamId }: RequestRecord): boolean {
    const row = this.#staged.get(requestId) ?? this.#open.get(requestId);
    return outcome === "in_flight" && row?.attempts === attempts.length && row.upstreamId === upstreamId;
  }

  /** Call after a row was written whole. @returns whether it was there before */
  note(id: number, { requestId, outcome, attempts, upstreamId }: RequestRecord): boolean {
    const wasThere = id <= this.#stagedLastId;
    this.#stagedLastId = Math.max(this.#stagedLastId, id);
    if (outcome === "in_flight") this.#staged.set(requestId, { attempts: attempts.length, upstreamId });
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
