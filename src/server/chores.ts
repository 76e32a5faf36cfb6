/**
 * Tells of chores of the writing thread that fail: in a metric, once an episode in the log, and by an alert when nothing
 * has been deleted for an hour, because the disk fills up then.
 */
import type { Clock } from "../core/clock.ts";
import type { Notifier } from "../notify/notifier.ts";
import type { Observer } from "../observe/observer.ts";
import type { Chore, ChoreReport } from "../store/write/messages.ts";

const ALERT_AFTER_MS = 3_600_000;
/** Locks are common and short. */
const LOCKED_AFTER_MS = 60_000;

const NAMES: Readonly<Record<Chore, string>> = {
  retention: "old records are not being deleted",
  search_index: "the full-text index is not being kept up to date",
  statistics: "the statistics are not being kept up to date",
};

const ADVICE: Readonly<Record<Chore, string>> = {
  retention: "check the disk and the database: doctor",
  search_index: "search still works, more slowly; make the index anew: doctor --repair-index",
  statistics: "check the disk and the database: doctor",
};

export interface ChoreWatchOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly observer: Pick<Observer, "choreFailed">;
  readonly notifier: Pick<Notifier, "raise">;
  readonly log: {
    readonly warn: (text: string, values: Record<string, unknown>) => void;
    readonly info: (text: string, values: Record<string, unknown>) => void;
  };
}

interface Episode {
  readonly sinceMs: number;
  isLogged: boolean;
  isAlerted: boolean;
}

export class ChoreWatch {
  readonly #options: ChoreWatchOptions;
  readonly #episodes = new Map<Chore, Episode>();

  constructor(options: ChoreWatchOptions) {
    this.#options = options;
  }

  report({ chore, failure }: ChoreReport): void {
    if (failure === null) return this.#recovered(chore);
    const { clock, observer, notifier, log } = this.#options;
    observer.choreFailed(chore);
    const nowMs = clock.monotonic();
    const episode = this.#episodes.get(chore) ?? { sinceMs: nowMs, isLogged: false, isAlerted: false };
    this.#episodes.set(chore, episode);
    const lastedMs = nowMs - episode.sinceMs;
    if (!episode.isLogged && (failure.reason !== "locked" || lastedMs >= LOCKED_AFTER_MS)) {
      episode.isLogged = true;
      log.warn("{what}: {message}; {advice}", {
        what: NAMES[chore],
        message: failure.message,
        advice: ADVICE[chore],
      });
    }
    if (chore === "retention" && !episode.isAlerted && lastedMs >= ALERT_AFTER_MS) {
      episode.isAlerted = true;
      notifier.raise({ type: "retention_failing", reason: failure.message });
    }
  }

  #recovered(chore: Chore): void {
    const episode = this.#episodes.get(chore);
    this.#episodes.delete(chore);
    if (episode?.isLogged) this.#options.log.info("it works again: {chore}", { chore });
    if (episode?.isAlerted) this.#options.notifier.raise({ type: "retention_resumed" });
  }
}
