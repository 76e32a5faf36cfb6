/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The thread in which upstreams and tokens are changed, so that no lock of another program holds up a request.
 */
import { type ChangeName, controlErrors, type TimedChange } from "../control/change_calls.ts";
import { ConfigChanges } from "../control/config_changes.ts";
import { Registry } from "../store/config/registry.ts";
import { type OpenDatabase, openDatabase } from "../store/database/open.ts";
import { answerCalls, type CallSession } from "../store/threads/answer_calls.ts";
import { storeErrors } from "../store/threads/thrown_errors.ts";
import { systemClock } from "./clock.ts";

class ChangeSession implements CallSession {
  readonly #database: OpenDatabase;
  readonly #changes: ConfigChanges;

  /** @throws StoreError */
  constructor(path: string) {
    this.#database = openDatabase(path, { isCreating: false, busyTimeoutMs: 0 });
    const { config } = this.#database;
    const registry = new Registry({ store: config, clock: systemClock, onProblem: () => {} });
    this.#changes = new ConfigChanges({ config, registry });
  }

  /** @throws StoreError, ControlError */
  make(name: ChangeName, { untilMs, argument }: TimedChange): unknown {
    this.#database.waitForLocks(Math.max(0, untilMs - Date.now()));
    return (this.#changes[name] as (argument: unknown) => unknown).call(this.#changes, argument);
  }

  reopenIfReplaced(): void {
    this.#database.config.dataVersion();
  }

  close(): void {
    this.#database.close();
  }
}

answerCalls(self, {
  open: (path) => new ChangeSession(path),
  call: (session, name, change) => session.make(name as ChangeName, change as TimedChange),
  errors: [controlErrors, storeErrors],
});
