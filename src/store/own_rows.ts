/**
 * What a writing session knows of the rows that it writes without asking the database: most records are written once, and
 * need none of what a record needs that replaces another.
 *
 * Told of each write, and then that the transaction was committed or rolled back.
 */
import type { DatabaseSync } from "node:sqlite";

export class OwnRows {
  /** Rows up to it may have been there before; ids only grow. */
  #lastId: number;
  /** Requests whose row says that they are in flight. */
  readonly #open: Set<string>;
  #stagedLastId: number;
  #staged: { readonly requestId: string; readonly isOpen: boolean }[] = [];

  /** Rows in flight may be of a session before this one. */
  constructor(db: DatabaseSync) {
    this.#lastId = this.#stagedLastId = Number(
      db.prepare("SELECT coalesce(max(id), 0) AS id FROM records").get()?.["id"] ?? 0,
    );
    const open = db.prepare("SELECT request_id FROM records WHERE outcome = 'in_flight'").all();
    this.#open = new Set(open.map((row) => String(row["request_id"])));
  }

  /** Its row says that it is in flight, or may do so. */
  isOpen(requestId: string): boolean {
    return this.#open.has(requestId) || this.#staged.some((each) => each.requestId === requestId);
  }

  /** Call after each write. @returns whether the row was there before */
  note(id: number, row: { readonly requestId: string; readonly isOpen: boolean }): boolean {
    const wasThere = id <= this.#stagedLastId;
    this.#stagedLastId = Math.max(this.#stagedLastId, id);
    if (row.isOpen || this.#open.has(row.requestId)) this.#staged.push(row);
    return wasThere;
  }

  committed(): void {
    this.#lastId = this.#stagedLastId;
    for (const { requestId, isOpen } of this.#staged) {
      if (isOpen) this.#open.add(requestId);
      else this.#open.delete(requestId);
    }
    this.#staged = [];
  }

  rolledBack(): void {
    this.#stagedLastId = this.#lastId;
    this.#staged = [];
  }
}
