/**
 * A database like one after months of use: created by the program, filled by SQL, indexed by the program's
 * own code, and kept for later runs.
 */
import { DatabaseSync } from "node:sqlite";
import { monotonicFactory } from "ulid";
import { toGoTime } from "../../src/store/database/go_time.ts";
import { SearchIndex } from "../../src/store/search/index.ts";
import { makeDatabase, type Program } from "./contenders/ours.ts";
import { cacheFolder, isFile } from "./npm_cache.ts";
import type { Processes } from "./processes.ts";

const FIRST_MS = Date.UTC(2025, 0, 1);
const INTERVAL_MS = 15_000;
const ROWS_PER_TRANSACTION = 20_000;
const BODY_WORDS = 130;
const REPLY_WORDS = 45;
const VOCABULARY = 20_000;

/** A word that occurs in every record, and one that occurs in a single record. */
export const COMMON_WORD = "everywhere";
export const RARE_WORD = "shibboleth";

/** The parameters of the content: changing them makes a new database. */
const SOURCES = [
  "../../src/store/database/migrations.ts",
  "../../src/store/search/text.ts",
  "../../src/store/search/index.ts",
  "seeded_database.ts",
];

export interface SeedOptions {
  readonly processes: Processes;
  readonly program: Program;
  readonly records: number;
  readonly say: (text: string) => void;
}

/** The path of a database with that many records, all in the full-text index. */
export async function seededDatabase({ processes, program, records, say }: SeedOptions): Promise<string> {
  const path = `${cacheFolder()}/seeded-${records}-${await sourceHash()}.sqlite`;
  if (await isFile(path)) return path;
  const unfinished = `${path}.unfinished`;
  await removeDatabase(unfinished);
  await makeDatabase(processes, program, unfinished);
  const db = new DatabaseSync(unfinished);
  try {
    // No sync is needed: a database lost in a crash is made again.
    db.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144");
    fill(db, records, say);
    index(db, records, say);
    db.exec("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
  } finally {
    db.close();
  }
  await Deno.rename(unfinished, path);
  return path;
}

function fill(db: DatabaseSync, records: number, say: (text: string) => void): void {
  const insert = db.prepare(
    `INSERT INTO records(request_id, created_at, ip, body, model, response, elapsed_time,
    status, upstream_id, authorization, method, path, is_stream, outcome, attempts, first_byte_ms, input_tokens,
    output_tokens, finish_reason, response_model, request_bytes, response_bytes, user_agent, client, is_truncated)
    VALUES (?, ?, '127.0.0.1', ?, 'gpt-4o-mini', ?, 812345678, 200, 1, 'sk-…6789', 'POST', '/v1/chat/completions',
    0, 'complete', 1, 790, 230, 60, 'stop', 'gpt-4o-mini-2024-07-18', ?, 700, 'OpenAI/Python', 'default', 0)`,
  );
  const attempt = db.prepare(
    "INSERT INTO attempts(record_id, n, upstream_id, started_at, duration_ms, status) VALUES (?, 1, 1, ?, 790, 200)",
  );
  const nextId = monotonicFactory();
  const words = new Words();
  for (let done = 0; done < records;) {
    db.exec("BEGIN");
    for (const end = Math.min(records, done + ROWS_PER_TRANSACTION); done < end; done++) {
      const atMs = FIRST_MS + done * INTERVAL_MS;
      const time = toGoTime(atMs);
      const marker = done === Math.floor(records / 2) ? `${RARE_WORD} ` : "";
      const body = JSON.stringify({
        model: "gpt-4o-mini",
        messages: [
          { role: "system", content: "You are a helpful assistant." },
          { role: "user", content: `${COMMON_WORD} ${marker}${words.next(BODY_WORDS)}` },
        ],
      });
      const { lastInsertRowid } = insert.run(nextId(atMs), time, body, words.next(REPLY_WORDS), body.length);
      attempt.run(lastInsertRowid, time);
    }
    db.exec("COMMIT");
    if (done % 200_000 === 0) say(`seeding: ${done} records`);
  }
}

function index(db: DatabaseSync, records: number, say: (text: string) => void): void {
  const search = new SearchIndex(db, Deno.pid);
  const indexed = db.prepare("SELECT high - low AS count FROM search_progress");
  let reported = 0;
  while (search.step()) {
    const count = Number(indexed.get()?.["count"] ?? 0);
    if (count - reported < 100_000) continue;
    reported = count;
    say(`seeding: ${count} of ${records} records indexed`);
  }
}

/** Invented words, some much more frequent than others, the same in every run. */
class Words {
  readonly #all = Array.from({ length: VOCABULARY }, (_, index) => wordOf(index));
  #state = 1;

  next(count: number): string {
    let text = "";
    for (let index = 0; index < count; index++) {
      const random = this.#random();
      text += `${index === 0 ? "" : " "}${this.#all[Math.floor(random * random * random * VOCABULARY)]}`;
    }
    return text;
  }

  /** From 0 to 1, by a linear congruential generator. */
  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }
}

function wordOf(index: number): string {
  const syllables = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
  ];
  let word = "";
  for (let rest = index + 15; rest > 0; rest = Math.floor(rest / 15)) word += syllables[rest % 15];
  return word;
}

async function sourceHash(): Promise<string> {
  let text = "";
  for (const path of SOURCES) text += await Deno.readTextFile(new URL(path, import.meta.url));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex().slice(0, 8);
}

async function removeDatabase(path: string): Promise<void> {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) {
    await Deno.remove(`${path}${suffix}`).catch(() => {});
  }
}
