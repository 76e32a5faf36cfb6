/**
 * The queue between the proxy and the database thread.
 *
 * Owns ordering, the bound in bytes, group commit and retries: a few batches may be at the database thread, so that it
 * writes while this one goes on; records that arrive in the meantime wait and form the next batch. A record leaves the
 * queue only after its commit, or when it is dropped and counted. Never touches SQLite.
 */
import { setImmediate } from "node:timers";
import { messageOf } from "../../core/errors.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { RequestRecord } from "../../core/types.ts";
import type { Observer } from "../../observe/observer.ts";
import { packRecord } from "./packed_record.ts";
import type { TroubleReason } from "../database/errors.ts";
import type { RecordSink, WriteResult } from "../store.ts";
import type { FromWorker } from "./messages.ts";
import {
  isCloneable,
  isPartialOf,
  type Pending,
  settle,
  settledCount,
  sizeOf,
  WaitingRecords,
} from "./waiting_records.ts";
import { SentBatches } from "./sent_batches.ts";
import type { LinkEvent, WorkerLink } from "./worker_link.ts";

/** Label of dropped records: `invalid` cannot be stored, `shutdown` was still waiting when time was up. */
export type DropReason = "queue_full" | "invalid" | "shutdown";

/** What the queue measures. */
type QueueMeter = Pick<
  Observer,
  "recordWritten" | "recordDropped" | "recordCommitted" | "recordQueue" | "recordsDeleted" | "bodiesDeleted"
>;

export interface RecordQueueOptions {
  /** To the database thread; {@link RecordQueue.close} ends it. */
  readonly link: WorkerLink;
  readonly observer: QueueMeter;
  readonly clock: Clock;
  /** Bound of the queue, in UTF-16 units of text; default 64 Mi. Over it, new records are dropped. */
  readonly maxQueueBytes?: number;
  /** How long {@link RecordQueue.close} tries to commit what waits; default 5000. */
  readonly closeLimitMs?: number;
  /** Records wait or are lost; once per episode. */
  readonly onTrouble?: (reason: TroubleReason | DropReason, message: string) => void;
  /** Writing works again; once per episode. */
  readonly onResumed?: () => void;
}

const DEFAULT_MAX_QUEUE_BYTES = 64 * 1024 * 1024; // docs/tuning.md#record-queue
const DEFAULT_CLOSE_LIMIT_MS = 5_000;
const MAX_BATCH_RECORDS = 512; // docs/tuning.md#record-queue
/** A batch this large is sent at once; a smaller one waits for the end of the event loop's turn. */
const FULL_BATCH_RECORDS = 8; // docs/tuning.md#record-queue
/** Batches at the thread: enough to keep it busy, few enough that batches grow under load. */
const MAX_SENT_BATCHES = 4; // docs/tuning.md#record-queue
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
/** Smallest limit of a batch while the disk is full, so that a little free space is enough to go on. */
const MIN_BATCH_BYTES = 64 * 1024; // docs/tuning.md#record-queue
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 5_000; // docs/tuning.md#record-queue
/** After this many crashes of the thread in a row, the record that it was given is assumed to be the cause. */
const MAX_CRASHES = 3; // docs/tuning.md#record-queue

/** As long as the end of a reply waits for the commit of its record. */
const STALLED_AFTER_MS = 250; // docs/tuning.md#relay-and-settlement

export class RecordQueue implements RecordSink {
  readonly #options: RecordQueueOptions;
  readonly #maxQueueBytes: number;
  readonly #link: WorkerLink;
  readonly #waiting = new WaitingRecords();
  readonly #sent = new SentBatches();
  #queuedBytes = 0;
  #batchNumber = 0;
  #crashes = 0;
  #backoffMs = MIN_BACKOFF_MS;
  #batchBytes = MAX_BATCH_BYTES;
  #retryTimer: TimerId | null = null;
  #isPumpDue = false;
  #isInTrouble = false;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: RecordQueueOptions) {
    this.#options = options;
    this.#maxQueueBytes = options.maxQueueBytes ?? DEFAULT_MAX_QUEUE_BYTES;
    this.#link = options.link;
    this.#link.listen((event) => this.#receive(event));
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get isStalled(): boolean {
    return this.#retryTimer !== null ||
      this.#sent.waitedMs(this.#options.clock.monotonic()) >= STALLED_AFTER_MS;
  }

