/**
 * Keeps the local copy of upstreams and settings as they are in PostgreSQL, so that a replica uses every edit within a second,
 * and serves on while PostgreSQL is away.
 *
 * Owns when to look: at each notification, and twice a second, because a notification may not come (half-open connections,
 * PgBouncer in transaction mode). Runs in the thread that talks to PostgreSQL.
 */
import type { Clock, TimerId } from "../../../core/clock.ts";
import { CONFIG_CHANNEL } from "../schema.ts";
import type { PgStore } from "../query.ts";
import type { ConfigRows } from "./config_rows.ts";
import type { RemoteConfig } from "./remote_config.ts";

/** Between two looks at the version. */
const LOOK_MS = 500; // docs/tuning.md#postgresql
/**
 * How often everything is read, whatever the version says: a standby that took over may count another change by the same
 * number, triggers can be switched off, and the file of the local copy can be replaced.
 */
const LOAD_MS = 10_000; // docs/tuning.md#postgresql

export interface ConfigSyncOptions {
  readonly remote: Pick<RemoteConfig, "version" | "load">;
  readonly database: Pick<PgStore, "listen">;
  readonly clock: Pick<Clock, "setTimer" | "clearTimer" | "monotonic">;
  /** Makes the local copy hold exactly these rows; may throw, and is then called again. */
  readonly put: (rows: ConfigRows) => void;
  /** The first copy is there; once. */
  readonly onFirst?: () => void;
  /** With each look that was of use. */
  readonly onWell?: () => void;
  /** PostgreSQL, or the local copy, cannot be used; with each look. */
  readonly onTrouble?: (error: unknown) => void;
}

export class ConfigSync {
  readonly #options: ConfigSyncOptions;
  readonly #unlisten: () => void;
  /** Of the local copy; null: not known. */
  #version: number | null = null;
  #loadedAtMs = 0;
  #timer: TimerId | null = null;
  #looking: Promise<void> | null = null;
  /** Somebody asked for a look while one was going on, which may have been too early. */
  #isDueAgain = false;
  #isClosed = false;

  constructor(options: ConfigSyncOptions) {
    this.#options = options;
    this.#unlisten = options.database.listen(CONFIG_CHANNEL, () => void this.look());
    void this.look();
  }

  /** Looks now. Resolves when a look that began after the call has ended; never rejects. */
  look(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    if (this.#looking === null) return this.#looking = this.#lookNow();
    this.#isDueAgain = true;
    return this.#looking.then(() => this.#looking ?? undefined);
  }

  close(): void {
    this.#isClosed = true;
    this.#unlisten();
    if (this.#timer !== null) this.#options.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  async #lookNow(): Promise<void> {
    const { clock, onTrouble, onWell } = this.#options;
    if (this.#timer !== null) clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#isDueAgain = false;
    try {
      await this.#update();
      onWell?.();
    } catch (error) {
      onTrouble?.(error);
    }
    this.#looking = null;
    if (this.#isClosed) return;
    if (this.#isDueAgain) this.#looking = this.#lookNow();
    else this.#timer = clock.setTimer(() => void this.look(), LOOK_MS);
  }

  async #update(): Promise<void> {
    const { remote, put, onFirst, clock } = this.#options;
    const isSame = this.#version !== null && await remote.version() === this.#version;
    const startedAtMs = clock.monotonic();
    if (isSame && startedAtMs - this.#loadedAtMs < LOAD_MS) return;
    const { version, rows } = await remote.load();
    if (this.#isClosed) return;
    put(rows);
    this.#loadedAtMs = startedAtMs;
    const isFirst = this.#version === null;
    this.#version = version;
    if (isFirst) onFirst?.();
  }
}
