/**
 * Runs calls to the database in a thread of their own, off the thread that relays requests.
 *
 * Owns the thread's life: it begins with the first call. Never touches SQLite.
 */
import { messageOf } from "../../core/errors.ts";
import { StoreError } from "../store.ts";
import type { FromThread, ToThread } from "./messages.ts";
import { type ErrorCodec, storeErrors, unpackError } from "./thrown_errors.ts";

/** What the thread answers: by name, functions of one argument. */
type Calls<Api> = { [Name in keyof Api]: (argument: never) => unknown };

export interface CallThreadOptions {
  /** Makes the thread (see answer_calls.ts); called again after a crash of the thread. */
  readonly spawnWorker: () => Worker;
  readonly path: string;
  /** How its errors come back; default: `StoreError`s. */
  readonly errors?: readonly ErrorCodec[];
}

/** More than this means that the page asks faster than the disk reads. */
const MAX_OPEN_CALLS = 64; // docs/tuning.md#store-read

interface OpenCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class CallThread<Api extends Calls<Api>> {
  readonly #options: CallThreadOptions;
  readonly #open = new Map<number, OpenCall>();
  #worker: Worker | null = null;
  #lastCall = 0;
  #isClosed = false;
  /** Resolves when the thread may open the database again; null: it may. */
  #detached: PromiseWithResolvers<void> | null = null;
  #onDetached: (() => void) | null = null;

  constructor(options: CallThreadOptions) {
    this.#options = options;
  }

  /** @throws StoreError, and the errors that the options name */
  async ask<Name extends keyof Api & string>(
    name: Name,
    argument: Parameters<Api[Name]>[0],
  ): Promise<ReturnType<Api[Name]>> {
    await this.#detached?.promise;
    if (this.#isClosed) throw new StoreError("unreadable", "The server is stopping");
    if (this.#open.size >= MAX_OPEN_CALLS) {
      throw new StoreError("locked", "Too many questions to the database at once; try again in a moment");
    }
    const worker = this.#worker ??= this.#spawn();
    const call = ++this.#lastCall;
    const answered = new Promise<unknown>((resolve, reject) => this.#open.set(call, { resolve, reject }));
    post(worker, { type: "call", call, name, argument });
    return await answered as ReturnType<Api[Name]>;
  }

  /** Has the thread close the database. Resolves when it has; further calls wait for {@link attach}. */
  async detach(): Promise<void> {
    this.#detached ??= Promise.withResolvers();
    const worker = this.#worker;
    if (worker === null) return;
    await new Promise<void>((resolve) => {
      this.#onDetached = resolve;
      post(worker, { type: "detach" });
    });
  }

  attach(): void {
    this.#detached?.resolve();
    this.#detached = null;
  }

  close(): void {
    this.#isClosed = true;
    this.attach();
    this.#end("The server is stopping");
  }

  #spawn(): Worker {
    const worker = this.#options.spawnWorker();
    worker.onmessage = ({ data }: MessageEvent<FromThread>): void => this.#receive(data);
    worker.onerror = (event: ErrorEvent): void => {
      event.preventDefault();
      if (worker === this.#worker) this.#end(`The thread stopped: ${messageOf(event.message)}`);
    };
    post(worker, { type: "open", path: this.#options.path });
    return worker;
  }

  #receive(message: FromThread): void {
    if (message.type === "detached") return this.#onDetached?.();
    const waiting = this.#open.get(message.call);
    if (waiting === undefined) return;
    this.#open.delete(message.call);
    if (message.type === "answer") return waiting.resolve(message.value);
    waiting.reject(unpackError(message.error, this.#options.errors ?? [storeErrors]));
  }

  /** The next call begins a new thread. */
  #end(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#onDetached?.();
    const waiting = [...this.#open.values()];
    this.#open.clear();
    for (const { reject } of waiting) reject(new StoreError("unreadable", reason));
  }
}

function post(worker: Worker, message: ToThread): void {
  worker.postMessage(message);
}
