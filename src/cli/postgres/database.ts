/**
 * The PostgreSQL database of a command.
 *
 * Owns the connections while the command runs, what is asked before it may begin, and how failures read. Loaded only where
 * `--database` is a URL.
 */
import { systemClock } from "../../server/clock.ts";
import { ensureToken } from "../../store/config/initial_tokens.ts";
import { RemoteConfig } from "../../store/postgres/config/remote_config.ts";
import { ScratchConfig } from "../../store/postgres/config/scratch_config.ts";
import { PgError } from "../../store/postgres/errors.ts";
import { migrate, schemaVersion } from "../../store/postgres/migration.ts";
import { PgDatabase } from "../../store/postgres/pool.ts";
import { listRemoteModelLists } from "../../store/postgres/read/model_lists.ts";
import { PgRecordReader } from "../../store/postgres/read/record_queries.ts";
import { listRemoteUpstreamStates } from "../../store/postgres/read/upstream_states.ts";
import { SCHEMA } from "../../store/postgres/schema.ts";
import type { PgTarget } from "../../store/postgres/target.ts";
import { type ConfigStore, StoreError } from "../../store/store.ts";
import type { ChangeOptions, CommandDatabase } from "../command_database.ts";
import { type DatabaseRequest, noteNewToken } from "../context.ts";
import { targetOf } from "./target.ts";

/**
 * Connects, and makes or completes the schema.
 *
 * @throws UsageError, StoreError
 */
export async function openRemote(url: string, request: DatabaseRequest): Promise<CommandDatabase> {
  const target = targetOf(url, request.env);
  const database = new RemoteDatabase(target, request);
  try {
    await database.prepare();
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

class RemoteDatabase implements CommandDatabase {
  readonly #target: PgTarget;
  readonly #request: DatabaseRequest;
  readonly #db: PgDatabase;
  readonly #remote: RemoteConfig;
  readonly #resources = new DisposableStack();
  #reader: PgRecordReader | null = null;
  #asked = 0;

  constructor(target: PgTarget, request: DatabaseRequest) {
    this.#target = target;
    this.#request = request;
    this.#db = new PgDatabase(target, { clock: systemClock });
    this.#remote = new RemoteConfig(this.#db, systemClock.now);
  }

  /** A mistyped name makes no schema. @throws StoreError */
  async prepare(): Promise<void> {
    const { access = "read", isCreating = false, terminal } = this.#request;
    const { shownText } = this.#target;
    await this.#using(async () => {
      const isMissing = await schemaVersion((text, values) => this.#db.read(text, values)) === 0;
      if (isMissing && !(access === "change" && isCreating)) {
        throw new StoreError(
          "missing",
          `${shownText} has no schema ${SCHEMA} yet: start a server with it, or add an upstream, ` +
            "or name another one with --database",
        );
      }
      await migrate(this.#db);
      if (isMissing) terminal.note(`created schema ${SCHEMA} in ${shownText}`);
    });
  }

  get records(): PgRecordReader {
    const reader = this.#reader ??= this.#resources.adopt(
      new PgRecordReader(this.#db),
      (each) => each.close(),
    );
    return reader;
  }

  config(): Promise<ConfigStore> {
    return this.#using(async () => {
      const [loaded, states, modelLists] = await Promise.all([
        this.#remote.load(),
        listRemoteUpstreamStates(this.#db),
        listRemoteModelLists(this.#db),
      ]);
      const scratch = new ScratchConfig({ ...loaded, states, modelLists, now: systemClock.now });
      return this.#resources.use(scratch).store;
    });
  }

  async change<Result>(
    body: (config: ConfigStore) => Result,
    { isSettingTokens = false }: ChangeOptions = {},
  ): Promise<Result> {
    const { result } = await this.#using(() =>
      this.#remote.change((config) => ({
        token: isSettingTokens ? null : ensureToken({ config, isOwn: true }),
        value: body(config),
      }))
    );
    if (result.token !== null) noteNewToken(this.#request.terminal, result.token);
    return result.value;
  }

  /** Nothing tells cheaply whether there are new records. */
  version(): number {
    return ++this.#asked;
  }

  async close(): Promise<void> {
    this.#resources.dispose();
    await this.#db.close();
  }

  async #using<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw toFailure(error, this.#target);
    }
  }
}

/** How messages begin that say no more of the place. */
const PREFIX = /^Cannot use the PostgreSQL database: /;

/** A failure of PostgreSQL as one of a store, with what to do; another error stays as it is. */
export function toFailure(error: unknown, { shownText }: Pick<PgTarget, "shownText">): unknown {
  if (!(error instanceof PgError)) return error;
  const unknown = error.isOutcomeUnknown
    ? "; nobody knows whether the change was made, so look before you repeat it"
    : "";
  const message = `Cannot use ${shownText}: ${error.message.replace(PREFIX, "")}${unknown}`;
  return new StoreError("unreadable", message, { cause: error });
}
