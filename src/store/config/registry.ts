/**
 * The live snapshot of upstreams and tokens.
 *
 * Owns when the configuration is read again and what of it is usable. A snapshot never changes once it was
 * given out; the last good one stays while the database cannot be read.
 */
import { messageOf } from "../../core/errors.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { OrderPolicy, Upstream } from "../../core/types.ts";
import { readClientTokens } from "./client_token_row.ts";
import { adminTokenOf } from "./initial_tokens.ts";
import type { ConfigStore, RegistryListener, RegistrySnapshot, RegistryView, UpstreamRow } from "../store.ts";
import { parseUpstreamRow } from "./upstream_row.ts";

const DEFAULT_POLL_MS = 500; // docs/tuning.md#store-read

const POLICIES: ReadonlyMap<string, OrderPolicy> = new Map([
  ["main", "order"],
  ["order", "order"],
  ["random", "random"],
  ["round_robin", "round_robin"],
  ["least_latency", "least_latency"],
  ["fastest", "fastest"],
  ["cheapest", "cheapest"],
]);

export interface RegistryOptions {
  readonly store: ConfigStore;
  readonly clock: Clock;
  /** Default 500. */
  readonly pollMs?: number;
  /** Called once per problem, and again when it comes back after it was gone. No secret in the message. */
  readonly onProblem: (message: string) => void;
}

export class Registry implements RegistryView {
  readonly #options: RegistryOptions;
  readonly #callbacks = new Set<RegistryListener>();
  #rows: readonly UpstreamRow[] = [];
  #snapshot: RegistrySnapshot = {
    version: 0,
    upstreams: [],
    tokens: [],
    clientRules: [],
    adminToken: null,
    policy: null,
    problems: [],
  };
  #loadedDataVersion: number | null = null;
  /** What the snapshot was made of; most commits are records and change nothing here. */
  #loadedContent = "";
  #readProblem: string | null = null;
  #timer: TimerId | null = null;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  snapshot(): RegistrySnapshot {
    return this.#snapshot;
  }

  onChange(callback: RegistryListener): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Loads at once, then polls until {@link stop}. */
  start(): void {
    this.stop();
    this.#poll();
  }

  stop(): void {
    if (this.#timer !== null) this.#options.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  /** Loads now, without waiting for the next poll. Returns whether the database could be read. */
  reloadNow(): boolean {
    this.#loadedDataVersion = null;
    return this.#refresh();
  }

  #poll(): void {
    this.#refresh();
    this.#timer = this.#options.clock.setTimer(() => this.#poll(), this.#options.pollMs ?? DEFAULT_POLL_MS);
  }

  #refresh(): boolean {
    try {
      const dataVersion = this.#options.store.dataVersion();
      if (dataVersion !== this.#loadedDataVersion) {
        this.#load();
        this.#loadedDataVersion = dataVersion;
      }
      this.#readProblem = null;
      return true;
    } catch (error) {
      const problem = `The configuration cannot be read, the last one stays in use: ${messageOf(error)}`;
      if (problem !== this.#readProblem) this.#options.onProblem(problem);
      this.#readProblem = problem;
      return false;
    }
  }

  #load(): void {
    const { store } = this.#options;
    const rows = store.listUpstreams();
    const tokens = store.listTokens();
    const tokenRows = store.listClientTokens();
    const policyValue = store.getConfig("policy")?.trim() ?? "";
    const adminToken = adminTokenOf(store);
    const usageRefusals = store.listUsageRefusals();
    const content = JSON.stringify([rows, tokens, tokenRows, adminToken, policyValue, usageRefusals]);
    if (content === this.#loadedContent) return;
    const { upstreams, problems } = readRows(rows);
    const clients = readClientTokens(tokenRows, tokens);
    problems.push(...clients.problems);
    const policy = POLICIES.get(policyValue) ?? null;
    if (policy === null && policyValue !== "") {
      problems.push(
        `config_kvs.policy is ignored: it is none of ${
          [...POLICIES.keys()].join(", ")
        }; set it to one of them`,
      );
    }
    const known = new Set(this.#snapshot.problems);
    this.#snapshot = Object.freeze({
      version: this.#snapshot.version + 1,
      upstreams: Object.freeze(upstreams),
      tokens: Object.freeze(tokens),
      clientRules: Object.freeze(clients.rules),
      adminToken,
      policy,
      problems: Object.freeze(problems),
      usageRefusals,
    });
    this.#loadedContent = content;
    for (const problem of problems) {
      if (!known.has(problem)) this.#options.onProblem(problem);
    }
    const enabledAnew = enabledSince(this.#rows, rows);
    this.#rows = rows;
    for (const callback of this.#callbacks) callback(this.#snapshot, enabledAnew);
  }
}

/**
 * The ids of rows that were enabled since `before`. The command `enable` changes nothing in a row that is enabled already
 * but the time of its last change.
 */
function enabledSince(before: readonly UpstreamRow[], rows: readonly UpstreamRow[]): Set<number> {
  const known = new Map(before.map((row) => [row.id, row]));
  const enabled = rows.filter((row) => {
    const old = known.get(row.id);
    if (old === undefined || row.enabled === 0 || row.updatedAt === old.updatedAt) {
      return old?.enabled === 0 && row.enabled !== 0;
    }
    return old.enabled === 0 ||
      JSON.stringify({ ...row, updatedAt: null }) === JSON.stringify({ ...old, updatedAt: null });
  });
  return new Set(enabled.map(({ id }) => id));
}

function readRows(rows: readonly UpstreamRow[]): { upstreams: Upstream[]; problems: string[] } {
  const upstreams: Upstream[] = [];
  const problems: string[] = [];
  for (const row of rows) {
    const result = parseUpstreamRow(row);
    if (result.isValid) upstreams.push(result.upstream);
    else problems.push(`Upstream ${row.id} is skipped: ${result.problem} (correct it with "edit ${row.id}")`);
  }
  return { upstreams: withUniqueNames(upstreams), problems };
}

/** The oldest upstream keeps a shared name, so that adding or moving another renames nothing. */
function withUniqueNames(upstreams: readonly Upstream[]): Upstream[] {
  const owners = new Map<string, number>();
  for (const { id, name } of upstreams) owners.set(name, Math.min(owners.get(name) ?? id, id));
  return upstreams.map((upstream) => {
    if (owners.get(upstream.name) === upstream.id) return Object.freeze(upstream);
    let name = `${upstream.name}#${upstream.id}`;
    while (owners.has(name)) name += "'";
    owners.set(name, upstream.id);
    return Object.freeze({ ...upstream, name });
  });
}
