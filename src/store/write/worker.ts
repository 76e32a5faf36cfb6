/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The thread in which records are written.
 *
 * Owns the message loop and the timers. Never throws: trouble is reported by message.
 */
import { BackgroundTask } from "./background_task.ts";
import { HEARTBEAT_MS } from "../database/instances.ts";
import { WalSync } from "./wal_sync.ts";
import { putUpstreamChecks } from "../config/upstream_checks.ts";
import { putModelList } from "../config/upstream_models.ts";
import { briefMessage, toStoreError, troubleOf } from "../database/errors.ts";
import { unpackRecord } from "./packed_record.ts";
import type { Chore, FromWorker, OpenMessage, ToWorker } from "./messages.ts";
import { StoreError } from "../store_error.ts";
import { WriterSession } from "./session.ts";

/** How often the file of an idle database is checked; that of a busy one is checked at every batch. */
const WATCH_MS = 1_000; // docs/tuning.md#write-worker

/** How often the file is looked at while other parts of the process are asked to close it, before it is opened anew. */
const MAX_LOST_LOOKS = 5;

/** Of what tokens have spent. */
const BEATS_PER_MERGE = 180;

/** Without a batch for this long, the thread has time for background tasks. */
const IDLE_AFTER_MS = 100; // docs/tuning.md#write-worker

let settings: OpenMessage | null = null;
let session: WriterSession | null = null;
let walSync: WalSync | null = null;
let beatTimer: ReturnType<typeof setInterval> | undefined;
let watchTimer: ReturnType<typeof setInterval> | undefined;
/** This process's row is in the file. */
let isAnchored = false;
/** Looks at the file since its journal was deleted. */
let lostLooks = 0;
const failingChores = new Set<Chore>();
let beatsToMerge = BEATS_PER_MERGE;
let isClosed = false;
let lastBatchAtMs = Number.NEGATIVE_INFINITY;

const clock = {
  monotonic: () => performance.now(),
  setTimer: (callback: () => void, delayMs: number) => ({ id: setTimeout(callback, delayMs) }),
  clearTimer: (timer: { readonly id?: ReturnType<typeof setTimeout> }) => clearTimeout(timer.id),
};
const isBusy = () => performance.now() - lastBatchAtMs < IDLE_AFTER_MS;

/** The full-text index and the statistics, which may lag behind the records. */
const catchingUp = new BackgroundTask({ clock, isBusy, step: catchUp, rest: { busy: 49, idle: 1 } });
/** Runs under load, too, so that the limits of the database hold. */
const retention = new BackgroundTask({ clock, isBusy, step: retain, rest: { busy: 19, idle: 1 } });

/** Opens when needed: a database that was missing at the start is used once it exists. */
function currentSession(): WriterSession {
  if (session !== null) return session;
  if (settings === null) throw new Error("a batch came before the message that opens the database");
  session = new WriterSession(settings);
  reply({ type: "opened" });
  beat();
  return session;
}

function reply(message: FromWorker): void {
  self.postMessage(message);
}

/** Heartbeats and checks of the file fail while the database is in trouble; batches report it. */
function quietly(action: () => void): void {
  try {
    action();
  } catch {
    return;
  }
}

function beat(): void {
  quietly(() => {
    session?.beat();
    anchor();
  });
  mergeSpend();
  beginTasks(0);
}

function anchor(): void {
  if (isAnchored || !session?.anchor()) return;
  isAnchored = true;
  reply({ type: "anchored" });
}

function watch(): void {
  if (session === null) return open();
  quietly(() => {
    if (session?.reopenIfReplaced()) reopened();
    else if (session?.hasLostJournal()) journalLost(session);
    session?.reap();
  });
}

/** What could not be opened at the start is tried again with every look, and with every batch. */
function open(): void {
  try {
    currentSession();
  } catch (error) {
    reply({ type: "unopened", reason: troubleOf(error), message: briefMessage(error) });
  }
}

/** The file that is at the path now has its own WAL. */
function reopened(): void {
  isAnchored = false;
  closeWal();
  reply({ type: "reopened" });
  quietly(anchor);
}

/** Whoever else has the database open is asked to close it, for a limited time. */
function journalLost(lost: WriterSession): void {
  lost.saveJournal();
  if (++lostLooks === 1) reply({ type: "journal_lost" });
  else if (lostLooks > MAX_LOST_LOOKS) renewJournal();
}

function renewJournal(): void {
  if (lostLooks === 0) return;
  quietly(() => {
    session?.reopen();
    lostLooks = 0;
    closeWal();
    reply({ type: "journal_new" });
    beat();
  });
}

