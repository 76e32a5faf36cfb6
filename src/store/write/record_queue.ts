/**
 * The queue between the proxy and the writing thread.
 *
 * Owns ordering, the bound in bytes, group commit and retries: a few batches may be at the worker, so that it writes while
 * this thread goes on; what arrives meanwhile waits, and the next batch is all of it. A record leaves the queue only
 * after its commit, or when it is dropped and counted. Never touches SQLite.
 */
import { DEFAULT_BUSY_TIMEOUT_MS } from "../database/connection.ts";
import { setImmediate } from "node:timers";
import { messageOf } from "../../core/errors.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { RequestRecord } from "../../core/types.ts";
import { systemProcesses, thisProcess } from "../database/processes.ts";
import { packRecord } from "./packed_record.ts";
import { type DeletionReason, KEEP_EVERYTHING, type RetentionLimits } from "./retention.ts";
import type { TroubleReason } from "../database/errors.ts";
import type { RecordSink, UpstreamStateNote, WriteResult } from "../store.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** Label of dropped records: `invalid` cannot be stored, `shutdown` was still waiting when time was up. */
export type DropReason = "queue_full" | "invalid" | "shutdown";

/** What the writer measures; the program's observer has all of it. */
export interface WriterMeter {
  recordWritten(count: number): void;
  recordDropped(reason: string, count: number): void;
  recordCommitted(durationMs: number): void;
  recordQueue(bytes: number): void;
  /** By retention. */
  recordsDeleted(reason: DeletionReason, count: number): void;
  /** Records whose texts were deleted by retention. */
  bodiesDeleted(count: number): void;
}

export interface RecordQueueOptions {
  /** Makes the thread that runs write/worker.ts; called again after a crash of the thread. */
  readonly spawnWorker: () => Worker;
  readonly path: string;
  readonly durability: "normal" | "full";
  readonly observer: WriterMeter;
  /** Random per process; goes into `records.instance`. */
  readonly instance: string;
  readonly clock: Clock;
  /** Bound of the queue, in UTF-16 units of text; default 64 Mi. Over it, new records are dropped. */
  readonly maxQueueBytes?: number;
  /** How long {@link RecordQueue.close} tries to commit what waits; default 5000. */
  readonly closeLimitMs?: number;
  /** How long SQLite waits for another program's lock before a batch fails; default 5000. */
  readonly busyTimeoutMs?: number;
  /** Default: everything is kept. */
  readonly retention?: RetentionLimits;
  /** Records wait or are lost; once per episode. */
  readonly onTrouble?: (reason: TroubleReason | DropReason, message: string) => void;
  /** Writing works again; once per episode. */
  readonly onResumed?: () => void;
}

const DEFAULT_MAX_QUEUE_BYTES = 64 * 1024 * 1024;
const DEFAULT_CLOSE_LIMIT_MS = 5_000;
const MAX_BATCH_RECORDS = 512;
/** So many records go to the worker at once; fewer wait for the end of the event loop's turn. */
const FULL_BATCH_RECORDS = 8;
/** Batches at the worker: enough that it need not wait for this thread, and few enough that they grow under load. */
const MAX_SENT_BATCHES = 4;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
/** What a batch shrinks to while the disk is full, so that a little space is enough to go on. */
const MIN_BATCH_BYTES = 64 * 1024;
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 5_000;
/** After this many crashes of the thread in a row, the record that it was given is held to be the cause. */
const MAX_CRASHES = 3;

/** A record that waits, and those who wait for it. */
interface Pending {
  record: RequestRecord;
  bytes: number;
  readonly waiters: ((result: WriteResult) => void)[];
}

interface SentBatch {
  readonly number: number;
  readonly pendings: readonly Pending[];
  readonly requestIds: ReadonlySet<string>;
}

export class RecordQueue implements RecordSink {
  readonly #options: RecordQueueOptions;
  readonly #maxQueueBytes: number;
  /** By request id, oldest first. A new one whenever all have gone: see LinkedList for what a lasting one would cost. */
  #waiting = new Map<string, Pending>();
  /** At the worker, which answers them in this order. */
  #sent: SentBatch[] = [];
  readonly #upstreamStates = new Map<number, UpstreamStateNote>();
  #queuedBytes = 0;
  #batchNumber = 0;
  #worker: Worker | null = null;
  #crashes = 0;
  #backoffMs = MIN_BACKOFF_MS;
  #batchBytes = MAX_BATCH_BYTES;
  #retryTimer: TimerId | null = null;
  #isPumpDue = false;
  #isInTrouble = false;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;
  #onClosed: (() => void) | null = null;

