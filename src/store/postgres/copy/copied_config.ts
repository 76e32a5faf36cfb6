/**
 * Upstreams and settings of a SQLite database, put beside those that PostgreSQL has.
 *
 * Owns what may be added: nothing is overwritten, and a database with other upstreams or tokens is refused, because the
 * records' numbers of upstreams would mean other ones.
 */
import { splitTokens } from "../../config/token_list.ts";
import {
  CONFIG_TABLES,
  type ConfigRow,
  type ConfigRows,
  type ConfigTable,
  idOf,
} from "../config/config_rows.ts";
import { loadConfig, lockConfig, saveConfig } from "../config/remote_config.ts";
import type { PgStore } from "../query.ts";
import { cleanString } from "../shipper/clean_text.ts";
import { CopyRefusedError } from "./copied.ts";
import { beginMark, readMark } from "./marks.ts";

export interface ConfigPlan {
  /** Rows to be inserted. */
  readonly added: ConfigRows;
  /** Upstreams and settings of PostgreSQL that differ from the source's, and stay. */
  readonly kept: number;
  /** Upstreams that PostgreSQL has no place for: it takes one of those with the same key and endpoint. */
  readonly leftOut: number;
}

export interface ConfigPlanInput {
  readonly source: ConfigRows;
  /** Of PostgreSQL. */
  readonly present: ConfigRows;
  /** The same source has been copied before: what differs now was changed since. */
  readonly isKnown: boolean;
}

/** @throws CopyRefusedError. Pure. */
export function planConfig({ source: raw, present, isKnown }: ConfigPlanInput): ConfigPlan {
  const source = cleanedRows(raw);
  if (!isKnown) requireSame(source, present);
  const upstreams = planUpstreams(source, present);
  const settings = planSettings(source, present);
  const clients = planClients(source, present);
  const checked = new Set(present.upstream_checks.map(idOf));
  return {
    added: {
      openai_upstreams: upstreams.added,
      config_kvs: settings.added,
      upstream_checks: source.upstream_checks.filter((row) => !checked.has(idOf(row)) && row[1] !== null),
      client_tokens: clients.added,
    },
    kept: upstreams.kept + settings.kept + clients.kept,
    leftOut: upstreams.leftOut,
  };
}

export interface CopiedConfig {
  readonly upstreams: number;
  readonly settings: number;
  readonly kept: number;
  readonly leftOut: number;
}

/**
 * In one transaction, with the source's first mark. A journal of this database has its upstreams and settings from here,
 * and nothing to add.
 *
 * @throws CopyRefusedError, PgError
 */
export function copyConfig(
  db: Pick<PgStore, "write">,
  { id, rows }: { readonly id: string; readonly rows: ConfigRows },
): Promise<CopiedConfig> {
  return db.write(async (query) => {
    await lockConfig(query);
    const [journal] = await query(IS_JOURNAL, [id]);
    const isKnown = await readMark(query, id) !== null;
    await beginMark(query, id);
    if (journal !== undefined) return { upstreams: 0, settings: 0, kept: 0, leftOut: 0 };
    const { rows: present } = await loadConfig(query);
    const { added, kept, leftOut } = planConfig({ source: rows, present, isKnown });
    for (const table of CONFIG_TABLES) {
      if (added[table].length > 0) await saveConfig(query, { table, removedIds: [], put: added[table] });
    }
    return { upstreams: added.openai_upstreams.length, settings: added.config_kvs.length, kept, leftOut };
  }, { timeoutMs: CONFIG_TIMEOUT_MS });
}

/** One that has shipped statistics, or whose server lives. */
const IS_JOURNAL = `SELECT 1 WHERE EXISTS (SELECT 1 FROM oar.usage_progress WHERE journal = $1)
  OR EXISTS (SELECT 1 FROM oar.instances WHERE journal = $1)`;

const CONFIG_TIMEOUT_MS = 30_000;

/** Places in a row of `openai_upstreams`, and of `config_kvs`. */
const UPSTREAM = { deletedAt: 3, sk: 4, endpoint: 5 } as const;
const SETTING = { deletedAt: 3, key: 4, value: 5 } as const;
/** Of `client_tokens`. */
const CLIENT = { name: 3, sha256: 4 } as const;
const TOKENS_KEY = "authorization";

