/**
 * A small full-text index in memory, with the tokenizer of the one in the database.
 *
 * Owns two questions: which words FTS5 sees in a text, and which of a few records match. It exists so that
 * records that are not indexed yet are matched by the same rules as those that are.
 */
import { DatabaseSync } from "node:sqlite";
import type { SearchText } from "./text.ts";
import { prepared } from "../database/statements.ts";

export class MemoryIndex {
  readonly #db = new DatabaseSync(":memory:");

  constructor() {
    this.#db.exec(`
      CREATE VIRTUAL TABLE scratch USING fts5(
        request, reply, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
      );
      CREATE VIRTUAL TABLE scratch_words USING fts5vocab(scratch, instance);
    `);
  }

  /** The words of a text, in order, folded as the index holds them. */
  wordsOf(text: string): string[] {
    this.#clear();
    this.add(1, { request: text, reply: "" });
    const rows = prepared(this.#db, "SELECT term FROM scratch_words ORDER BY offset").all();
    this.#clear();
    return rows.map((row) => String(row["term"]));
  }

  add(id: number, { request, reply }: SearchText): void {
    prepared(this.#db, "INSERT INTO scratch(rowid, request, reply) VALUES (?, ?, ?)").run(id, request, reply);
  }

  /** Ids of the added records that match an FTS5 expression; forgets them all. */
  takeMatching(expression: string): number[] {
    const rows = prepared(this.#db, "SELECT rowid AS id FROM scratch WHERE scratch MATCH ?").all(expression);
    this.#clear();
    return rows.map((row) => Number(row["id"]));
  }

  close(): void {
    this.#db.close();
  }

  #clear(): void {
    this.#db.exec("INSERT INTO scratch(scratch) VALUES ('delete-all')");
  }
}
