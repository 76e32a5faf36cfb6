/**
 * Opens the database for the parts that read it and change its configuration.
 *
 * Owns how those parts share one connection. Records are written elsewhere, by the writer's own thread.
 */
import { type ConnectionOptions } from "./connection.ts";
import { SqliteConfigStore } from "../config/config_store.ts";
import { ReopeningConnection } from "./reopening_connection.ts";
import { SqliteRecordReader } from "../read/record_reader.ts";
import type { ConfigStore, RecordReader } from "../store.ts";

export interface OpenDatabaseOptions extends ConnectionOptions {
  /** Milliseconds since the Unix epoch; default the system's clock. */
  readonly now?: () => number;
  /**
   * How much text that is not in the full-text index yet {@link RecordReader.list} may read for one search,
   * in UTF-16 units, a record counting for at least 4 Ki; default 4 Mi. The bound keeps a server responsive
   * while an old database is being indexed; a program that serves nobody may lift it (`Infinity`).
   */
  readonly maxScannedLength?: number;
}

const DEFAULT_MAX_SCANNED_LENGTH = 4 * 1024 * 1024; // docs/tuning.md#store-search-and-statistics

export interface OpenDatabase {
  readonly config: ConfigStore;
  readonly records: RecordReader;
  /** The file was created in this call. */
  readonly isNew: boolean;
  /** This program created the database, now or earlier; false for one of the Go program. */
  readonly isOwn: boolean;
  /** Path of the copy that was made before an upgrade; null when nothing was upgraded. */
  readonly upgradedFrom: string | null;
  close(): void;
}

/**
 * Creates the database when it is missing, upgrades it when it is old.
 * @throws StoreError `unreadable`, `foreign`, `newer`, `locked`, `readonly`, `full`; the file is untouched then
 */
export function openDatabase(path: string, options: OpenDatabaseOptions = {}): OpenDatabase {
  const connection = new ReopeningConnection(path, options);
  const { isNew, isOwn, upgradedFrom } = connection.opened;
  const maxScannedLength = options.maxScannedLength ?? DEFAULT_MAX_SCANNED_LENGTH;
  const records = new SqliteRecordReader(connection, { maxScannedLength });
  return {
    config: new SqliteConfigStore(connection, { now: options.now ?? Date.now }),
    records,
    isNew,
    isOwn,
    upgradedFrom,
    close: () => {
      records.close();
      connection.close();
    },
  };
}
