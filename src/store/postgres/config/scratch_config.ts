/**
 * Upstreams and settings in memory, in which a change is tried before it goes to PostgreSQL.
 *
 * So every rule of a change (order, duplicates, rows that come back) is the one of SQLite, written once
 * (../../config/config_store.ts).
 */
import { DatabaseSync } from "node:sqlite";
import type { ListedUpstream } from "../../../core/model_catalog.ts";
import { SqliteConfigStore } from "../../config/config_store.ts";
import { migrate } from "../../database/migrations.ts";
import type { ConfigStore, UpstreamStateNote } from "../../store.ts";
import type { ConfigRows } from "./config_rows.ts";
import { putConfigRows, readConfigRows } from "./local_rows.ts";

/** Tables that number their rows themselves. */
export type NumberedTable = "openai_upstreams" | "config_kvs" | "client_tokens";
/** The highest number that was ever given, by table: numbers are not given twice. */
export type LastIds = Readonly<Record<NumberedTable, number>>;

export interface ScratchOptions {
  readonly rows: ConfigRows;
  readonly lastIds: LastIds;
  /** What running servers noted; default: nothing. */
  readonly states?: readonly UpstreamStateNote[];
  /** What upstreams list; default: nothing. */
  readonly modelLists?: readonly ListedUpstream[];
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** The notes of servers are rows of PostgreSQL's own. */
class ScratchStore extends SqliteConfigStore {
  readonly #states: readonly UpstreamStateNote[];
  readonly #modelLists: readonly ListedUpstream[];

  constructor(
    db: DatabaseSync,
    { states = [], modelLists = [], now }: Pick<ScratchOptions, "states" | "modelLists" | "now">,
  ) {
    super({ db, reopenIfReplaced: () => false, close: () => {} }, { now });
    this.#states = states;
    this.#modelLists = modelLists;
  }

  override listUpstreamStates(): UpstreamStateNote[] {
    return [...this.#states];
  }

  override listModelLists(): ListedUpstream[] {
    return [...this.#modelLists];
  }
}

export class ScratchConfig implements Disposable {
  readonly store: ConfigStore;
  readonly #db: DatabaseSync;

  constructor({ rows, lastIds, ...options }: ScratchOptions) {
    this.#db = new DatabaseSync(":memory:");
    migrate(this.#db);
    // Rows that people typed need not keep to it; PostgreSQL refuses those that must not be.
    this.#db.exec("DROP INDEX IF EXISTS idx_sk_endpoint");
    putConfigRows(this.#db, rows);
    for (const [table, lastId] of Object.entries(lastIds)) this.#continueAfter(table, lastId);
    this.store = new ScratchStore(this.#db, options);
  }

  /** As they are now. */
  rows(): ConfigRows {
    return readConfigRows(this.#db);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #continueAfter(table: string, lastId: number): void {
    const { changes } = this.#db.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?")
      .run(lastId, table);
    if (changes > 0) return;
    this.#db.prepare("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)").run(table, lastId);
  }
}
