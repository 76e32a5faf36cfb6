/**
 * How fast the admin page's questions are answered from many records, through the real HTTP API:
 * `deno task bench:admin [--records 1000000] [--database PATH]`.
 *
 * Makes the database (kept when `--database` names it, and used again), runs the program, prints medians, and ends
 * with 1 when one is above its goal.
 */
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { RARE_WORD, seed, SELDOM_WORD } from "./admin/seed.ts";

const ROUNDS = 15;
const WARM_UP_ROUNDS = 2;
const OVERVIEW_GOAL_MS = 200;
const LIST_GOAL_MS = 100;

interface Question {
  readonly name: string;
  readonly path: string;
  readonly goalMs: number;
}

function questions(count: number): Question[] {
  const list = (name: string, query: string) => ({
    name,
    path: `/api/records?${query}`,
    goalMs: LIST_GOAL_MS,
  });
  const stats = (range: string) => ({
    name: `overview, ${range}`,
    path: `/api/stats?range=${range}`,
    goalMs: OVERVIEW_GOAL_MS,
  });
  const half = Math.ceil(count / 2);
  const dayAgo = Date.now() - 86_400_000;
  return [
    stats("15m"),
    stats("24h"),
    stats("30d"),
    { name: "overview, upstream cards", path: "/api/upstreams", goalMs: OVERVIEW_GOAL_MS },
    { name: "overview as a page, 30d", path: "?range=30d", goalMs: OVERVIEW_GOAL_MS },
    list("list, newest", "limit=50"),
    list("list, from the middle", `limit=50&before=${half}`),
    list("list, one model", "limit=50&model=o3"),
    list("list, model glob and status", "limit=50&model=gpt-4*&status=5xx"),
    list("list, last day, one client", `limit=50&since=${dayAgo}&client=alice`),
    list("list, a filter that nothing meets", "limit=50&outcome=crashed"),
    list("search, a rare word", `limit=50&q=${RARE_WORD}`),
    list("search, one in a thousand", `limit=50&q=${SELDOM_WORD}`),
    list("search, a word of nearly all", "limit=50&q=helpful"),
    list("search, a beginning", "limit=50&q=help"),
    list("search, a phrase", "limit=50&q=%22a%20helpful%20assistant%22"),
    list("search, two words and a filter", `limit=50&q=helpful%20${SELDOM_WORD}&status=200&model=gpt-4o*`),
    list("search, a word of nobody", "limit=50&q=nowhereatall"),
    list("search, a filter that nothing meets", "limit=50&q=helpful&outcome=crashed"),
    { name: "list as a page", path: "/records", goalMs: LIST_GOAL_MS },
    { name: "one record", path: `/api/records/${half}`, goalMs: LIST_GOAL_MS },
  ];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { records: { type: "string", default: "1000000" }, database: { type: "string" } },
  });
  const count = Number(values.records);
  if (!Number.isSafeInteger(count) || count < 1) {
    console.error("--records must be a whole number from 1 on");
    return 2;
  }
  const directory = await Deno.makeTempDir({ prefix: "oar-admin-bench-" });
  const path = values.database ?? `${directory}/db.sqlite`;
  try {
    prepare(path, count);
    return await measure(path, count);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function prepare(path: string, count: number): void {
  const there = countRecords(path);
  if (there > 0) return console.log(`using ${path} with ${there} records`);
  const startedMs = performance.now();
  seed({
    path,
    count,
    endMs: Date.now(),
    onProgress: (what, done) => console.log(`  ${done} ${what}, ${seconds(startedMs)}`),
  });
  const { size } = Deno.statSync(path);
  console.log(`made ${count} records in ${seconds(startedMs)}, ${(size / 1e9).toFixed(2)} GB`);
}

function countRecords(path: string): number {
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      return Number(db.prepare("SELECT max(id) AS n FROM records").get()?.["n"] ?? 0);
    } finally {
      db.close();
    }
  } catch {
    // There is no database yet.
    return 0;
  }
}

async function measure(path: string, count: number): Promise<number> {
  const startedMs = performance.now();
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", main, "serve", "--addr", "127.0.0.1:0", "--database", path],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const port = await portOf(server.stdout);
    console.log(`the server listens after ${seconds(startedMs)}`);
    const ask = asker(port, adminTokenOf(path));
    const rows = [];
    for (const question of questions(count)) {
      rows.push({ ...question, medianMs: await median(ask, question) });
    }
    for (const { name, medianMs, goalMs } of rows) {
      const verdict = medianMs < goalMs ? "ok" : "SLOW";
      console.log(
        `${name.padEnd(36)} ${medianMs.toFixed(1).padStart(8)} ms   goal ${goalMs} ms   ${verdict}`,
      );
    }
    return rows.every(({ medianMs, goalMs }) => medianMs < goalMs) ? 0 : 1;
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

function adminTokenOf(path: string): string {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return String(db.prepare("SELECT value FROM config_kvs WHERE key = 'admin'").get()?.["value"]);
  } finally {
    db.close();
  }
}

function asker(port: number, token: string): (question: Question) => Promise<void> {
  return async ({ path, name }) => {
    const accept = path.startsWith("/api") ? "application/json" : "text/html";
    const response = await fetch(`http://127.0.0.1:${port}/admin${path}`, {
      headers: { authorization: `Bearer ${token}`, accept },
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${name}: ${response.status} ${text}`);
  };
}

async function median(ask: (question: Question) => Promise<void>, question: Question): Promise<number> {
  const durations: number[] = [];
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    const startedMs = performance.now();
    await ask(question);
    if (round >= WARM_UP_ROUNDS) durations.push(performance.now() - startedMs);
  }
  return durations.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}

async function portOf(output: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<number> {
  let text = "";
  for await (const part of output.pipeThrough(new TextDecoderStream()).values({ preventCancel: true })) {
    text += part;
    const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`the server did not start: ${text}`);
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

if (import.meta.main) Deno.exit(await main());
