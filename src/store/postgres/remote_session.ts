/**
 * All that a replica has to do with PostgreSQL, in a thread of its own: upstreams and settings come from there into the
 * journal, records go from the journal there, and the replica says that it lives.
 *
 * Owns the order in which these parts begin, what is done from time to time, and their end. Knows no messages.
 */
import type { Clock, TimerId } from "../../core/clock.ts";
import { dayIn } from "../../core/days.ts";
import { messageOf } from "../../core/errors.ts";
import type { ListedUpstream } from "../../core/model_catalog.ts";
import type { ConfigStore } from "../store.ts";
import { Tokenizer } from "../search/tokenizer.ts";
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import { CheckNotes } from "./check_notes.ts";
import { ConfigSync } from "./config/config_sync.ts";
import { putConfigRows } from "./config/local_rows.ts";
import { RemoteConfig } from "./config/remote_config.ts";
import { classify } from "./errors.ts";
import { migrate } from "./migration.ts";
import { deleteOldStatistics } from "./old_statistics.ts";
import { ModelNotes } from "./model_notes.ts";
import { deleteOldRemoteOwnedIds } from "./owned_ids.ts";
import { OwnedIdSync } from "./owned_id_sync.ts";
import { DAY_MS, daysAhead, makePartitions } from "./partitions.ts";
import type { PgStore } from "./query.ts";
import { RemoteQueries } from "./remote_queries.ts";
import { BEAT_MS, Replicas } from "./replicas.ts";
import { cautiousNow, keepLimits, type RetentionLimits } from "./retention.ts";
import { type ForeignState, type OwnState, SharedStates } from "./shared_states.ts";
import { type Backlog, Journal } from "./shipper/journal.ts";
import { PgRemote } from "./shipper/pg_remote.ts";
import { chargeDeadLeases, mergeRemoteSpend } from "./spend/dead_leases.ts";
import { RemoteLeases } from "./spend/remote_leases.ts";
import { type SessionPart, Troubles } from "./troubles.ts";
import { Shipper, type ShipperTrouble } from "./shipper/shipper.ts";

/** How long a statement waits for the writing thread's lock on the journal. */
const JOURNAL_TIMEOUT_MS = 1_000;
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;
/** Partitions are made a week ahead. */
const PARTITIONS_MS = 3_600_000;
const RETENTION_MS = 600_000;
/** Of what tokens have spent. */
const MERGE_MS = 3_600_000;
/** Of the close, for what replies named last. */
const OWNED_IDS_LIMIT_MS = 500;

export interface RemoteEvents {
  /** The journal has its first copy of upstreams and settings; once. */
  copied(): void;
  /** The journal has other upstreams or settings than before. */
  changed(): void;
  shipped(requestIds: readonly string[], durationMs: number): void;
  rejected(requestId: string | null, reason: string): void;
  /** PostgreSQL, or the journal, cannot be used for now; with each attempt. */
  trouble(kind: ShipperTrouble, message: string): void;
  resumed(): void;
  /** All that other replicas have found of upstreams, when it has changed. */
  foreignStates(states: readonly ForeignState[]): void;
  /** Days that were deleted. */
  dropped(partitions: readonly string[]): void;
}

export interface RemoteSessionOptions {
  readonly database: PgStore;
  /** The same by a connection of its own: a request of a client waits for it. */
  readonly spendDatabase: PgStore;
  /** Path of the journal, which exists. */
  readonly journal: string;
  /** Random per process; `instance` of its records. */
  readonly instance: string;
  readonly version: string;
  /** For people. */
  readonly listen: string;
  readonly retention: RetentionLimits;
  /** Where the days of budgets begin. */
  readonly timeZone: string;
  /** See {@link ShipperOptions.gatherMs}. */
  readonly gatherMs: number;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly events: RemoteEvents;
}

/** What is done from time to time, and when it was done last. */
interface Chore {
  readonly everyMs: number;
  readonly run: () => Promise<unknown>;
  doneAtMs: number;
  isRunning: boolean;
  isWell: boolean;
}

function chore(everyMs: number, run: () => Promise<unknown>): Chore {
  return { everyMs, run, doneAtMs: Number.NEGATIVE_INFINITY, isRunning: false, isWell: true };
}

