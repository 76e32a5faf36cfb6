/**
 * Moves what is in the journal to PostgreSQL.
 *
 * Owns the order of the work, when it is tried again, and that nothing leaves the journal before PostgreSQL has committed it.
 * What it is killed in the middle of, it does again. Whether PostgreSQL is there changes nothing for those who write to the
 * journal.
 */
import type { Clock } from "../../../core/clock.ts";
import { messageOf } from "../../../core/errors.ts";
import { sendApart } from "./isolation.ts";
import type { Backlog, Journal, JournalBatch } from "./journal.ts";
import { OpenRecords } from "./open_records.ts";
import { Pause } from "./pause.ts";
import { type Remote, type RemoteFailure, RemoteTrouble } from "./remote.ts";
import type { JournalVersion, ShippedRecord } from "./shipped_record.ts";
import { StatisticsCopy } from "./statistics_copy.ts";

/** Of one transaction. */
const MAX_BATCH_ROWS = 500; // docs/tuning.md#shipper
const MAX_BATCH_BYTES = 4 * 1024 * 1024; // docs/tuning.md#shipper
/** Without a call, the journal is looked at this often; also how often requests under way are shipped. */
const LOOK_MS = 1_000;
const MIN_RETRY_MS = 250; // docs/tuning.md#shipper
const MAX_RETRY_MS = 5_000; // docs/tuning.md#shipper
/** After this many failures, a record that is a batch by itself lets others go first. */
const MAX_FAILURES_ALONE = 3;
/** After a step of deleting, the journal is left alone for this multiple of its duration, and for a millisecond at least. */
const DELETION_REST = 2; // docs/tuning.md#shipper
/** Rows that were shipped and are still there; beyond this, nothing more is shipped. */
const MAX_SENT = 200_000;
/** How long what was shipped is kept by default: a standby that takes over may lack what was committed last. */
const KEEP_SENT_MS = 10_000;
/** How often the server is asked which one it is. */
const CONFIRM_MS = 1_000;
const FORGET_OUTDATED_MS = 60_000;

/** `journal`: the local database cannot be read or written. */
export type ShipperTrouble = Exclude<RemoteFailure, "poison"> | "journal";

export interface ShipperObserver {
  /** Settled records that PostgreSQL has committed. */
  shipped(requestIds: readonly string[], durationMs: number): void;
  /** A record that PostgreSQL cannot store; it stays in the journal. */
  rejected(requestId: string | null, reason: string): void;
  /** Nothing is shipped for now; called at each attempt. */
  trouble(kind: ShipperTrouble, message: string): void;
  /** After trouble: it goes on. */
  resumed(): void;
}

export interface ShipperOptions {
  readonly journal: Journal;
  readonly remote: Remote;
  readonly clock: Clock;
  readonly observer: ShipperObserver;
  /** How long records are gathered after a call of {@link Shipper.wake}; 0 where replies wait for them. */
  readonly gatherMs: number;
  /**
   * How long a record stays in the journal after it was committed in PostgreSQL; default 10,000. When another server has
   * taken over by then, it is sent again.
   */
  readonly keepSentMs?: number;
}

interface SentVersion extends JournalVersion {
  readonly atMs: number;
}

export class Shipper {
  readonly #options: ShipperOptions;
  readonly #pause: Pause;
  readonly #openRecords: OpenRecords;
  readonly #statistics: StatisticsCopy;
  /** Settled rows up to this one have been looked at in this round. */
  #cursor = 0;
  /** The batch after this row, if it has been read already. */
  #ahead: JournalBatch | null = null;
  #maxRows = MAX_BATCH_ROWS;
  #retryMs = MIN_RETRY_MS;
  #alone: { readonly id: number; readonly failures: number } | null = null;
  /** What was shipped and has not been deleted yet, oldest first. */
  #sent: SentVersion[] = [];
  #server: string | null = null;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #forgotAtMs = Number.NEGATIVE_INFINITY;
  /** The journal took what was written to it last. */
  #isJournalWell = true;
  #isInTrouble = false;
  #isClosing = false;
  #isClosed = false;
  #running: Promise<void> | null = null;

