/**
 * Keeps a replica's `owned_ids` and those in PostgreSQL the same: sends what its own replies named, and copies what those of
 * others did, so that a conversation goes on at its owner whichever replica is asked.
 *
 * Owns when, how far each direction has come, and that each step is short, because the writing thread waits for it. Loses
 * nothing when PostgreSQL is away: it goes on from where it was.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { OwnedId } from "../../core/types.ts";
import { DAY_MS } from "../../core/units.ts";
import {
  deleteOldOwnedIds,
  NO_HASH,
  type OwnedIdPlace,
  ownedIdsAfter,
  putOwnedIds,
} from "../config/owned_ids.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { putRemoteOwnedIds, remoteOwnedIdsAfter } from "./owned_ids.ts";
import type { PgStore } from "./query.ts";

const ROUND_MS = 1_000; // docs/tuning.md#postgresql
const BATCH_ROWS = 200; // docs/tuning.md#postgresql
/** Of one round and direction. */
const MAX_BATCHES = 25;
/** What is committed late is still found: here by the writing thread, there by another replica. */
const OVERLAP_MS = 60_000; // docs/tuning.md#postgresql
/** A standby that took over may lack what was sent last. */
const RESEND_MS = 60_000;
const CLEAN_MS = 600_000;

const TABLE = `CREATE TABLE IF NOT EXISTS journal_owned_ids (
  id integer PRIMARY KEY CHECK (id = 1), sent_ms integer NOT NULL, copied_ms integer NOT NULL)`;

export interface OwnedIdSyncOptions {
  readonly database: PgStore;
  /** The journal's connection; may throw, and is asked again with the next round. */
  readonly journal: () => DatabaseSync;
  readonly clock: Pick<Clock, "now" | "monotonic" | "setTimer" | "clearTimer">;
  /** null: no limit. */
  readonly keepDays: number | null;
  readonly onTrouble?: (error: unknown) => void;
}

/** How far a direction has come, and what of the overlap is done. */
class Progress {
  seenMs: number;
  #done = new Map<string, number>();

  constructor(seenMs: number) {
    this.seenMs = seenMs;
  }

