/**
 * Upstreams, tokens and settings in SQLite.
 *
 * Owns every statement on `openai_upstreams` and `config_kvs`. Must not validate rows that people typed by
 * hand (see upstream_row.ts) and must not touch `records`.
 */
import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import type { ListedUpstream } from "../../core/model_catalog.ts";
import { maskSecret } from "../../core/secrets.ts";
import type { ClientToken, Upstream } from "../../core/types.ts";
import { targetOf } from "../../core/upstream_target.ts";
import type { UsageRefusal } from "../../core/usage_option.ts";
import { toGoTime } from "../database/go_time.ts";
import type { ReopeningConnection } from "../database/reopening_connection.ts";
import { asBlobs, text } from "../database/values.ts";
import { toStoreError } from "../database/errors.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import {
  type ConfigStore,
  type NewUpstream,
  StoreError,
  type UpstreamChanges,
  type UpstreamRow,
  type UpstreamStateNote,
} from "../store.ts";
import type { ClientTokenRow, ClientTokenValues, NewClientToken } from "./client_token_row.ts";
import { addClientToken, editClientToken, listClientTokens, removeClientToken } from "./client_tokens.ts";
import { putValue } from "./config_values.ts";
import { digest, parseNames, splitTokens } from "./token_list.ts";
import { parseTokenTimes, timesAfter } from "./token_times.ts";
import {
  listUpstreamChecks,
  listUsageRefusals,
  putUpstreamChecks,
  type UpstreamChecks,
} from "./upstream_checks.ts";
import {
  assignments,
  changedColumns,
  duplicate,
  joined,
  optionColumns,
  SELECT_UPSTREAMS,
  toJson,
  toUpstreamRow,
} from "./upstream_columns.ts";
import { listModelLists } from "./upstream_models.ts";
import { OPTION_COLUMN_NAMES } from "./upstream_options.ts";
import { listUpstreamStates } from "./upstream_states.ts";

const AUTHORIZATION_KEY = "authorization";
const TOKEN_NAMES_KEY = "token_names";
const TOKEN_TIMES_KEY = "token_created";

/** `PRAGMA data_version` is 32 bits wide; our own counter goes above it. */
const DATA_VERSION_SPAN = 2 ** 32;

/** A revived row has none of its former ones. */
const NO_OPTIONS = Object.fromEntries(OPTION_COLUMN_NAMES.map((name) => [name, null]));

export interface ConfigStoreOptions {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** The part of a {@link ReopeningConnection} that is used. */
type ConfigConnection = Pick<ReopeningConnection, "db" | "reopenIfReplaced" | "close">;

export class SqliteConfigStore implements ConfigStore {
  readonly #connection: ConfigConnection;
  readonly #now: () => number;
  #ownChanges = 0;

  constructor(connection: ConfigConnection, options: ConfigStoreOptions) {
    this.#connection = connection;
    this.#now = options.now;
  }

  listUpstreams(): UpstreamRow[] {
    return this.#query(`${SELECT_UPSTREAMS} ORDER BY coalesce(position, id), id`).map(toUpstreamRow);
  }

  addUpstream(upstream: NewUpstream): UpstreamRow {
    const sk = upstream.sk.trim().toWellFormed();
    const endpoint = upstream.endpoint.trim().toWellFormed();
    return this.#change("Cannot add the upstream", (db) => {
      const twin = this.#twinOf({ sk, endpoint });
      if (twin !== null && !twin.isDeleted) throw duplicate(twin.id);
      const now = toGoTime(this.#now());
      const columns = {
        created_at: now,
        updated_at: now,
        name: upstream.name ?? null,
        timeout: upstream.timeout ?? null,
        auth_style: upstream.authStyle ?? null,
        allow: joined(upstream.allow ?? null),
        deny: joined(upstream.deny ?? null),
        model_map: toJson(upstream.modelMap ?? null),
        weight: upstream.weight ?? 1,
        enabled: 1,
        ...optionColumns({ ...NO_OPTIONS, ...upstream.options }),
      };
      if (twin === null) {
        const { lastInsertRowid } = prepared(
          db,
          `INSERT INTO openai_upstreams(sk, endpoint, ${Object.keys(columns).join(", ")})
            VALUES (?, ?, ${Object.keys(columns).map(() => "?").join(", ")})`,
        ).run(sk, endpoint, ...Object.values(columns));
        return this.#require(Number(lastInsertRowid));
      }
      prepared(
        db,
        `UPDATE openai_upstreams SET deleted_at = NULL, ${assignments(columns)} WHERE id = ?`,
      ).run(...Object.values(columns), twin.id);
      // A revived row keeps its old number, and would come back in the middle of the order.
      const others = this.listUpstreams().map((row) => row.id).filter((id) => id !== twin.id);
      this.#renumber([...others, twin.id]);
      return this.#require(twin.id);
    });
  }

