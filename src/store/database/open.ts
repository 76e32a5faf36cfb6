/**
 * Opens the database for the parts that read it and change its configuration.
 *
 * Owns how those parts share one connection, and what it takes to read where nothing can be written. Records are written
 * elsewhere, by the writer's own thread.
 */
import type { OwnedId } from "../../core/types.ts";
import { SqliteConfigStore } from "../config/config_store.ts";
import { findOwnedId } from "../config/owned_ids.ts";
import { SqliteRecordReader } from "../read/record_reader.ts";
import { Recost } from "../write/recost.ts";
import { type ConfigStore, type RecordReader, StoreError } from "../store.ts";
import { type Connection, type ConnectionOptions, openConnection } from "./connection.ts";
import { databaseFile } from "./file.ts";
import { inspectDatabase, type Inspection } from "./inspection.ts";
import { checkLeftoverJournal, type LeftoverJournal } from "./leftover_journal.ts";
import { ReopeningConnection, type ReopeningConnectionOptions } from "./reopening_connection.ts";
import { standInForFile } from "./stand_in.ts";
import { openAlone, openStill } from "./still.ts";

/**
 * What the database is opened for.
 *
 * `change`: it is made when it is missing. `read`: nothing is written to a database that is up to date, which may be on
 * read-only media or on a full disk. `serve`: the same, for a long time: the thread never waits for a lock, and on a
 * full disk the configuration is read into memory until there is room.
 */
export type DatabaseAccess = "change" | "read" | "serve";

export interface OpenDatabaseOptions extends Omit<ConnectionOptions, "isReadOnly"> {
  /** Default `change`. An older database is upgraded for all of them. */
  readonly access?: DatabaseAccess;
  /** Whether `change` makes a database that is missing; default true. */
  readonly isCreating?: boolean;
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
  /** Who owns an id; null: nobody is known to. @throws what SQLite throws */
  readonly findOwner: (hash: string) => OwnedId | null;
  /** Costs of stored records, computed again. */
  readonly recost: Recost;
  /** The file was created in this call. */
  readonly isNew: boolean;
  /** This program created the database, now or earlier; false for one of the Go program. */
  readonly isOwn: boolean;
  /** Path of the copy that was made before an upgrade; null when nothing was upgraded. */
  readonly upgradedFrom: string | null;
  /** The disk is full, and only the configuration is there, in memory. */
  readonly isStandIn: boolean;
  /** A journal that belongs, or may belong, to another file; null when there was none. */
  readonly leftoverJournal: LeftoverJournal | null;
  /** How long a statement waits for another program's lock from now on, which blocks the thread. */
  waitForLocks(limitMs: number): void;
  /** Closes the file, and goes on with its configuration in memory. */
  detach(): void;
  /** The file may be opened again; {@link ConfigStore.dataVersion} does. */
  attach(): void;
  /** Checks the whole database. @throws StoreError when it cannot be read */
  inspect(): Inspection;
  close(): void;
}

/**
 * @throws StoreError `missing`, `unreadable`, `foreign`, `newer`, `locked`, `readonly`, `full`; the file is untouched then
 */
export function openDatabase(path: string, options: OpenDatabaseOptions = {}): OpenDatabase {
  const { access = "change", isCreating = access === "change" } = options;
  if (!isCreating) requireThere(path);
  const leftoverJournal = checkLeftoverJournal(databaseFile(path));
  const upgradedFrom = access === "change" ? null : upgradeIfOutdated(path, options);
  const connection = new ReopeningConnection(path, { ...options, ...OPENERS[access] });
  const maxScannedLength = options.maxScannedLength ?? DEFAULT_MAX_SCANNED_LENGTH;
  const records = new SqliteRecordReader(connection, { maxScannedLength });
  const { isNew, isOwn, isStandIn = false } = connection.opened;
  return {
    config: new SqliteConfigStore(connection, { now: options.now ?? Date.now }),
    records,
    recost: new Recost(() => connection.db),
    findOwner: (hash) => findOwnedId(connection.db, hash),
    isNew,
    isOwn,
    isStandIn,
    upgradedFrom: upgradedFrom ?? connection.opened.upgradedFrom,
    leftoverJournal,
    waitForLocks: (limitMs) => connection.db.exec(`PRAGMA busy_timeout = ${Math.round(limitMs)}`),
    detach: () => connection.detach(),
    attach: () => connection.attach(),
    inspect: () => inspectDatabase(connection.db),
    close: () => {
      records.close();
      connection.close();
    },
  };
}

/** A mistyped path makes no database. @throws StoreError `missing` */
function requireThere(path: string): void {
  let problem = `no database at ${path}`;
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile || size > 0) return;
    problem += ", the file is empty";
  } catch (error) {
    // Any other failure is explained where the file is opened.
    if (!(error instanceof Deno.errors.NotFound)) return;
  }
  throw new StoreError("missing", `${problem}; name one with --database`);
}

const OPENERS: Readonly<Record<DatabaseAccess, ReopeningConnectionOptions>> = {
  change: {},
  read: { isReadOnly: true, isTidying: true, isAlone: true, open: openWhereverItIs },
  serve: { isReadOnly: true, busyTimeoutMs: 0, open: openOrStandIn },
};

/** Returns the path of the copy from before; null when nothing was upgraded. */
function upgradeIfOutdated(path: string, options: ConnectionOptions): string | null {
  try {
    openConnection(path, { ...options, isReadOnly: true, isTidying: true }).db.close();
  } catch (error) {
    if (!isStoreError(error, "outdated")) return null;
    try {
      const { db, upgradedFrom } = openConnection(path, options);
      db.close();
      return upgradedFrom;
    } catch (failure) {
      // A copy of what is on read-only media is upgraded instead.
      if (!isStoreError(failure, "readonly")) throw failure;
    }
  }
  return null;
}

/** Opens it to be read, also from read-only media. @throws StoreError */
export function openWhereverItIs(path: string, options: ConnectionOptions): Connection {
  try {
    return openConnection(path, options);
  } catch (error) {
    const open = STILL_OPENERS.find(([codes]) => codes.some((code) => isStoreError(error, code)))?.[1];
    if (open === undefined || !isFile(path)) throw error;
    try {
      return { db: open(databaseFile(path), options), isNew: false, isOwn: false, upgradedFrom: null };
    } catch {
      throw error;
    }
  }
}

const STILL_OPENERS: readonly (readonly [
  codes: readonly StoreError["code"][],
  open: (file: string, options: ConnectionOptions) => Connection["db"],
])[] = [
  [["full"], openAlone],
  [
    ["unreadable", "readonly", "outdated"],
    (file, { busyTimeoutMs = 0 }) => openStill(file, (copy) => openConnection(copy, { busyTimeoutMs }).db),
  ],
];

function openOrStandIn(path: string, options: ConnectionOptions): Connection {
  try {
    return openConnection(path, options);
  } catch (error) {
    const db = isStoreError(error, "full")
      ? standInForFile(databaseFile(path), `Cannot open database "${path}"`)
      : null;
    if (db === null) throw error;
    return { db, isNew: false, isOwn: false, upgradedFrom: null, isStandIn: true };
  }
}

function isStoreError(error: unknown, code: StoreError["code"]): boolean {
  return error instanceof StoreError && error.code === code;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