  /** Those that are not done yet. */
  left(ids: readonly OwnedId[]): OwnedId[] {
    return ids.filter(({ hash, seenMs }) => this.#done.get(hash) !== seenMs);
  }

  did(ids: readonly OwnedId[]): void {
    for (const { hash, seenMs } of ids) this.#done.set(hash, seenMs);
  }

  /** @param fromMs earlier ones are not looked at again */
  forget(fromMs: number): void {
    for (const [hash, seenMs] of this.#done) if (seenMs < fromMs) this.#done.delete(hash);
  }

  forgetAll(): void {
    this.#done.clear();
  }
}

export class OwnedIdSync {
  readonly #options: OwnedIdSyncOptions;
  #db: DatabaseSync | null = null;
  #sent = new Progress(0);
  #copied = new Progress(0);
  #resentAtMs: number;
  #cleanedAtMs = Number.NEGATIVE_INFINITY;
  #timer: TimerId | null = null;
  #isClosed = false;
  /** The journal is let go of; a round that was under way fails then, which is nobody's trouble. */
  #isPaused = false;
  #pauses = 0;

  constructor(options: OwnedIdSyncOptions) {
    this.#options = options;
    this.#resentAtMs = options.clock.monotonic();
  }

  start(): void {
    void this.#loop();
  }

  /** Lets go of the journal, until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
    this.#pauses++;
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Sends what is left, if that is soon done. Never rejects. */
  async close(limitMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#isClosed = true;
    if (this.#timer !== null) clock.clearTimer(this.#timer);
    this.#timer = null;
    if (this.#db === null) return;
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const timer = clock.setTimer(resolve, limitMs);
    await Promise.race([this.#sendLast(), isLate]);
    clock.clearTimer(timer);
  }

  /** Sends and copies once. @throws PgError, StoreError, what SQLite throws */
  async round(): Promise<void> {
    const db = this.#open();
    await this.#send(db);
    await this.#copy(db);
    this.#note(db);
    this.#clean(db);
  }

  async #loop(): Promise<void> {
    const { clock, onTrouble } = this.#options;
    const pauses = this.#pauses;
    try {
      if (!this.#isPaused) await this.round();
    } catch (error) {
      if (!this.#isClosed && pauses === this.#pauses) onTrouble?.(error);
    }
    if (!this.#isClosed) this.#timer = clock.setTimer(() => void this.#loop(), ROUND_MS);
  }

  async #sendLast(): Promise<void> {
    try {
      await this.#send(this.#open());
    } catch {
      // The next start sends it.
    }
  }

  /** The file may be another one than before. */
  #open(): DatabaseSync {
    const db = this.#options.journal();
    if (db === this.#db) return db;
    const row = this.#noted(db);
    this.#sent = new Progress(Number(row?.["sent_ms"] ?? 0));
    this.#copied = new Progress(Number(row?.["copied_ms"] ?? 0));
    this.#db = db;
    return db;
  }

  #noted(db: DatabaseSync) {
    const hasTable = prepared(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
    if (hasTable.get("journal_owned_ids") === undefined) db.exec(TABLE);
    return prepared(db, "SELECT sent_ms, copied_ms FROM journal_owned_ids WHERE id = 1").get();
  }

  async #send(db: DatabaseSync): Promise<void> {
    const { database, clock } = this.#options;
    if (clock.monotonic() - this.#resentAtMs >= RESEND_MS) {
      this.#sent.forgetAll();
      this.#resentAtMs = clock.monotonic();
    }
    // Rows of others may be ahead of this machine's clock.
    const fromMs = Math.min(this.#sent.seenMs, clock.now()) - OVERLAP_MS;
    await this.#walk(this.#sent, fromMs, {
      next: (place) => Promise.resolve(ownedIdsAfter(db, place, BATCH_ROWS)),
      take: (ids) => database.write((query) => putRemoteOwnedIds(query, ids, { isNow: true })),
    });
  }

  async #copy(db: DatabaseSync): Promise<void> {
    const { database } = this.#options;
    await this.#walk(this.#copied, this.#copied.seenMs - OVERLAP_MS, {
      next: (place) => remoteOwnedIdsAfter(database, place, BATCH_ROWS),
      take: (ids) => {
        inTransaction(db, () => putOwnedIds(db, ids));
        // They came from there.
        this.#sent.did(ids);
        return Promise.resolve();
      },
    });
  }

  async #walk(progress: Progress, fromMs: number, { next, take }: {
    readonly next: (place: OwnedIdPlace) => Promise<readonly OwnedId[]>;
    readonly take: (ids: readonly OwnedId[]) => Promise<void>;
  }): Promise<void> {
    let place: OwnedIdPlace = { seenMs: fromMs, hash: NO_HASH };
    progress.forget(fromMs);
    for (let batch = 0; batch < MAX_BATCHES; batch++) {
      const ids = await next(place);
      const left = progress.left(ids);
      if (left.length > 0) await take(left);
      // A round that found nothing new may go on to what is.
      else batch--;
      progress.did(left);
      const last = ids.at(-1);
      if (last === undefined) return;
      place = last;
      progress.seenMs = Math.max(progress.seenMs, last.seenMs);
      if (ids.length < BATCH_ROWS) return;
    }
  }

  /** Every restart would begin from the beginning. */
  #note(db: DatabaseSync): void {
    const row = this.#noted(db);
    const { seenMs: sentMs } = this.#sent;
    const { seenMs: copiedMs } = this.#copied;
    if (row !== undefined && row["sent_ms"] === sentMs && row["copied_ms"] === copiedMs) return;
    prepared(db, "INSERT OR REPLACE INTO journal_owned_ids(id, sent_ms, copied_ms) VALUES (1, ?, ?)")
      .run(Math.round(sentMs), Math.round(copiedMs));
  }

  /** A few a round, until nothing is left; then not for a while. */
  #clean(db: DatabaseSync): void {
    const { clock, keepDays } = this.#options;
    const nowMs = clock.monotonic();
    if (keepDays === null || nowMs - this.#cleanedAtMs < CLEAN_MS) return;
    const count = deleteOldOwnedIds(db, clock.now() - keepDays * DAY_MS, BATCH_ROWS);
    if (count < BATCH_ROWS) this.#cleanedAtMs = nowMs;
  }
}
