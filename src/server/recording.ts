/**
 * The recording of a server: the queue and its thread, and whether records are being written.
 */
import type { Settings } from "../config/settings.ts";
import { getLog } from "../observe/log.ts";
import type { Registry } from "../store/config/registry.ts";
import { RecordDeletion } from "../store/write/record_deletion.ts";
import { RecordQueue } from "../store/write/record_queue.ts";
import { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { WorkerLink } from "../store/write/worker_link.ts";
import { systemClock } from "./clock.ts";
import { spawnDatabaseWorker } from "./database_worker.ts";
import type { Observers } from "./observers.ts";

export interface Recording {
  /** To be closed. */
  readonly queue: RecordQueue;
  /** What other processes see of the breakers. */
  readonly upstreamStates: UpstreamStateNotes;
  /** Deletes single records. */
  readonly deletion: RecordDeletion;
  /** Records wait, and none is being written. */
  isStuck(): boolean;
}

/**
 * Starts the writing thread.
 *
 * @param instance goes into `records.instance`
 */
export function startRecording(
  settings: Settings,
  { observers, registry, instance }: {
    readonly observers: Observers;
    readonly registry: Registry;
    readonly instance: string;
  },
): Recording {
  const { metrics, notifier } = observers;
  const log = getLog("store");
  let isInTrouble = false;
  const link = new WorkerLink({
    spawnWorker: () =>
      spawnDatabaseWorker(new URL("../store/write/worker.ts", import.meta.url), settings.database),
    path: settings.database,
    durability: settings.durability,
    retention: {
      keepDays: settings.keepDays,
      keepBodiesDays: settings.keepBodiesDays,
      maxDbSizeBytes: settings.maxDbSizeBytes,
    },
    instance,
  });
  const upstreamStates = new UpstreamStateNotes(link);
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
  const deletion = new RecordDeletion({ link, clock: systemClock });
  return { queue, upstreamStates, deletion, isStuck: () => isInTrouble && queue.queuedBytes > 0 };
}
