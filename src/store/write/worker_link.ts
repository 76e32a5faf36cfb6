/**
 * The database thread as the rest of the program sees it: started, written to, listened to, started again after a crash.
 *
 * Owns the thread's life. What is sent, and what an answer means, is the business of those who use the link. Never
 * touches SQLite.
 */
import { DEFAULT_BUSY_TIMEOUT_MS } from "../database/connection.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { KEEP_EVERYTHING, type RetentionLimits } from "./retention.ts";

export interface WorkerLinkOptions {
  /** Makes the thread that runs worker.ts; called again after a crash of the thread. */
  readonly spawnWorker: () => Worker;
  readonly path: string;
  readonly durability: "normal" | "full";
  /** Random per process; goes into `records.instance`. */
  readonly instance: string;
  /** How long SQLite waits for another program's lock before a batch fails; default 5000. */
  readonly busyTimeoutMs?: number;
  /** Default: everything is kept. */
  readonly retention?: RetentionLimits;
  /** Default: yes. Records that leave the database at once need not be found in it. */
  readonly isSearched?: boolean;
  /** Where the days of budgets begin; default `UTC`. */
  readonly timeZone?: string;
}

/** What the thread says, and that it has crashed: nothing that was sent to it is answered then. */
export type LinkEvent = FromWorker | { readonly type: "crashed"; readonly message: string };

export class WorkerLink {
  readonly #options: WorkerLinkOptions;
  readonly #listeners: ((event: LinkEvent) => void)[] = [];
  #worker: Worker | null = null;
  #onClosed: (() => void) | null = null;

  /** Starts the thread, which opens the database. */
  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#worker = this.#spawn();
  }

  /** Calls back with every event from now on. */
  listen(listener: (event: LinkEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** Sends a message, to a new thread when there is none. @throws DataCloneError */
  send(message: ToWorker): void {
    this.#worker ??= this.#spawn();
    post(this.#worker, message);
  }

  /** Sends a message to the thread that runs; when there is none, or it is closing, nothing happens. */
  sendIfRunning(message: ToWorker): void {
    if (this.#worker !== null && this.#onClosed === null) post(this.#worker, message);
  }

  /** Has the thread close the database. Resolves when it has; at once when there is no thread. */
  closeDatabase(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onClosed = resolve;
      post(worker, { type: "close" });
    });
  }

  /** Ends the thread, whatever it is doing. */
  terminate(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  #spawn(): Worker {
    const { spawnWorker, path, durability, instance, busyTimeoutMs = DEFAULT_BUSY_TIMEOUT_MS } =
      this.#options;
    const { retention = KEEP_EVERYTHING, isSearched = true, timeZone = "UTC" } = this.#options;
    const worker = spawnWorker();
    worker.onmessage = ({ data }: MessageEvent<FromWorker>): void => this.#receive(data);
    worker.onerror = (event: ErrorEvent): void => {
      event.preventDefault();
      if (worker === this.#worker) this.#crashed(event.message);
    };
    const limits = { busyTimeoutMs, retention, isSearched, timeZone };
    post(worker, { type: "open", path, durability, instance, pid: Deno.pid, ...limits });
    return worker;
  }

  #receive(message: FromWorker): void {
    if (message.type === "closed") this.#onClosed?.();
    this.#emit(message);
  }

  #crashed(message: string): void {
    this.terminate();
    this.#emit({ type: "crashed", message });
  }

  #emit(event: LinkEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}