  constructor(options: ShipperOptions) {
    const { journal, remote, clock } = options;
    this.#options = options;
    this.#pause = new Pause(clock);
    this.#openRecords = new OpenRecords({ journal, remote, clock });
    this.#statistics = new StatisticsCopy({ journal, remote, clock });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The journal has new records. */
  wake(): void {
    this.#pause.wake();
  }

  /** What waits, and since when. @throws what SQLite throws */
  backlog(): Backlog {
    return this.#options.journal.backlog();
  }

  /**
   * Ships what is in the journal, tries again for as long as there is time, and closes the journal. What is left is shipped
   * after the next start.
   */
  async close(limitMs: number): Promise<void> {
    const { clock, journal } = this.#options;
    this.#isClosing = true;
    this.#pause.hurry();
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const timer = clock.setTimer(resolve, limitMs);
    await Promise.race([this.#running, isLate]);
    clock.clearTimer(timer);
    this.#isClosed = true;
    this.#pause.finish();
    journal.close();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const result = await this.#attempt();
      if (result === "failed") {
        await this.#pause.rest(this.#retryMs);
        this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
      } else if (result === "idle") {
        if (this.#isClosing) return;
        await this.#pause.untilWork(LOOK_MS);
        if (!this.#isClosing && this.#options.gatherMs > 0) await this.#pause.rest(this.#options.gatherMs);
      }
    }
  }

  /** Never rejects. */
  async #attempt(): Promise<"more" | "idle" | "failed"> {
    try {
      if (this.#options.journal.refresh()) this.#startOver();
      this.#tidy();
      await this.#confirmServer();
      const hasMore = await this.#shipSettled();
      await this.#openRecords.ship();
      if (!hasMore) await this.#statistics.send({ isLast: this.#isClosing });
      this.#recovered();
      return hasMore ? "more" : "idle";
    } catch (error) {
      if (!this.#isClosed) this.#failed(error);
      return "failed";
    }
  }

  /** Another journal: what is known of the old one does not count. */
  #startOver(): void {
    this.#cursor = 0;
    this.#ahead = null;
    this.#sent = [];
    this.#openRecords.startOver();
    this.#statistics.startOver();
  }

  /** Another server may lack what the last one had committed. */
  async #confirmServer(): Promise<void> {
    const { clock, journal, remote } = this.#options;
    if (clock.monotonic() - this.#confirmedAtMs < CONFIRM_MS) return;
    const server = await askServer(remote);
    if (this.#isClosed) return;
    if (this.#server !== null && this.#server !== server) {
      journal.letGo();
      this.#startOver();
    }
    this.#server = server;
    this.#confirmedAtMs = clock.monotonic();
  }

  #tidy(): void {
    const { clock, journal } = this.#options;
    if (clock.monotonic() - this.#forgotAtMs < FORGET_OUTDATED_MS) return;
    journal.forgetOutdated();
    this.#forgotAtMs = clock.monotonic();
  }

  /** One batch; false when there is none. */
  async #shipSettled(): Promise<boolean> {
    const batch = this.#ahead ?? this.#read(this.#cursor);
    this.#ahead = null;
    for (const { reason, ...row } of batch.unfit) this.#reject(row, { reason, requestId: null });
    if (batch.lastId === this.#cursor) {
      this.#cursor = 0;
      await this.#deleteSent();
      return false;
    }
    const sending = this.#send(batch);
    const isFlowing = batch.isFull && this.#maxRows === MAX_BATCH_ROWS;
    const reading = isFlowing ? this.#readAhead(batch.lastId) : Promise.resolve(null);
    const deleting = this.#deleteSent();
    const [, ahead] = await Promise.allSettled([sending, reading, deleting]);
    await sending;
    await deleting;
    this.#ahead = ahead.status === "fulfilled" ? ahead.value : null;
    this.#cursor = batch.lastId;
    return true;
  }

  #read(afterId: number): JournalBatch {
    return this.#options.journal.settled(afterId, { maxRows: this.#maxRows, maxBytes: MAX_BATCH_BYTES });
  }

  /** While PostgreSQL works on one batch, the next is made ready. What changes meanwhile is shipped again. */
  async #readAhead(afterId: number): Promise<JournalBatch> {
    // The first statement of the batch goes out before this thread is taken up with the next.
    await this.#pause.rest(0);
    const batch = this.#read(afterId);
    await this.#options.remote.prepare(batch.records);
    return batch;
  }

  async #send({ records, lastId }: JournalBatch): Promise<void> {
    const { remote, clock, observer } = this.#options;
    const startedAtMs = clock.monotonic();
    const { done, refused, failure } = await sendApart(records, {
      put: (part) => remote.putRecords(part),
      failureOf: (error) => remote.failureOf(error),
    });
    if (this.#isClosed) return;
    const atMs = clock.monotonic();
    for (const { id, version } of done) this.#sent.push({ id, version, atMs });
    this.#options.journal.hold(done);
    if (done.length > 0) {
      observer.shipped(done.map(({ requestId }) => requestId), clock.monotonic() - startedAtMs);
    }
    for (const { item, error } of refused) {
      this.#reject(item, { reason: messageOf(error), requestId: item.requestId });
    }
    if (failure === null) {
      this.#maxRows = Math.min(2 * this.#maxRows, MAX_BATCH_ROWS);
      this.#alone = null;
      return;
    }
    this.#shrink(records, lastId);
    throw failure;
  }

  /** What fails may be too much for the line: less is sent the next time, and in the end others go first. */
  #shrink(records: readonly ShippedRecord[], lastId: number): void {
    this.#maxRows = Math.max(1, Math.floor(records.length / 2));
    const [first] = records;
    if (first === undefined || records.length > 1) return;
    const failures = this.#alone?.id === first.id ? this.#alone.failures + 1 : 1;
    this.#alone = { id: first.id, failures };
    if (failures >= MAX_FAILURES_ALONE) this.#cursor = lastId;
  }

  #reject(row: JournalVersion, { reason, requestId }: { reason: string; requestId: string | null }): void {
    const { journal, observer } = this.#options;
    try {
      journal.reject(row, reason);
      this.#isJournalWell = true;
    } catch (error) {
      // It is found again in the next round; the others must not wait for that.
      this.#isJournalWell = false;
      return this.#report("journal", error);
    }
    observer.rejected(requestId, reason);
  }