  write(record: RequestRecord): Promise<WriteResult> {
    return new Promise((resolve) => {
      const bytes = sizeOf(record);
      const previous = this.#waiting.get(record.requestId);
      if (previous !== undefined && isPartialOf(record, previous.record)) {
        previous.waiters.push(resolve);
        return;
      }
      const grownBytes = this.#queuedBytes + bytes - (previous?.bytes ?? 0);
      if (this.#closing !== null) {
        return this.#drop([{ record, bytes, waiters: [resolve] }], "shutdown");
      }
      if (grownBytes > this.#maxQueueBytes) {
        this.#drop([{ record, bytes, waiters: [resolve] }], "queue_full");
        return this.#trouble("queue_full", "more records wait for the database than the queue holds");
      }
      this.#setQueuedBytes(grownBytes);
      if (previous === undefined) {
        this.#waiting.add({ record, bytes, waiters: [resolve] });
      } else {
        previous.record = record;
        previous.bytes = bytes;
        previous.waiters.push(resolve);
      }
      // Nobody waits for the row of a request in flight: it goes with others.
      if (record.outcome === "in_flight") this.#pumpLater();
      else this.#pumpSoon();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { clock } = this.#options;
    const limitMs = this.#options.closeLimitMs ?? DEFAULT_CLOSE_LIMIT_MS;
    const timers: TimerId[] = [];
    const timeUp = new Promise<void>((resolve) => timers.push(clock.setTimer(resolve, limitMs)));
    try {
      this.#retryNow();
      await Promise.race([this.#idle(), timeUp]);
      const left = [...this.#sent.takeAll(), ...this.#waiting.takeAll()];
      const isIdle = left.length === 0;
      for (const pending of left) this.#queuedBytes -= pending.bytes;
      this.#drop(left, "shutdown");
      // A thread that is stuck in a batch would only answer after it.
      if (isIdle) await Promise.race([this.#link.closeDatabase(), timeUp]);
    } finally {
      for (const timer of timers) clock.clearTimer(timer);
      if (this.#retryTimer !== null) clock.clearTimer(this.#retryTimer);
      this.#retryTimer = null;
      this.#link.terminate();
      this.#setQueuedBytes(this.#queuedBytes);
    }
  }

  #idle(): Promise<void> {
    if (this.#sent.count === 0 && this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle = resolve);
  }

  /** Sends at once when the thread is idle; otherwise what is settled in this turn of the event loop goes together. */
  #pumpSoon(): void {
    if (this.#sent.count === 0 || this.#waiting.size >= FULL_BATCH_RECORDS) this.#pump();
    else this.#pumpLater();
  }

  #pumpLater(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    setImmediate(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  /** Sends what waits, unless the thread has enough to do or a retry is due later. */
  #pump(): void {
    // After trouble, one batch shows whether it is over.
    const maxSent = this.#isInTrouble || this.#crashes > 0 ? 1 : MAX_SENT_BATCHES;
    if (this.#sent.count >= maxSent || this.#retryTimer !== null) return;
    const pendings = this.#takeBatch();
    if (pendings.length === 0) {
      if (this.#sent.count === 0 && this.#waiting.size === 0) this.#onIdle?.();
      return;
    }
    this.#batchNumber++;
    this.#sent.add({ number: this.#batchNumber, pendings, sentAtMs: this.#options.clock.monotonic() });
    try {
      const records = pendings.map((pending) => packRecord(pending.record));
      this.#link.send({ type: "batch", batch: this.#batchNumber, records });
    } catch (error) {
      this.#sent.removeNewest();
      this.#isolateUncloneable(pendings, messageOf(error));
    }
  }

  #takeBatch(): Pending[] {
    return this.#waiting.take({
      // A crash does not say which record caused it: they go one by one until one gets through.
      maxRecords: this.#crashes > 0 ? 1 : MAX_BATCH_RECORDS,
      maxBytes: this.#batchBytes,
      // An older version of it must not be tried again after a newer one was written.
      isHeld: (requestId) => this.#sent.holds(requestId),
    });
  }

  #receive(event: LinkEvent): void {
    switch (event.type) {
      case "committed":
        return this.#committed(event);
      case "failed":
        if (this.#sent.isNext(event.batch)) this.#retryLater(this.#sent.takeOldest(), event);
        return;
      case "crashed":
        return this.#crashed(event.message);
      case "reopened":
        return this.#trouble(
          "gone",
          "the database file had gone or was replaced; what is at its path now is used",
        );
      case "deleted":
        return this.#options.observer.recordsDeleted(event.reason, event.count);
      case "bodies_deleted":
        return this.#options.observer.bodiesDeleted(event.count);
      case "unopened":
        return this.#trouble(event.reason, event.message);
      case "opened":
        if (this.#queuedBytes === 0) this.#resumed();
        return;
      case "anchored":
      case "journal_lost":
      case "journal_new":
      case "chore":
      case "record_deletion":
      case "spend_renewal":
      case "closed":
        return;
      default:
        event satisfies never;
    }
  }

  #committed(
    { batch, durationMs, invalid, unplaced = [] }: Extract<FromWorker, { type: "committed" }>,
  ): void {
    if (!this.#sent.isNext(batch)) return;
    const pendings = this.#sent.takeOldest();
    this.#crashes = 0;
    this.#backoffMs = MIN_BACKOFF_MS;
    this.#batchBytes = Math.min(this.#batchBytes * 2, MAX_BATCH_BYTES);
    const refused = pendings.filter((_, place) => invalid.includes(place));
    const stored = invalid.length === 0 ? pendings : pendings.filter((_, place) => !invalid.includes(place));
    this.#forget(pendings);
    this.#options.observer.recordCommitted(durationMs);
    this.#options.observer.recordWritten(settledCount(stored));
    const homeless = new Set(unplaced.map((place) => pendings[place]));
    for (const pending of stored) settle(pending, homeless.has(pending) ? "dropped" : "committed");
    if (this.#queuedBytes <= this.#maxQueueBytes / 2) this.#resumed();
    this.#dropInvalid(refused, "the database refuses a record");
    this.#pump();
  }

  #crashed(message: string): void {
    this.#crashes++;
    let pendings = this.#sent.takeAll();
    if (this.#crashes >= MAX_CRASHES && pendings.length === 1) {
      this.#crashes = 0;
      this.#forget(pendings);
      this.#dropInvalid(pendings, `a record stops the writing thread: ${message}`);
      pendings = [];
    }
    this.#retryLater(pendings, { reason: "other", message: `the writing thread stopped: ${message}` });
  }

  /** Puts records back in front and tries again after a while. */
  #retryLater(
    pendings: readonly Pending[],
    { reason, message }: { readonly reason: TroubleReason; readonly message: string },
  ): void {
    this.#setQueuedBytes(this.#queuedBytes - this.#waiting.putBack(pendings));
    if (reason === "full") this.#batchBytes = Math.max(this.#batchBytes / 2, MIN_BATCH_BYTES);
    this.#trouble(reason, message);
    if (this.#retryTimer !== null) return;
    this.#retryTimer = this.#options.clock.setTimer(() => this.#retryNow(), this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }

  #retryNow(): void {
    if (this.#retryTimer !== null) this.#options.clock.clearTimer(this.#retryTimer);
    this.#retryTimer = null;
    this.#pump();
  }

  /** A value that cannot go to another thread: the rest of the batch is sent without it. */
  #isolateUncloneable(pendings: readonly Pending[], message: string): void {
    const refused = pendings.filter((pending) => !isCloneable(pending.record));
    if (refused.length === 0) return this.#retryLater(pendings, { reason: "other", message });
    const kept = pendings.filter((pending) => !refused.includes(pending));
    this.#waiting.putBack(kept);
    this.#forget(refused);
    this.#dropInvalid(refused, message);
    this.#pump();
  }

  #dropInvalid(pendings: readonly Pending[], message: string): void {
    if (pendings.length === 0) return;
    this.#drop(pendings, "invalid");
    this.#trouble("invalid", message);
  }

  #drop(pendings: readonly Pending[], reason: DropReason): void {
    const count = settledCount(pendings);
    if (count > 0) this.#options.observer.recordDropped(reason, count);
    for (const pending of pendings) settle(pending, "dropped");
  }

  #trouble(reason: TroubleReason | DropReason, message: string): void {
    if (this.#isInTrouble) return;
    this.#isInTrouble = true;
    this.#options.onTrouble?.(reason, message);
  }

  #resumed(): void {
    if (!this.#isInTrouble) return;
    this.#isInTrouble = false;
    this.#options.onResumed?.();
  }

  #forget(pendings: readonly Pending[]): void {
    let bytes = this.#queuedBytes;
    for (const pending of pendings) bytes -= pending.bytes;
    this.#setQueuedBytes(bytes);
  }

  #setQueuedBytes(bytes: number): void {
    this.#queuedBytes = bytes;
    this.#options.observer.recordQueue(bytes);
  }
}
