/**
 * Runs lists, searches and statistics in the reading thread, off the thread that relays requests.
 *
 * Owns the thread's life: it begins with the first question. Never touches SQLite.
 */
import { messageOf } from "../../core/errors.ts";
import type { FromReader, QueryName, RecordQueries, ToReader } from "./messages.ts";
import { StoreError } from "../store.ts";

export interface QueryThreadOptions {
  /** Makes the thread that runs read/worker.ts; called again after a crash of the thread. */
  readonly spawnWorker: () => Worker;
  readonly path: string;
}

type Argument<Name extends QueryName> = Parameters<RecordQueries[Name]>[0];
type Answer<Name extends QueryName> = ReturnType<RecordQueries[Name]>;

/** More than this means that the page asks faster than the disk reads. */
const MAX_OPEN_CALLS = 64; // docs/tuning.md#store-read

interface OpenCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class QueryThread {
  readonly #options: QueryThreadOptions;
  readonly #open = new Map<number, OpenCall>();
  #worker: Worker | null = null;
  #lastCall = 0;
  #isClosed = false;

  constructor(options: QueryThreadOptions) {
    this.#options = options;
  }

  /** @throws StoreError */
  async ask<Name extends QueryName>(name: Name, argument: Argument<Name>): Promise<Answer<Name>> {
    if (this.#isClosed) throw new StoreError("unreadable", "The server is stopping");
    if (this.#open.size >= MAX_OPEN_CALLS) {
      throw new StoreError("locked", "Too many questions to the database at once; try again in a moment");
    }
    const worker = this.#worker ??= this.#spawn();
    const call = ++this.#lastCall;
    const answered = new Promise<unknown>((resolve, reject) => this.#open.set(call, { resolve, reject }));
    post(worker, { type: "query", call, name, argument });
    return await answered as Answer<Name>;
  }

  close(): void {
    this.#isClosed = true;
    this.#end("The server is stopping");
  }

  #spawn(): Worker {
    const worker = this.#options.spawnWorker();
    worker.onmessage = ({ data }: MessageEvent<FromReader>): void => this.#receive(data);
    worker.onerror = (event: ErrorEvent): void => {
      event.preventDefault();
      if (worker === this.#worker) this.#end(`The reading thread stopped: ${messageOf(event.message)}`);
    };
    post(worker, { type: "open", path: this.#options.path });
    return worker;
  }

  #receive(message: FromReader): void {
    const waiting = this.#open.get(message.call);
    if (waiting === undefined) return;
    this.#open.delete(message.call);
    if (message.type === "answer") return waiting.resolve(message.value);
    const { code } = message;
    waiting.reject(code === null ? new Error(message.message) : new StoreError(code, message.message));
  }

  /** The next question begins a new thread. */
  #end(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    const waiting = [...this.#open.values()];
    this.#open.clear();
    for (const { reject } of waiting) reject(new StoreError("unreadable", reason));
  }
}

function post(worker: Worker, message: ToReader): void {
  worker.postMessage(message);
}
