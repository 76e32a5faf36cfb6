/**
 * PostgreSQL as the rest of a server sees it: the thread that talks to it, started, told, asked, and started again after a
 * crash.
 *
 * Owns the thread's life. Never touches PostgreSQL or the journal.
 */
import { type ChangeCalls, type ChangeName, controlErrors } from "../control/change_calls.ts";
import type { ConfigChanges } from "../control/config_changes.ts";
import type { Clock } from "../core/clock.ts";
import type { LeaseAnswer, LeaseRequest, SpendStore } from "../core/spend.ts";
import type { ListedUpstream } from "../core/model_catalog.ts";
import { messageOf } from "../core/errors.ts";
import type { RemoteQueries } from "../store/postgres/remote_queries.ts";
import type { FromRemote, RemoteOpening, ToRemote } from "../store/postgres/remote_messages.ts";
import type { ForeignState, OwnState } from "../store/postgres/shared_states.ts";
import type { UpstreamCheck } from "../store/config/upstream_checks.ts";
import { StoreError } from "../store/store.ts";
import { storeErrors, unpackError } from "../store/threads/thrown_errors.ts";
import type { DatabaseUser } from "./database_users.ts";

/** How long a change may take, so that whoever asked has an answer. */
const CHANGE_LIMIT_MS = 8_000;
/** Somewhat longer than the thread waits for one answer of the database. */
const SPEND_LIMIT_MS = 5_000; // docs/tuning.md#spending
const RESTART_MS = 1_000;
const MAX_OPEN_CALLS = 64;

/** The questions of a page; each has one argument. */
export type RemoteQuestion = Exclude<keyof RemoteQueries, "close">;

/** What the thread says, and that it has crashed; it is started again then. */
export type RemoteEvent =
  | Exclude<FromRemote, { readonly type: "answer" | "failed" | "released" | "closed" }>
  | { readonly type: "crashed"; readonly message: string };

export interface RemoteThreadOptions {
  readonly spawnWorker: () => Worker;
  readonly opening: Omit<RemoteOpening, "type">;
  readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
  readonly onEvent: (event: RemoteEvent) => void;
}

interface OpenCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class RemoteThread implements ChangeCalls, DatabaseUser, SpendStore {
  readonly #options: RemoteThreadOptions;
  readonly #calls = new Map<number, OpenCall>();
  #worker: Worker | null = null;
  #foreignStates: readonly ForeignState[] = [];
  /** Said again to a thread that is started anew; null: nothing was said. */
  #ownStates: readonly OwnState[] | null = null;
  #lastCall = 0;
  #isReleased = false;
  #onReleased: (() => void) | null = null;
  #onClosed: (() => void) | null = null;
  #isClosed = false;

  constructor(options: RemoteThreadOptions) {
    this.#options = options;
    this.#worker = this.#spawn();
  }

  /** The journal has new records. */
  wake(): void {
    this.#tell({ type: "wake" });
  }

  /** All that this replica has found of upstreams. */
  states(states: readonly OwnState[]): void {
    this.#ownStates = states;
    this.#tell({ type: "states", states });
  }

  /** What other replicas had found of upstreams at the latest event `foreign_states`. */
  get foreignStates(): readonly ForeignState[] {
    return this.#foreignStates;
  }

  /** An upstream has answered for the first time. */
  check(check: UpstreamCheck): void {
    this.#tell({ type: "check", check });
  }

  /** What an upstream lists; null: it is gone. */
  modelList(upstreamId: number, asked: ListedUpstream | null): void {
    this.#tell({ type: "model_list", upstreamId, asked });
  }

  /** @throws ControlError; StoreError, `locked` when PostgreSQL does not answer in time */
  async ask<Name extends ChangeName>(
    name: Name,
    argument: Parameters<ConfigChanges[Name]>[0],
  ): Promise<ReturnType<ConfigChanges[Name]>> {
    const late = "PostgreSQL does not answer; whether the change was made will show";
    const answer = await this.#answer({ type: "call", name, argument }, late);
    return answer as ReturnType<ConfigChanges[Name]>;
  }

  /** @throws StoreError, `locked` when PostgreSQL does not answer in time */
  async query<Name extends RemoteQuestion>(
    name: Name,
    argument: Parameters<RemoteQueries[Name]>[0],
  ): Promise<Awaited<ReturnType<RemoteQueries[Name]>>> {
    const answer = await this.#answer({ type: "query", name, argument }, "PostgreSQL does not answer");
    return answer as Awaited<ReturnType<RemoteQueries[Name]>>;
  }

