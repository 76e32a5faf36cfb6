/**
 * Makes the changes of upstreams and tokens in a thread of their own, which may wait for another program's lock.
 */
import {
  type ChangeCalls,
  type ChangeName,
  controlErrors,
  type TimedChange,
} from "../control/change_calls.ts";
import type { ConfigChanges } from "../control/config_changes.ts";
import { CallThread } from "../store/threads/call_thread.ts";
import { storeErrors } from "../store/threads/thrown_errors.ts";
import { spawnDatabaseWorker } from "./database_worker.ts";
import type { DatabaseUser } from "./database_users.ts";

/** How long a change waits for a lock, so that whoever asked has an answer within two seconds. */
const CHANGE_LIMIT_MS = 1_200; // docs/tuning.md#server

type Api = { readonly [Name in ChangeName]: (change: TimedChange) => ReturnType<ConfigChanges[Name]> };

export class ChangeThread implements ChangeCalls, DatabaseUser {
  readonly #thread: CallThread<Api>;
  readonly #now: () => number;

  /** @param now wall clock, which the thread reads, too */
  constructor({ database, now }: { readonly database: string; readonly now: () => number }) {
    this.#now = now;
    this.#thread = new CallThread<Api>({
      spawnWorker: () => spawnDatabaseWorker(new URL("change_worker.ts", import.meta.url), database),
      path: database,
      errors: [controlErrors, storeErrors],
    });
  }

  async ask<Name extends ChangeName>(
    name: Name,
    argument: Parameters<ConfigChanges[Name]>[0],
  ): Promise<ReturnType<ConfigChanges[Name]>> {
    const answer: unknown = await this.#thread.ask(name, {
      untilMs: this.#now() + CHANGE_LIMIT_MS,
      argument,
    });
    return answer as ReturnType<ConfigChanges[Name]>;
  }

  async detach(): Promise<void> {
    await this.#thread.detach();
  }

  attach(): void {
    this.#thread.attach();
  }

  close(): void {
    this.#thread.close();
  }
}
