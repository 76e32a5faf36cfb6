/**
 * openai-api-route itself: executable or source, with a token, its log and a database on disk, as people run it.
 */
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { V8_FLAGS } from "../../build.ts";
import { BenchError, pause, type Processes, untilReady } from "../processes.ts";
import type { Answered, Contender, Endpoint, Place } from "./contender.ts";

const main = new URL("../../../main.ts", import.meta.url).pathname;
const TOKEN = "bench-token-0123456789";
const LIMITED_TOKEN = "bench-limited-0123456789";
const AUDIT_LIMIT_MS = 20_000;
const SETUP_LIMIT_MS = 30_000;
const POLL_MS = 50;

/** The program to run and its leading arguments. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** For the report. */
  readonly note: string;
}

export interface UpstreamRow {
  readonly name: string;
  readonly endpoint: string;
  /** Globs of models, separated by commas; empty: all. */
  readonly allow: string;
}

/** The executable at that path, or the source. */
export function oursProgram(executable: string | null): Program {
  if (executable !== null) return { command: executable, args: [], note: executable };
  const args = ["run", "-A", "--no-check", "--quiet", `--v8-flags=${V8_FLAGS.join(",")}`, main];
  return { command: Deno.execPath(), args, note: "from source" };
}

export interface OursOptions {
  /** Default: the upstream of the scenario, for all models. */
  readonly upstreams?: (upstreamPort: number) => readonly UpstreamRow[];
  /** A database whose copy to start from; default: an empty one. */
  readonly template?: string;
  /** Clients send a token with every kind of limit, none of which is reached. */
  readonly hasLimits?: boolean;
}

export function oursContender(program: Program, version: string, options: OursOptions = {}): Contender {
  const token = options.hasLimits === true ? "token with limits and a budget" : "token";
  return {
    name: options.hasLimits === true ? "limited" : "ours",
    note: `${version}, ${program.note}: ${token} checked, every request recorded, log to a file`,
    start: (place) => startOurs(program, place, options),
  };
}

async function startOurs(program: Program, place: Place, options: OursOptions): Promise<Endpoint> {
  const { processes, directory, upstreamPort, core } = place;
  const own = await Deno.makeTempDir({ dir: directory, prefix: "ours-" });
  const database = `${own}/db.sqlite`;
  if (options.template !== undefined) await Deno.copyFile(options.template, database);
  await makeDatabase(processes, program, database);
  const rows = options.upstreams?.(upstreamPort) ??
    [{ name: "upstream", endpoint: `http://127.0.0.1:${upstreamPort}/v1`, allow: "" }];
  insertUpstreams(database, rows);
  if (options.hasLimits === true) insertLimitedToken(database);
  const service = processes.start({
    name: "ours",
    command: program.command,
    args: [...program.args, "serve", "--addr", "127.0.0.1:0", "--database", database],
    core,
  });
  const port = await untilReady(service, async () => {
    const port = /^listening on http:\/\/127\.0\.0\.1:(\d+)/m.exec(await service.output())?.[1];
    return port === undefined ? null : Number(port);
  });
  const books = new Books(database);
  return {
    name: options.hasLimits === true ? "limited" : "ours",
    port,
    headers: { authorization: `Bearer ${options.hasLimits === true ? LIMITED_TOKEN : TOKEN}` },
    service,
    database,
    isBehind: () => books.unindexedCount() > 0,
    audit: (since) => books.audit(since),
  };
}

/** Creates it when it is missing, and sets the token that clients send. */
export async function makeDatabase(
  processes: Processes,
  { command, args }: Program,
  path: string,
): Promise<void> {
  const setup = { name: "token", command, args: [...args, "token", "set", TOKEN, "--database", path] };
  await processes.run(setup, SETUP_LIMIT_MS);
}

function insertUpstreams(path: string, rows: readonly UpstreamRow[]): void {
  const db = new DatabaseSync(path);
  try {
    const insert = db.prepare("INSERT INTO openai_upstreams(sk, endpoint, name, allow) VALUES (?, ?, ?, ?)");
    for (const { name, endpoint, allow } of rows) insert.run(`sk-bench-${name}`, endpoint, name, allow);
  } finally {
    db.close();
  }
}

function insertLimitedToken(path: string): void {
  const db = new DatabaseSync(path);
  try {
    db.prepare(
      `INSERT INTO client_tokens(name, sha256, hint, rpm, tpm, max_parallel, budget_usd, budget_period)
        VALUES ('limited', ?, 'bench', 100000000, 1000000000000, 100000, '1000000', 'month')`,
    ).run(createHash("sha256").update(LIMITED_TOKEN).digest("hex"));
  } finally {
    db.close();
  }
}

/** Reads the records of a running router. */
class Books {
  readonly #path: string;
  #lastId: number;

  constructor(path: string) {
    this.#path = path;
    this.#lastId = this.#number("SELECT coalesce(max(id), 0) FROM records");
  }

  /** Records that the full-text index does not have yet. */
  unindexedCount(): number {
    return this.#number(
      "SELECT (SELECT coalesce(max(id), 0) FROM records) - high + (SELECT count(*) FROM search_queue) FROM search_progress",
    );
  }

  /**
   * Expects one complete record for each answer, and at most one other record for each request that was cut
   * off.
   */
  async audit({ answered, unfinished }: Answered): Promise<void> {
    const deadlineMs = performance.now() + AUDIT_LIMIT_MS;
    for (;;) {
      const all = this.#number("SELECT count(*) FROM records WHERE id > ?", this.#lastId);
      const complete = this.#number(
        "SELECT count(*) FROM records WHERE id > ? AND outcome = 'complete' AND status = 200",
        this.#lastId,
      );
      if (complete >= answered && all <= answered + unfinished) break;
      if (performance.now() > deadlineMs) {
        throw new BenchError(
          `ours answered ${answered} requests (and up to ${unfinished} that were cut off), but has ${all} records, ${complete} of them complete`,
        );
      }
      await pause(POLL_MS);
    }
    this.#lastId = this.#number("SELECT coalesce(max(id), 0) FROM records");
  }

  #number(sql: string, ...parameters: readonly number[]): number {
    const db = new DatabaseSync(this.#path, { readOnly: true, timeout: 5_000 });
    try {
      return Number(Object.values(db.prepare(sql).get(...parameters) ?? {})[0] ?? 0);
    } finally {
      db.close();
    }
  }
}