function requireSame(source: ConfigRows, present: ConfigRows): void {
  const own = new Map(source.openai_upstreams.map((row) => [idOf(row), row]));
  const others = present.openai_upstreams.filter((row) => {
    const twin = own.get(idOf(row));
    return twin === undefined || targetOf(twin) !== targetOf(row);
  });
  if (others.length > 0) {
    throw new CopyRefusedError(
      `the PostgreSQL database has other upstreams already (${others.length}), and the records would seem to come ` +
        "from them: name an empty database",
    );
  }
  const tokens = new Set(tokensOf(source));
  if (tokensOf(present).some((token) => !tokens.has(token))) {
    throw new CopyRefusedError(
      "the PostgreSQL database has other client tokens already, which would stay: name an empty database, or add " +
        "those tokens to the SQLite database first (token add)",
    );
  }
}

function planUpstreams(
  source: ConfigRows,
  present: ConfigRows,
): { readonly added: ConfigRow[]; readonly kept: number; readonly leftOut: number } {
  const byId = new Map(present.openai_upstreams.map((row) => [idOf(row), row]));
  const targets = new Set(present.openai_upstreams.flatMap((row) => targetOf(row) ?? []));
  const added: ConfigRow[] = [];
  let kept = 0;
  let leftOut = 0;
  // Of several with the same target, one that is not deleted.
  const inOrder = source.openai_upstreams.toSorted((a, b) =>
    Number(a[UPSTREAM.deletedAt] !== null) - Number(b[UPSTREAM.deletedAt] !== null)
  );
  for (const row of inOrder) {
    const there = byId.get(idOf(row));
    const target = targetOf(row);
    if (there !== undefined) {
      if (!isSame(there, row)) kept++;
    } else if (row[0] === null || (target !== null && targets.has(target))) {
      leftOut++;
    } else {
      if (target !== null) targets.add(target);
      added.push(row);
    }
  }
  return { added: added.toSorted((a, b) => idOf(a) - idOf(b)), kept, leftOut };
}

function planSettings(
  source: ConfigRows,
  present: ConfigRows,
): { readonly added: ConfigRow[]; readonly kept: number } {
  const values = new Map(present.config_kvs.map((row) => [row[SETTING.key], row[SETTING.value]]));
  const taken = new Set(present.config_kvs.map(idOf));
  let next = Math.max(0, ...[...present.config_kvs, ...source.config_kvs].map(idOf)) + 1;
  const added: ConfigRow[] = [];
  let kept = 0;
  for (const row of source.config_kvs) {
    const key = row[SETTING.key] ?? null;
    if (key === null) continue;
    if (values.has(key)) {
      if (values.get(key) !== row[SETTING.value]) kept++;
      continue;
    }
    values.set(key, row[SETTING.value] ?? null);
    added.push(taken.has(idOf(row)) ? [next++, ...row.slice(1)] : row);
  }
  return { added, kept };
}

/** By number, which what was spent is counted by; a name or token that is there already stays as it is. */
function planClients(
  source: ConfigRows,
  present: ConfigRows,
): { readonly added: ConfigRow[]; readonly kept: number } {
  const byId = new Map(present.client_tokens.map((row) => [idOf(row), row]));
  const taken = new Set(present.client_tokens.flatMap((row) => [row[CLIENT.name], row[CLIENT.sha256]]));
  const added = source.client_tokens.filter((row) =>
    row[0] !== null && !byId.has(idOf(row)) &&
    ![row[CLIENT.name], row[CLIENT.sha256]].some((value) => value !== null && taken.has(value))
  );
  const kept = source.client_tokens.filter((row) => {
    const there = byId.get(idOf(row));
    return there !== undefined && !isSame(there, row);
  }).length;
  return { added, kept };
}

/** null: no index keeps it from being there twice. */
function targetOf(row: ConfigRow): string | null {
  const [sk, endpoint] = [row[UPSTREAM.sk], row[UPSTREAM.endpoint]];
  return sk === null || endpoint === null ? null : JSON.stringify([sk, endpoint]);
}

function tokensOf({ config_kvs }: ConfigRows): string[] {
  return config_kvs
    .filter((row) => row[SETTING.key] === TOKENS_KEY && row[SETTING.deletedAt] === null)
    .flatMap((row) => splitTokens(String(row[SETTING.value] ?? "")));
}

function isSame(one: ConfigRow, other: ConfigRow): boolean {
  return one.every((value, place) => value === other[place]);
}

/** What PostgreSQL cannot store is replaced. */
function cleanedRows(rows: ConfigRows): ConfigRows {
  const clean = (table: ConfigTable): ConfigRow[] =>
    rows[table].map((row) => row.map((value) => typeof value === "string" ? cleanString(value) : value));
  return {
    openai_upstreams: clean("openai_upstreams"),
    config_kvs: clean("config_kvs"),
    upstream_checks: clean("upstream_checks"),
    client_tokens: clean("client_tokens"),
  };
}
