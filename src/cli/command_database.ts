/**
 * What a command may ask of its database, be it a SQLite file or PostgreSQL: interfaces only.
 */
import type { ConfigStore, RecordFilter, RecordReader } from "../store/store.ts";

/** A reader that may have to wait for its answers. */
export type EventualReader = {
  [Name in keyof RecordReader]: RecordReader[Name] extends (...asked: infer Asked) => infer Answer
    ? (...asked: Asked) => Answer | Promise<Answer>
    : never;
};

/** Where records may arrive below others that are there already: several servers write them. */
export interface LateRecords {
  /** Numbers of the records after this one that match, in order. */
  idsAfter(
    page: { readonly limit: number; readonly afterId: number; readonly filter?: RecordFilter },
  ): Promise<number[]>;
}

export type CommandReader = EventualReader & Partial<LateRecords>;

export interface ChangeOptions {
  /** The command gives a new database its token itself. */
  readonly isSettingTokens?: boolean;
}

/** One database, open for one command. */
export interface CommandDatabase {
  readonly records: CommandReader;
  /** Upstreams and tokens as they are now, to be read until the database is closed. @throws StoreError */
  config(): Promise<ConfigStore>;
  /**
   * Changes upstreams and tokens; makes the token of a new database before, and says it.
   * @param body may run twice, so it prints nothing
   * @throws StoreError, or what `body` throws
   */
  change<Result>(body: (config: ConfigStore) => Result, options?: ChangeOptions): Promise<Result>;
  /** Differs after every change. @throws StoreError */
  version(): number;
  close(): Promise<void>;
}
