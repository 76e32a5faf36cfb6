/**
 * Brings the journal to the disk while records go on being written.
 *
 * Left alone, SQLite syncs its journal (`-wal`) at a checkpoint, megabytes at once, and everybody waits for it. Synced bit
 * by bit beforehand, by a thread of the runtime, there is hardly anything left to wait for then; and a power cut takes the
 * last moments with it instead of all since the last checkpoint.
 *
 * A descriptor of one's own does no harm here: SQLite's locks are on the database and its `-shm`, not on the journal
 * (https://www.sqlite.org/walformat.html).
 */
import type { Clock, TimerId } from "../../core/clock.ts";

/** Commits gather this long, so that a sync is worth its flush of the disk's cache. */
const GATHER_MS = 20;

/** The part of `Deno.FsFile` that is needed. */
export interface SyncedFile {
  /** fdatasync(2). */
  syncData(): Promise<void>;
  close(): void;
}

export interface WalSyncOptions {
  /** Of the database. Its journal is there from the first commit on. */
  readonly path: string;
  readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
  /** Opens the journal of the database at a path; default: the one beside it. */
  readonly open?: (database: string) => SyncedFile;
}

/** One journal; when another takes its place, so must another of these. */
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

/** SQLite follows symbolic links before it names the journal. */
function openWal(database: string): SyncedFile {
  return Deno.openSync(`${Deno.realPathSync(database)}-wal`, { read: true });
}