  editUpstream(id: number, changes: UpstreamChanges): UpstreamRow {
    return this.#change(`Cannot edit upstream ${id}`, (db) => {
      const row = this.#require(id);
      const columns = changedColumns(changes);
      if ("sk" in columns || "endpoint" in columns) {
        this.#makeRoomFor(id, {
          sk: String(columns["sk"] ?? row.sk),
          endpoint: String(columns["endpoint"] ?? row.endpoint),
        });
      }
      columns["updated_at"] = toGoTime(this.#now());
      prepared(db, `UPDATE openai_upstreams SET ${assignments(columns)} WHERE id = ?`).run(
        ...Object.values(columns),
        id,
      );
      return this.#require(id);
    });
  }

  removeUpstream(id: number): void {
    this.#change(`Cannot remove upstream ${id}`, (db) => {
      this.#require(id);
      const now = toGoTime(this.#now());
      prepared(db, "UPDATE openai_upstreams SET deleted_at = ?, updated_at = ? WHERE id = ?").run(
        now,
        now,
        id,
      );
    });
  }

  moveUpstream(id: number, place: number): void {
    this.#change(`Cannot move upstream ${id}`, () => {
      this.#require(id);
      const ids = this.listUpstreams().map((row) => row.id).filter((other) => other !== id);
      const index = Math.min(Math.max(Math.trunc(place) - 1, 0), ids.length);
      this.#renumber(ids.toSpliced(index, 0, id));
    });
  }

  listUpstreamStates(): UpstreamStateNote[] {
    return this.#read((db) => listUpstreamStates(db, this.#now()));
  }

  listUpstreamChecks(): UpstreamChecks {
    return this.#read(listUpstreamChecks);
  }

  listUsageRefusals(): readonly UsageRefusal[] {
    return this.#read(listUsageRefusals);
  }

  listModelLists(options = { hasObjects: false }): ListedUpstream[] {
    return this.#read((db) => listModelLists(db, options));
  }

  noteUpstreamCheck(upstream: Pick<Upstream, "id" | "endpoint" | "sk">): void {
    const check = { upstreamId: upstream.id, target: targetOf(upstream) };
    this.#change("Cannot note the test", (db) => putUpstreamChecks(db, [check], this.#now()));
  }

  listTokens(): ClientToken[] {
    const names = parseNames(this.getConfig(TOKEN_NAMES_KEY));
    const secrets = new Set(splitTokens(this.getConfig(AUTHORIZATION_KEY) ?? ""));
    return [...secrets].map((secret) => ({ secret, name: names[digest(secret)] ?? maskSecret(secret) }));
  }

  tokenTimes(): ReadonlyMap<string, number> {
    const times = parseTokenTimes(this.getConfig(TOKEN_TIMES_KEY));
    return new Map(
      this.listTokens().flatMap(({ secret }) => {
        const atMs = times[digest(secret)];
        return atMs === undefined ? [] : [[secret, atMs]];
      }),
    );
  }

  setTokens(tokens: readonly ClientToken[]): void {
    for (const { secret } of tokens) {
      if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(secret)) {
        throw new StoreError(
          "invalid",
          "Cannot set the tokens: a token is 1 or more visible ASCII characters, without spaces and commas",
        );
      }
    }
    const named = tokens.filter(({ name, secret }) => name !== "" && name !== maskSecret(secret));
    const names = Object.fromEntries(named.map(({ name, secret }) => [digest(secret), name]));
    this.#change("Cannot set the tokens", () => {
      const times = timesAfter(parseTokenTimes(this.getConfig(TOKEN_TIMES_KEY)), {
        before: new Set(this.listTokens().map(({ secret }) => digest(secret))),
        after: tokens.map(({ secret }) => digest(secret)),
        nowMs: this.#now(),
      });
      putValue(
        this.#connection.db,
        this.#now(),
        AUTHORIZATION_KEY,
        tokens.map(({ secret }) => secret).join(","),
      );
      putValue(this.#connection.db, this.#now(), TOKEN_NAMES_KEY, JSON.stringify(names));
      putValue(this.#connection.db, this.#now(), TOKEN_TIMES_KEY, JSON.stringify(times));
    });
  }

  listClientTokens(): readonly ClientTokenRow[] {
    return this.#read(listClientTokens);
  }

  addClientToken(token: NewClientToken): ClientTokenRow {
    return this.#change("Cannot add the token", (db) => addClientToken(db, token, this.#now()));
  }

  editClientToken(id: number, changes: Partial<ClientTokenValues>): ClientTokenRow {
    return this.#change("Cannot edit the token", (db) => editClientToken(db, { id, changes }, this.#now()));
  }

  removeClientToken(id: number): void {
    this.#change("Cannot remove the token", (db) => removeClientToken(db, id));
  }

  getConfig(key: string): string | null {
    const [row] = this.#query(
      `SELECT ${asBlobs(["value"])} FROM config_kvs WHERE key = ? AND deleted_at IS NULL ORDER BY id LIMIT 1`,
      key,
    );
    return text(row?.["value"]);
  }

  setConfig(key: string, value: string): void {
    this.#change(`Cannot set ${key}`, () => putValue(this.#connection.db, this.#now(), key, value));
  }

  atomically<Result>(action: string, body: () => Result): Result {
    if (this.#connection.db.isTransaction) return body();
    let thrown: unknown = null;
    try {
      const result = inTransaction(this.#connection.db, () => {
        try {
          return body();
        } catch (error) {
          thrown = error;
          throw error;
        }
      });
      this.#ownChanges++;
      return result;
    } catch (error) {
      throw error === thrown ? error : toStoreError(error, action);
    }
  }

  dataVersion(): number {
    if (!this.#connection.db.isTransaction && this.#connection.reopenIfReplaced()) this.#ownChanges++;
    const [row] = this.#query("PRAGMA data_version");
    return this.#ownChanges * DATA_VERSION_SPAN + Number(row?.["data_version"]);
  }

  close(): void {
    this.#connection.close();
  }

  #query(sql: string, ...params: SQLInputValue[]): Record<string, SQLOutputValue>[] {
    return this.#read((db) => {
      const statement = prepared(db, sql);
      statement.setReadBigInts(true);
      return statement.all(...params);
    });
  }

  #read<T>(body: (db: DatabaseSync) => T): T {
    try {
      return body(this.#connection.db);
    } catch (error) {
      throw toStoreError(error, "Cannot read the database");
    }
  }

  #change<T>(action: string, body: (db: DatabaseSync) => T): T {
    return this.atomically(action, () => {
      try {
        return body(this.#connection.db);
      } catch (error) {
        throw toStoreError(error, action);
      }
    });
  }

  #require(id: number): UpstreamRow {
    const [row] = this.#query(`${SELECT_UPSTREAMS} AND id = ?`, id);
    if (row === undefined) {
      throw new StoreError("not_found", `There is no upstream ${id}; "list" shows those that there are`);
    }
    return toUpstreamRow(row);
  }

  #twinOf({ sk, endpoint }: { sk: string; endpoint: string }): { id: number; isDeleted: boolean } | null {
    const [row] = this.#query(
      `SELECT id, deleted_at IS NOT NULL AS is_deleted FROM openai_upstreams WHERE sk = ? AND endpoint = ?
        ORDER BY is_deleted, id LIMIT 1`,
      sk,
      endpoint,
    );
    return row === undefined ? null : { id: Number(row["id"]), isDeleted: Number(row["is_deleted"]) === 1 };
  }

  /** The unique index also covers deleted rows; one of them in the way gives up its key, and keeps its number. */
  #makeRoomFor(id: number, target: { sk: string; endpoint: string }): void {
    const twin = this.#twinOf(target);
    if (twin === null || twin.id === id) return;
    if (!twin.isDeleted) throw duplicate(twin.id);
    prepared(this.#connection.db, "UPDATE openai_upstreams SET sk = ? WHERE id = ?").run(
      `deleted-${twin.id}`,
      twin.id,
    );
  }

  #renumber(ids: readonly number[]): void {
    const update = prepared(
      this.#connection.db,
      "UPDATE openai_upstreams SET position = ?, updated_at = ? WHERE id = ? AND position IS NOT ?",
    );
    const now = toGoTime(this.#now());
    ids.forEach((id, index) => update.run(index + 1, now, id, index + 1));
  }
}