  constructor(options: RecordQueueOptions) {
    this.#options = options;
    this.#maxQueueBytes = options.maxQueueBytes ?? DEFAULT_MAX_QUEUE_BYTES;
    this.#worker = this.#spawn();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
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
        this.#waiting.set(record.requestId, { record, bytes, waiters: [resolve] });
      } else {
        previous.record = record;
        previous.bytes = bytes;
        previous.waiters.push(resolve);
      }
      // Nobody waits for a request that is under way: its row goes with others.
      if (record.outcome === "in_flight") this.#pumpLater();
      else this.#pumpSoon();
    });
  }

  /**
   * Lets other processes (`list`) see that an upstream is not well; they may miss it while the database is in
   * trouble.
   */
  noteUpstreamState(note: UpstreamStateNote): void {
    this.#upstreamStates.set(note.upstreamId, note);
    this.#sendUpstreamStates();
  }

  /** Forgets what was noted of upstreams that are well again, or gone. */
  clearUpstreamStates(shouldForget: (upstreamId: number) => boolean): void {
    const forgotten = [...this.#upstreamStates.keys()].filter(shouldForget);
    if (forgotten.length === 0) return;
    for (const id of forgotten) this.#upstreamStates.delete(id);
    this.#sendUpstreamStates();
  }

  #sendUpstreamStates(): void {
    if (this.#worker === null || this.#closing !== null) return;
    post(this.#worker, { type: "upstream_states", notes: [...this.#upstreamStates.values()] });
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
      const left = [...this.#sent.flatMap(({ pendings }) => pendings), ...this.#waiting.values()];
      const isIdle = left.length === 0;
      this.#sent = [];
      this.#waiting.clear();
      for (const pending of left) this.#queuedBytes -= pending.bytes;
      this.#drop(left, "shutdown");
      // A thread that is stuck in a batch would only answer after it.
      if (isIdle && this.#worker !== null) await Promise.race([this.#workerClosed(this.#worker), timeUp]);
    } finally {
      for (const timer of timers) clock.clearTimer(timer);
      if (this.#retryTimer !== null) clock.clearTimer(this.#retryTimer);
      this.#retryTimer = null;
      this.#worker?.terminate();
      this.#worker = null;
      this.#setQueuedBytes(this.#queuedBytes);
    }
  }

  #idle(): Promise<void> {
    if (this.#sent.length === 0 && this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle = resolve);
  }

  #workerClosed(worker: Worker): Promise<void> {
    return new Promise((resolve) => {
      this.#onClosed = resolve;
      post(worker, { type: "close" });
    });
  }

  #spawn(): Worker {
    const { path, durability, instance, busyTimeoutMs = DEFAULT_BUSY_TIMEOUT_MS } = this.#options;
    const retention = this.#options.retention ?? KEEP_EVERYTHING;
    const worker = this.#options.spawnWorker();
    worker.onmessage = ({ data }: MessageEvent<FromWorker>): void => this.#receive(data);
    worker.onerror = (event: ErrorEvent): void => {
      event.preventDefault();
      if (worker === this.#worker) this.#workerCrashed(event.message);
    };
    post(worker, {
      type: "open",
      path,
      durability,
      instance,
      process: thisProcess(),
      busyTimeoutMs,
      retention,
    });
    if (this.#upstreamStates.size > 0) {
      post(worker, { type: "upstream_states", notes: [...this.#upstreamStates.values()] });
    }
    return worker;
  }

  /** At once when the worker has nothing to do; else what is settled in this turn of the event loop goes together. */
  #pumpSoon(): void {
    if (this.#sent.length === 0 || this.#waiting.size >= FULL_BATCH_RECORDS) this.#pump();
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

  /** Sends what waits, unless the worker has enough to do or a retry is due later. */
  #pump(): void {
    // After trouble, one batch shows whether it is over.
    const maxSent = this.#isInTrouble || this.#crashes > 0 ? 1 : MAX_SENT_BATCHES;
    if (this.#sent.length >= maxSent || this.#retryTimer !== null) return;
    const pendings = this.#takeBatch();
    if (pendings.length === 0) {
      if (this.#sent.length === 0 && this.#waiting.size === 0) this.#onIdle?.();
      return;
    }
    this.#batchNumber++;
    const requestIds = new Set(pendings.map(({ record }) => record.requestId));
    this.#sent.push({ number: this.#batchNumber, pendings, requestIds });
    this.#worker ??= this.#spawn();
    try {
      const records = pendings.map((pending) => packRecord(pending.record));
      post(this.#worker, { type: "batch", batch: this.#batchNumber, records });
    } catch (error) {
      this.#sent.pop();
      this.#isolateUncloneable(pendings, messageOf(error));
    }
  }

  #takeBatch(): Pending[] {
    const pendings: Pending[] = [];
    // A crash names no culprit: records go one by one until one of them gets through.
    const maxRecords = this.#crashes > 0 ? 1 : MAX_BATCH_RECORDS;
    let bytes = 0;
    for (const [requestId, pending] of this.#waiting) {
      // An older version of it must not be tried again after a newer one was written.
      if (this.#sent.some(({ requestIds }) => requestIds.has(requestId))) continue;
      if (
        pendings.length === maxRecords || (pendings.length > 0 && bytes + pending.bytes > this.#batchBytes)
      ) break;
      pendings.push(pending);
      bytes += pending.bytes;
    }
    if (pendings.length === this.#waiting.size) this.#waiting = new Map();
    else for (const { record } of pendings) this.#waiting.delete(record.requestId);
    return pendings;
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case "committed":
        return this.#committed(message);
      case "failed":
        if (message.batch === this.#sent[0]?.number) {
          this.#retryLater(this.#takeSent(), message);
        }
        return;
      case "reopened":
        return this.#trouble(
          "gone",
          "the database file had gone or was replaced; what is at its path now is used",
        );
      case "deleted":
        return this.#options.observer.recordsDeleted(message.reason, message.count);
      case "bodies_deleted":
        return this.#options.observer.bodiesDeleted(message.count);
      case "processes":
        if (this.#worker === null) return;
        return post(this.#worker, {
          type: "processes",
          starts: new Map(message.pids.map((pid) => [pid, systemProcesses.startOf(pid) ?? null])),
        });
      case "closed":
        this.#onClosed?.();
        return;
      default:
        message satisfies never;
    }
  }

  #committed({ batch, durationMs, invalid }: Extract<FromWorker, { type: "committed" }>): void {
    if (batch !== this.#sent[0]?.number) return;
    const pendings = this.#takeSent();
    this.#crashes = 0;
    this.#backoffMs = MIN_BACKOFF_MS;
    this.#batchBytes = Math.min(this.#batchBytes * 2, MAX_BATCH_BYTES);
    const refused = pendings.filter((_, place) => invalid.includes(place));
    const stored = invalid.length === 0 ? pendings : pendings.filter((_, place) => !invalid.includes(place));
    this.#forget(pendings);
    this.#options.observer.recordCommitted(durationMs);
    this.#options.observer.recordWritten(settledCount(stored));
    for (const pending of stored) settle(pending, "committed");
    if (this.#isInTrouble && this.#queuedBytes <= this.#maxQueueBytes / 2) {
      this.#isInTrouble = false;
      this.#options.onResumed?.();
    }
    this.#dropInvalid(refused, "the database refuses a record");
    this.#pump();
  }

  #workerCrashed(message: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#crashes++;
    let pendings: readonly Pending[] = [];
    while (this.#sent.length > 0) pendings = [...pendings, ...this.#takeSent()];
    if (this.#crashes >= MAX_CRASHES && pendings.length === 1) {
      this.#crashes = 0;
      this.#forget(pendings);
      this.#dropInvalid(pendings, `a record stops the writing thread: ${message}`);
      pendings = [];
    }
    this.#retryLater(pendings, { reason: "other", message: `the writing thread stopped: ${message}` });
  }

  /** The batch that the worker has answered, no longer counted as sent. */
  #takeSent(): readonly Pending[] {
    return this.#sent.shift()?.pendings ?? [];
  }

  /** Puts records back in front and tries again after a while. */
  #retryLater(
    pendings: readonly Pending[],
    { reason, message }: { readonly reason: TroubleReason; readonly message: string },
  ): void {
    const newer = this.#waiting;
    this.#waiting = new Map(pendings.map((pending) => [pending.record.requestId, pending]));
    for (const [requestId, pending] of newer) {
      const older = this.#waiting.get(requestId);
      this.#waiting.set(requestId, older === undefined ? pending : this.#fold(older, pending));
    }
    if (reason === "full") this.#batchBytes = Math.max(this.#batchBytes / 2, MIN_BATCH_BYTES);
    this.#trouble(reason, message);
    if (this.#retryTimer !== null) return;
    this.#retryTimer = this.#options.clock.setTimer(() => this.#retryNow(), this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }

  /** One of two versions of a record, with those who wait for either. */
  #fold(older: Pending, newer: Pending): Pending {
    const [kept, left] = isPartialOf(newer.record, older.record) ? [older, newer] : [newer, older];
    kept.waiters.push(...left.waiters);
    this.#setQueuedBytes(this.#queuedBytes - left.bytes);
    return kept;
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
    this.#waiting = new Map([
      ...kept.map((pending) => [pending.record.requestId, pending] as const),
      ...this.#waiting,
    ]);
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

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}

function settle(pending: Pending, result: WriteResult): void {
  for (const resolve of pending.waiters) resolve(result);
}

/** Rows of requests still in flight are not counted: the request's last row is. */
function settledCount(pendings: readonly Pending[]): number {
  return pendings.reduce((count, { record }) => record.outcome === "in_flight" ? count : count + 1, 0);
}

/** A request that is settled is never in flight again; a version that says so comes late. */
function isPartialOf(record: RequestRecord, other: RequestRecord): boolean {
  return record.outcome === "in_flight" && other.outcome !== "in_flight";
}

function isCloneable(record: RequestRecord): boolean {
  try {
    structuredClone(record);
    return true;
  } catch {
    return false;
  }
}

const RECORD_OVERHEAD_BYTES = 1024;
const ATTEMPT_OVERHEAD_BYTES = 256;

/** What a record costs while it waits: the length of its texts of any length, and a flat rate for the rest. */
function sizeOf(record: RequestRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + record.body.length + record.response.length + record.reasoning.length +
    record.path.length + (record.userAgent?.length ?? 0) + (record.error?.length ?? 0);
  for (const call of record.toolCalls) bytes += call.name.length + call.arguments.length;
  return bytes + record.attempts.length * ATTEMPT_OVERHEAD_BYTES;
}
