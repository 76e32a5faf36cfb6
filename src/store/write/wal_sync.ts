/**
 * Syncs the WAL to the disk while records are being written.
 *
 * By itself SQLite syncs the WAL at a checkpoint: megabytes at once, while every write waits. Synced in small parts
 * before that, by a thread of the runtime, little is left to wait for; and a power cut loses the last moments instead of
 * everything since the last checkpoint.
 *
 * A second descriptor does no harm here: SQLite's locks are on the database and its `-shm`, not on the WAL
 * (https://www.sqlite.org/walformat.html).
 */
import type { Clock, TimerId } from "../../core/clock.ts";

/** Commits within this time share one sync. */
const GATHER_MS = 20; // docs/tuning.md#wal-sync

/** The part of `Deno.FsFile` that is needed. */
export interface SyncedFile {
  /** fdatasync(2). */
  syncData(): Promise<void>;
  close(): void;
}

export interface WalSyncOptions {
  /** Of the database. Its WAL exists from the first commit on. */
  readonly path: string;
  readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
  /** Opens the WAL of the database at a path; default: the file beside it. */
  readonly open?: (database: string) => SyncedFile;
}

/** For one WAL file; when it is replaced, make a new one. */
export class WalSync {
  readonly #options: WalSyncOptions;
  #file: SyncedFile | null = null;
  #timer: TimerId | null = null;
  #isSyncing = false;
  #isDirty = false;
  #isClosed = false;

  constructor(options: WalSyncOptions) {
    this.#options = options;
  }

  /** Something has been committed. Returns at once. */
  committed(): void {
    if (this.#isClosed) return;
    this.#isDirty = true;
    if (!this.#isSyncing) this.#timer ??= this.#options.clock.setTimer(() => void this.#sync(), GATHER_MS);
  }

  /** Begins no further sync. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) this.#options.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#file?.close();
    this.#file = null;
  }

  async #sync(): Promise<void> {
    const { path, open = openWal } = this.#options;
    this.#timer = null;
    this.#isSyncing = true;
    this.#isDirty = false;
    try {
      this.#file ??= open(path);
      await this.#file.syncData();
    } catch {
      // SQLite meets the same trouble at its next checkpoint, and reports it.
    }
    this.#isSyncing = false;
    if (this.#isDirty) this.committed();
  }
}

/** SQLite follows symbolic links before it names the WAL. */
function openWal(database: string): SyncedFile {
  return Deno.openSync(`${Deno.realPathSync(database)}-wal`, { read: true });
}