export class RemoteSession {
  /** What the page asks. */
  readonly queries: RemoteQueries;
  /** What tokens spend. */
  readonly leases: RemoteLeases;
  readonly #options: RemoteSessionOptions;
  readonly #journal: Journal;
  readonly #config: RemoteConfig;
  readonly #replicas: Replicas;
  readonly #states: SharedStates;
  readonly #shipper: Shipper;
  readonly #ownedIds: OwnedIdSync;
  readonly #checks: CheckNotes;
  readonly #models: ModelNotes;
  readonly #noting: Chore;
  readonly #chores: readonly Chore[];
  readonly #troubles: Troubles;
  #sync: ConfigSync | null = null;
  #timer: TimerId | null = null;
  #retryMs = MIN_RETRY_MS;
  #isClosed = false;

  /** @throws StoreError when the journal cannot be opened */
  constructor(options: RemoteSessionOptions) {
    const { database, clock, events } = options;
    this.#options = options;
    this.#troubles = new Troubles(events);
    const now = () => clock.now();
    const dayOf = dayIn(options.timeZone);
    this.#journal = new Journal(options.journal, {
      busyTimeoutMs: JOURNAL_TIMEOUT_MS,
      newId: options.newId,
      now,
    });
    this.#config = new RemoteConfig(database, now);
    this.#replicas = new Replicas({ database, id: options.instance, journal: this.#journal.id });
    this.queries = new RemoteQueries({ database, replicas: this.#replicas, journal: this.#journal, now });
    this.#states = new SharedStates({
      ...{ database, clock, instance: options.instance },
      onForeign: (states) => events.foreignStates(states),
      onTrouble: (error) => this.#report("chores", error),
    });
    this.#shipper = new Shipper({
      journal: this.#journal,
      remote: new PgRemote(database, { tokenizer: new Tokenizer(), clock }),
      clock,
      observer: {
        shipped: (requestIds, durationMs) => events.shipped(requestIds, durationMs),
        rejected: (requestId, reason) => events.rejected(requestId, reason),
        trouble: (kind, message) => this.#troubles.report("records", kind, message),
        resumed: () => this.#troubles.well("records"),
      },
      gatherMs: options.gatherMs,
    });
    this.#ownedIds = new OwnedIdSync({
      ...{ database, clock, keepDays: options.retention.keepIdsDays ?? null },
      journal: () => this.#journal.db,
      onTrouble: (error) => this.#report("chores", error),
    });
    this.leases = new RemoteLeases(options.spendDatabase, options.instance);
    this.#checks = new CheckNotes(database);
    this.#models = new ModelNotes(database);
    this.#noting = chore(BEAT_MS, () => this.#checks.flush());
    this.#chores = [
      chore(PARTITIONS_MS, () => this.#makePartitions()),
      chore(BEAT_MS, () => this.#beat()),
      this.#noting,
      chore(BEAT_MS, () => this.#models.flush()),
      chore(BEAT_MS, () => chargeDeadLeases(database, { source: options.instance, dayOf })),
      chore(MERGE_MS, () => mergeRemoteSpend(database)),
      chore(RETENTION_MS, () => this.#keepLimits()),
    ];
  }

  /** Begins, as soon as PostgreSQL can be reached. */
  start(): void {
    void this.#begin();
  }

  /** The journal has new records. */
  wake(): void {
    this.#shipper.wake();
  }

  /** All that this replica has found of upstreams. */
  states(states: readonly OwnState[]): void {
    this.#states.put(states);
  }

  /** An upstream has answered: others see it at once, or with a later beat. */
  check(check: UpstreamCheck): void {
    this.#checks.add(check);
    if (this.#sync === null || this.#isClosed) return;
    this.#noting.doneAtMs = Number.NEGATIVE_INFINITY;
    void this.#doIfDue(this.#noting);
  }

  /** What an upstream lists; null: it is gone. Written with a later beat. */
  modelList(upstreamId: number, asked: ListedUpstream | null): void {
    this.#models.add(upstreamId, asked);
  }

  /** Lets go of the journal, until {@link resume}. */
  release(): void {
    this.#ownedIds.pause();
    this.#journal.release();
  }

  resume(): void {
    this.#journal.resume();
    this.#ownedIds.resume();
    this.#shipper.wake();
  }

  /** What waits in the journal. @throws what SQLite throws */
  backlog(): Backlog {
    return this.#shipper.backlog();
  }

  /**
   * Changes upstreams and settings; the journal has the change when this resolves.
   * @throws what `body` throws, StoreError, PgError
   */
  async change<Result>(body: (store: ConfigStore) => Result): Promise<Result> {
    const { result } = await this.#config.change(body);
    await this.#sync?.look();
    return result;
  }

  /** Ships what waits, for as long as there is time, and ends all connections. */
  async close(limitMs: number): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock, database, spendDatabase } = this.#options;
    if (this.#timer !== null) clock.clearTimer(this.#timer);
    this.#sync?.close();
    this.#states.close();
    const endMs = clock.monotonic() + limitMs;
    await this.#ownedIds.close(Math.min(limitMs, OWNED_IDS_LIMIT_MS));
    await this.#shipper.close(Math.max(0, endMs - clock.monotonic()));
    this.queries.close();
    await this.#leave(Math.max(0, endMs - clock.monotonic()));
    await Promise.all([database.close(), spendDatabase.close()]);
  }

  async #begin(): Promise<void> {
    const { database, clock } = this.#options;
    try {
      await migrate(database);
      await this.#makePartitions();
    } catch (error) {
      if (this.#isClosed) return;
      this.#report("start", error);
      this.#timer = clock.setTimer(() => void this.#begin(), this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
      return;
    }
    if (this.#isClosed) return;
    this.#troubles.well("start");
    this.#retryRejected();
    this.#sync = new ConfigSync({
      remote: { version: () => this.#states.look(), load: () => this.#config.load() },
      database,
      clock,
      put: (rows) => {
        if (putConfigRows(this.#journal.db, rows)) this.#options.events.changed();
      },
      onFirst: () => this.#options.events.copied(),
      onWell: () => this.#troubles.well("configuration"),
      onTrouble: (error) => this.#report("configuration", error),
    });
    this.#shipper.start();
    this.#ownedIds.start();
    this.#doChores();
  }

  /** Another version of this program, or of the schema, may be able to store what was refused. */
  #retryRejected(): void {
    try {
      this.#journal.retryRejected();
    } catch (error) {
      this.#report("chores", error);
    }
  }

  /** Each by itself: what waits for others' transactions, as the dropping of a day does, must not hold up the beats. */
  #doChores(): void {
    if (this.#isClosed) return;
    for (const chore of this.#chores) void this.#doIfDue(chore);
    this.#timer = this.#options.clock.setTimer(() => this.#doChores(), BEAT_MS);
  }

  /** Never rejects. */
  async #doIfDue(chore: Chore): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    if (chore.isRunning || nowMs - chore.doneAtMs < chore.everyMs) return;
    chore.isRunning = true;
    try {
      await chore.run();
      chore.doneAtMs = nowMs;
      chore.isWell = true;
    } catch (error) {
      chore.isWell = false;
      this.#report("chores", error);
    }
    chore.isRunning = false;
    if (this.#chores.every(({ isWell }) => isWell)) this.#troubles.well("chores");
  }

  async #makePartitions(): Promise<void> {
    const { database, clock } = this.#options;
    await makePartitions(database, { days: daysAhead(clock.now()), shouldWait: false });
  }

  async #beat(): Promise<void> {
    const { version, listen, clock } = this.#options;
    const { waiting, oldestMs } = this.#journal.backlog();
    const lagMs = oldestMs === null ? null : Math.max(0, clock.now() - oldestMs);
    await this.#replicas.beat({ version, listen, waiting, lagMs });
  }

  async #keepLimits(): Promise<void> {
    const { database, retention, clock, events } = this.#options;
    const nowMs = await cautiousNow(database, clock.now());
    const dropped = await keepLimits(database, retention, nowMs);
    await deleteOldStatistics(database, nowMs);
    const { keepIdsDays = null } = retention;
    if (keepIdsDays !== null) await deleteOldRemoteOwnedIds(database, nowMs - keepIdsDays * DAY_MS);
    if (dropped.length > 0) events.dropped(dropped);
  }

  /** Others would find out by themselves. */
  async #leave(limitMs: number): Promise<void> {
    const { clock } = this.#options;
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const timer = clock.setTimer(resolve, limitMs);
    await Promise.race([this.#replicas.leave().catch(() => {}), isLate]);
    clock.clearTimer(timer);
  }

  #report(part: SessionPart, error: unknown): void {
    if (this.#isClosed) return;
    const kind = classify(error);
    this.#troubles.report(part, kind === "poison" ? "setup" : kind, messageOf(error));
  }
}