  /** Notes what tokens have spent. @throws StoreError, `locked` when PostgreSQL does not answer in time */
  async renew(requests: readonly LeaseRequest[]): Promise<readonly LeaseAnswer[]> {
    if (this.#worker === null) {
      throw new StoreError("unreadable", "The thread for PostgreSQL is being started");
    }
    const late = "Cannot note what was spent: PostgreSQL does not answer";
    const answer = await this.#answer({ type: "renew_spend", requests }, late, SPEND_LIMIT_MS);
    return answer as readonly LeaseAnswer[];
  }

  /** Has the thread let go of the journal. */
  async detach(): Promise<void> {
    this.#isReleased = true;
    if (this.#worker === null) return;
    const released = new Promise<void>((resolve) => this.#onReleased = resolve);
    this.#tell({ type: "release" });
    await released;
  }

  attach(): void {
    this.#isReleased = false;
    this.#tell({ type: "resume" });
  }

  /** Ships what waits, for as long as there is time. */
  async close(limitMs: number): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock } = this.#options;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    this.#onClosed = resolve;
    // The thread keeps to the limit itself, unless it is stuck.
    const timer = clock.setTimer(resolve, limitMs + RESTART_MS);
    if (this.#worker !== null) {
      this.#tell({ type: "close", limitMs });
      await closed;
    }
    clock.clearTimer(timer);
    this.#end("The server is stopping");
  }

  #spawn(): Worker {
    const worker = this.#options.spawnWorker();
    worker.onmessage = ({ data }: MessageEvent<FromRemote>): void => this.#receive(data);
    worker.onerror = (event: ErrorEvent): void => {
      event.preventDefault();
      if (worker === this.#worker) this.#crashed(messageOf(event.message));
    };
    worker.postMessage({ type: "open", ...this.#options.opening } satisfies ToRemote);
    if (this.#ownStates !== null) {
      worker.postMessage({ type: "states", states: this.#ownStates } satisfies ToRemote);
    }
    return worker;
  }

  #receive(message: FromRemote): void {
    switch (message.type) {
      case "answer":
        return this.#calls.get(message.call)?.resolve(message.value);
      case "failed":
        return this.#calls.get(message.call)?.reject(
          unpackError(message.error, [controlErrors, storeErrors]),
        );
      case "released":
        return this.#onReleased?.();
      case "closed":
        return this.#onClosed?.();
      case "foreign_states":
        this.#foreignStates = message.states;
        return this.#options.onEvent(message);
      default:
        return this.#options.onEvent(message);
    }
  }

  #crashed(message: string): void {
    this.#end(`The thread for PostgreSQL stopped: ${message}`);
    if (this.#isClosed) return this.#onClosed?.();
    this.#options.onEvent({ type: "crashed", message });
    this.#options.clock.setTimer(() => {
      if (this.#isClosed) return;
      this.#worker = this.#spawn();
      if (this.#isReleased) this.#tell({ type: "release" });
    }, RESTART_MS);
  }

  async #answer(
    asked:
      | { readonly type: "call" | "query"; readonly name: string; readonly argument: unknown }
      | { readonly type: "renew_spend"; readonly requests: readonly LeaseRequest[] },
    late: string,
    limitMs = CHANGE_LIMIT_MS,
  ): Promise<unknown> {
    if (this.#isClosed) throw new StoreError("unreadable", "The server is stopping");
    if (this.#calls.size >= MAX_OPEN_CALLS) {
      throw new StoreError("locked", "Too many questions to PostgreSQL at once; try again in a moment");
    }
    const { clock } = this.#options;
    const call = ++this.#lastCall;
    const answered = new Promise<unknown>((resolve, reject) => this.#calls.set(call, { resolve, reject }));
    const giveUp = () => this.#calls.get(call)?.reject(new StoreError("locked", late));
    const timer = clock.setTimer(giveUp, limitMs);
    try {
      this.#tell({ ...asked, call });
      return await answered;
    } finally {
      clock.clearTimer(timer);
      this.#calls.delete(call);
    }
  }

  #end(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#onReleased?.();
    for (const { reject } of this.#calls.values()) reject(new StoreError("unreadable", reason));
    this.#calls.clear();
  }

  #tell(message: ToRemote): void {
    this.#worker?.postMessage(message);
  }
}
