/**
 * The recording of a server: the queue and its thread, and whether records are being written.
 */
import type { SpendStore } from "../core/spend.ts";
import type { Settings } from "../config/settings.ts";
import { getLog } from "../observe/log.ts";
import type { Registry } from "../store/config/registry.ts";
import { removeDeadMarks, RunningMark } from "../store/database/running_marks.ts";
import { ModelListNotes } from "../store/write/model_list_notes.ts";
import { RecordDeletion } from "../store/write/record_deletion.ts";
import { RecordQueue } from "../store/write/record_queue.ts";
import { SpendRenewal } from "../store/write/spend_renewal.ts";
import { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { WorkerLink } from "../store/write/worker_link.ts";
import { ChoreWatch } from "./chores.ts";
import { systemClock } from "./clock.ts";
import type { DatabaseUsers } from "./database_users.ts";
import { spawnDatabaseWorker } from "./database_worker.ts";
import type { RemoteDatabase } from "./remote_database.ts";
import type { Observers } from "./observers.ts";

export interface Recording {
  /** To be closed. */
  readonly queue: RecordQueue;
  /** What other processes see of the breakers. */
  readonly upstreamStates: UpstreamStateNotes;
  /** What upstreams list. */
  readonly modelLists: ModelListNotes;
  /** Deletes single records. */
  readonly deletion: RecordDeletion;
  /** Where what tokens spend is noted. Leases are to be given back before {@link close}. */
  readonly spend: SpendStore;
  /** Records wait, and none is being written. */
  isStuck(): boolean;
  /** Commits what waits. */
  close(): Promise<void>;
}

/**
 * Starts the writing thread.
 *
 * @param instance goes into `records.instance`
 */
export function startRecording(
  settings: Settings,
  { observers, registry, instance, users, remote }: {
    readonly observers: Observers;
    readonly registry: Registry;
    readonly instance: string;
    /** Who else has the database open. */
    readonly users: DatabaseUsers;
    /** Where records go from the database, which is its journal then; null: they stay. */
    readonly remote: RemoteDatabase | null;
  },
): Recording {
  const { metrics, notifier } = observers;
  const log = getLog("store");
  let isInTrouble = false;
  const link = startThread(settings, instance);
  if (remote !== null) wakeOnCommit(link, remote);
  const upstreamStates = new UpstreamStateNotes(link, (check) => remote?.thread.check(check));
  const modelLists = new ModelListNotes(link, (asked, id) => remote?.thread.modelList(id, asked));
  const mark = keepMark(link, { database: settings.database, instance });
  renewJournals(link, users);
  const chores = new ChoreWatch({ clock: systemClock, observer: metrics, notifier, log });
  link.listen((event) => {
    if (event.type === "chore") chores.report(event);
  });
  const queue = new RecordQueue({
    link,
    observer: metrics,
    clock: systemClock,
    onTrouble: (reason, message) => {
      isInTrouble = true;
      log.error("records are not being written: {message}", { message });
      notifier.raise({ type: "records_dropped", reason });
    },
    onResumed: () => {
      isInTrouble = false;
      log.info("records are being written again");
      notifier.raise({ type: "records_resumed" });
    },
  });
  registry.onChange(({ upstreams }) => {
    const ids = new Set(upstreams.map(({ id }) => id));
    upstreamStates.clear((id) => !ids.has(id));
  });
  // With an empty queue, only the next record can tell whether the trouble is over.
  return {
    queue,
    upstreamStates,
    modelLists,
    deletion: new RecordDeletion({ link, clock: systemClock }),
    spend: remote?.thread ?? new SpendRenewal({ link, clock: systemClock }),
    isStuck: () => isInTrouble && queue.queuedBytes > 0,
    close: async () => {
      await queue.close();
      mark.clear();
    },
  };
}

function startThread(settings: Settings, instance: string): WorkerLink {
  const { database, durability, remoteUrl, keepDays, keepBodiesDays, maxDbSizeBytes, keepIdsDays } = settings;
  const { timeZone } = settings.costs;
  // What PostgreSQL does not have yet is neither deleted nor searched.
  const tasks = remoteUrl === null
    ? { retention: { keepDays, keepBodiesDays, maxDbSizeBytes, keepIdsDays } }
    : { isSearched: false };
  return new WorkerLink({
    spawnWorker: () => spawnDatabaseWorker(new URL("../store/write/worker.ts", import.meta.url), database),
    path: database,
    durability: durability === "full" ? "full" : "normal",
    ...tasks,
    timeZone,
    instance,
  });
}

function wakeOnCommit(link: WorkerLink, remote: RemoteDatabase): void {
  link.listen(({ type }) => {
    if (type === "committed") remote.wake();
  });
}

/**
 * Marks this process as running once its row is in the file (see leftover_journal.ts). By then the thread has closed the rows of
 * the dead, who are known by their marks until then.
 */
function keepMark(
  link: WorkerLink,
  { database, instance }: { readonly database: string; readonly instance: string },
): { clear(): void } {
  let mark: RunningMark | null = null;
  const clear = () => {
    mark?.clear();
    mark = null;
  };
  link.listen(({ type }) => {
    if (type === "anchored") {
      mark ??= RunningMark.set(database, instance);
      removeDeadMarks(database);
    } else if (type === "reopened") clear();
  });
  return { clear };
}

/** When the journal was deleted, everybody opens the database anew. */
function renewJournals(link: WorkerLink, users: DatabaseUsers): void {
  const log = getLog("store");
  link.listen(({ type }) => {
    if (type === "journal_lost") {
      log.error("somebody deleted the database's journal (-wal): what it held was saved, a new one is made");
      void users.detach().then(() => link.sendIfRunning({ type: "detached" }));
    } else if (type === "journal_new") {
      users.attach();
      log.info("the database has a new journal");
    }
  });
}