/** With full durability, SQLite syncs at every commit. */
function syncWal(): void {
  if (settings === null || settings.durability === "full") return;
  walSync ??= new WalSync({ path: settings.path, clock });
  walSync.committed();
}

function closeWal(): void {
  walSync?.close();
  walSync = null;
}

function beginTasks(delayMs: number): void {
  catchingUp.begin(delayMs);
  retention.begin(delayMs);
}

/** Each does one step and returns whether there may be more. */
const CATCH_UP_STEPS: (() => boolean)[] = [count, index];

/** One step of one of them; the other comes first the next time. Returns whether there may be more. */
function catchUp(): boolean {
  const place = CATCH_UP_STEPS.findIndex((step) => step());
  if (place >= 0) CATCH_UP_STEPS.push(...CATCH_UP_STEPS.splice(place, 1));
  return place >= 0;
}

/** One step; returns whether there may be more. A failure, and the first success after it, are reported. */
function doChore(chore: Chore, step: () => boolean): boolean {
  try {
    const hasMore = step();
    if (failingChores.delete(chore)) reply({ type: "chore", chore, failure: null });
    return hasMore;
  } catch (error) {
    failingChores.add(chore);
    reply({
      type: "chore",
      chore,
      failure: { reason: troubleOf(error), message: briefMessage(error) },
    });
    return false;
  }
}

function count(): boolean {
  return doChore("statistics", () => session?.count() ?? false);
}

function index(): boolean {
  return doChore("search_index", () => settings?.isSearched === true && (session?.index() ?? false));
}

function retain(): boolean {
  return doChore("retention", () => {
    const step = session?.retain() ?? { type: "rest" };
    if (step.type === "deleted" || step.type === "bodies_deleted") reply(step);
    return step.type !== "rest";
  });
}

function writeBatch({ batch, records }: Extract<ToWorker, { type: "batch" }>): void {
  const startedAt = performance.now();
  try {
    const { invalid, unplaced, isReopened } = currentSession().write(records.map(unpackRecord));
    if (isReopened) reopened();
    reply({ type: "committed", batch, durationMs: performance.now() - startedAt, invalid, unplaced });
    syncWal();
  } catch (error) {
    reply({ type: "failed", batch, reason: troubleOf(error), message: briefMessage(error) });
  }
  lastBatchAtMs = performance.now();
  beginTasks(IDLE_AFTER_MS / 2);
}

function deleteRecord({ call, id }: Extract<ToWorker, { type: "delete_record" }>): void {
  try {
    reply({ type: "record_deletion", call, result: currentSession().deleteRecord(id), message: "" });
  } catch (error) {
    const { message } = toStoreError(error, "Cannot delete the record");
    reply({ type: "record_deletion", call, result: "failed", message });
  }
  beginTasks(IDLE_AFTER_MS / 2);
}

function renewSpend({ call, requests }: Extract<ToWorker, { type: "renew_spend" }>): void {
  try {
    // What was closed must not be opened again.
    if (isClosed) throw new StoreError("unreadable", "The server is stopping");
    const { answers, isReopened } = currentSession().renewSpend(requests);
    if (isReopened) reopened();
    reply({ type: "spend_renewal", call, answers, failure: null });
    syncWal();
  } catch (error) {
    const { code, message } = toStoreError(error, "Cannot note what was spent");
    reply({ type: "spend_renewal", call, answers: null, failure: { code, message } });
  }
}

/** A quarter of an hour after a start at the earliest: rows wait for days. */
function mergeSpend(): void {
  if (--beatsToMerge > 0) return;
  beatsToMerge = BEATS_PER_MERGE;
  quietly(() => session?.mergeSpend());
}

function close(): void {
  isClosed = true;
  clearInterval(beatTimer);
  clearInterval(watchTimer);
  catchingUp.stop();
  retention.stop();
  closeWal();
  quietly(() => session?.close());
  session = null;
  reply({ type: "closed" });
}

self.onmessage = ({ data }: MessageEvent<ToWorker>): void => {
  switch (data.type) {
    case "open":
      settings = data;
      open();
      beatTimer = setInterval(beat, HEARTBEAT_MS);
      watchTimer = setInterval(watch, WATCH_MS);
      return;
    case "batch":
      return writeBatch(data);
    case "upstream_states":
      return quietly(() => session?.noteUpstreamStates(data.notes));
    case "upstream_checks":
      return quietly(() => session?.note((db) => putUpstreamChecks(db, data.checks, Date.now())));
    case "model_list":
      return quietly(() => session?.note((db) => putModelList(db, data.upstreamId, data.asked)));
    case "detached":
      return renewJournal();
    case "delete_record":
      return deleteRecord(data);
    case "renew_spend":
      return renewSpend(data);
    case "close":
      return close();
    default:
      data satisfies never;
  }
};
