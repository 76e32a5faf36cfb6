/**
 * The PostgreSQL database of a server: its thread, and how it does.
 *
 * Owns what is known of it at the moment. Who is told of changes: watch_remote.ts.
 */
import type { Settings } from "../config/settings.ts";
import { VERSION } from "../config/version.ts";
import { addressText } from "../config/settings.ts";
import type { RecordQueries } from "../store/read/messages.ts";
import type { PgTarget } from "../store/postgres/target.ts";
import type { Backlog } from "../store/postgres/shipper/journal.ts";
import { ShippedWaits } from "../store/postgres/shipper/shipped_waits.ts";
import { systemClock } from "./clock.ts";
import { spawnRemoteWorker } from "./database_worker.ts";
import { type RemoteEvent, RemoteThread } from "./remote_thread.ts";

/** How long records are gathered, where no reply waits for PostgreSQL. */
const GATHER_MS = 100; // docs/tuning.md#postgresql

/** For people: in a cluster all replicas listen on the same port. */
function placeOf(listen: Settings["listen"]): string {
  return `${Deno.hostname()} ${addressText(listen)}`;
}

/** A shorter password would be masked wherever its letters occur. */
const MIN_SECRET_LENGTH = 8;

export type RemoteState =
  /** Nothing has come of it yet. */
  | { readonly type: "connecting" }
  | { readonly type: "up" }
  | {
    readonly type: "down";
    readonly sinceMs: number;
    readonly message: string;
    /** It goes on by itself, once the cause is gone; false: somebody has to do something. */
    readonly isPassing: boolean;
  };

/** Asks as the reading thread is asked. */
export interface RecordAnswers {
  ask<Name extends keyof RecordQueries>(
    name: Name,
    argument: Parameters<RecordQueries[Name]>[0],
  ): Promise<ReturnType<RecordQueries[Name]>>;
}

export interface RemoteDatabaseOptions {
  readonly target: PgTarget;
  readonly settings: Settings;
  /** Random per process. */
  readonly instance: string;
}

export class RemoteDatabase implements RecordAnswers {
  readonly instance: string;
  /** Its URL without anything secret. */
  readonly shownText: string;
  /** What must never be shown. */
  readonly secrets: readonly string[];
  readonly thread: RemoteThread;
  /** Of records that are in the journal already. */
  readonly waits = new ShippedWaits();
  /** Resolves when the journal has a first copy of upstreams and settings. */
  readonly firstCopy: Promise<void>;
  readonly #listeners: ((event: RemoteEvent) => void)[] = [];
  #state: RemoteState = { type: "connecting" };
  readonly #gatherMs: number;
  #backlog: Backlog | null = null;
  #wokenAtMs = Number.NEGATIVE_INFINITY;
  #onCopied: () => void;

  /** The journal must exist. */
  constructor({ target, settings, instance }: RemoteDatabaseOptions) {
    const { database: journal, listen, durability } = settings;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.instance = instance;
    this.shownText = target.shownText;
    this.secrets = [
      ...new Set(
        target.hosts.map(({ password }) => password ?? "").filter((each) => each.length >= MIN_SECRET_LENGTH),
      ),
    ];
    this.firstCopy = promise;
    this.#onCopied = resolve;
    this.#gatherMs = durability === "remote" ? 0 : GATHER_MS;
    this.thread = new RemoteThread({
      spawnWorker: () =>
        spawnRemoteWorker(new URL("./remote_worker.ts", import.meta.url), { journal, target }),
      opening: {
        ...{ target, journal, instance, version: VERSION, listen: placeOf(listen) },
        timeZone: settings.costs.timeZone,
        retention: {
          keepDays: settings.keepDays,
          keepBodiesDays: settings.keepBodiesDays,
          maxBytes: settings.maxDbSizeBytes,
          keepIdsDays: settings.keepIdsDays,
        },
        gatherMs: this.#gatherMs,
      },
      clock: systemClock,
      onEvent: (event) => this.#receive(event),
    });
  }

  get state(): RemoteState {
    return this.#state;
  }

  /** What waits in the journal; null: not known yet. */
  get backlog(): Backlog | null {
    return this.#backlog;
  }

  /** Calls back with every event from now on, after the state has changed. */
  listen(listener: (event: RemoteEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** The journal has new records. Most of the time the thread has been told already. */
  wake(): void {
    const nowMs = systemClock.monotonic();
    if (nowMs - this.#wokenAtMs < this.#gatherMs) return;
    this.#wokenAtMs = nowMs;
    this.thread.wake();
  }

  async ask<Name extends keyof RecordQueries>(
    name: Name,
    argument: Parameters<RecordQueries[Name]>[0],
  ): Promise<ReturnType<RecordQueries[Name]>> {
    const answer: unknown = await this.thread.query(name, argument as never);
    return answer as ReturnType<RecordQueries[Name]>;
  }

  #receive(event: RemoteEvent): void {
    switch (event.type) {
      case "copied":
        this.#onCopied();
        break;
      case "shipped":
        this.waits.shipped(event.requestIds);
        break;
      case "backlog":
        this.#backlog = event.backlog;
        break;
      case "trouble":
        this.#down(event.message, event.kind !== "setup");
        break;
      case "crashed":
        this.#down(event.message, true);
        break;
      case "resumed":
        this.#state = { type: "up" };
        break;
      case "changed":
      case "rejected":
      case "dropped":
      case "foreign_states":
        break;
      default:
        event satisfies never;
    }
    for (const listener of this.#listeners) listener(event);
  }

  #down(message: string, isPassing: boolean): void {
    const sinceMs = this.#state.type === "down" ? this.#state.sinceMs : systemClock.now();
    this.#state = { type: "down", sinceMs, message, isPassing };
  }
}