  /** Deletes what has been kept for long enough, in steps; what fails is tried again before the next batch. */
  async #deleteSent(): Promise<void> {
    const { journal, clock, keepSentMs = KEEP_SENT_MS } = this.#options;
    const nowMs = clock.monotonic();
    const isKept = ({ atMs }: SentVersion): boolean => nowMs - atMs < keepSentMs;
    const firstKept = this.#sent.findIndex(isKept);
    let due = firstKept < 0 ? this.#sent.length : firstKept;
    try {
      while (due > 0 && !this.#isClosed) {
        const startedAtMs = clock.monotonic();
        const done = journal.remove(this.#sent.slice(0, Math.min(due, MAX_BATCH_ROWS)));
        this.#isJournalWell = true;
        this.#sent.splice(0, done);
        due -= done;
        const tookMs = clock.monotonic() - startedAtMs;
        if (due > 0) await this.#pause.rest(Math.max(1, DELETION_REST * tookMs));
      }
    } catch (error) {
      // What has been shipped is safe, and what comes after it should be, too.
      this.#isJournalWell = false;
      if (this.#sent.length > MAX_SENT) throw error;
      this.#report("journal", error);
    }
  }

  #failed(error: unknown): void {
    this.#statistics.startOver();
    this.#report(error instanceof RemoteTrouble ? error.kind : "journal", error);
  }

  #report(kind: ShipperTrouble, error: unknown): void {
    this.#isInTrouble = true;
    this.#options.observer.trouble(kind, messageOf(error));
  }

  #recovered(): void {
    this.#retryMs = MIN_RETRY_MS;
    if (!this.#isInTrouble || !this.#isJournalWell) return;
    this.#isInTrouble = false;
    this.#options.observer.resumed();
  }
}

async function askServer(remote: Remote): Promise<string> {
  try {
    return await remote.server();
  } catch (error) {
    const kind = remote.failureOf(error);
    throw new RemoteTrouble(kind === "poison" ? "setup" : kind, error);
  }
}
