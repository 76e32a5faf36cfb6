/**
 * Fills a database with the records of a busy month, through the router's own row code.
 *
 * Deterministic: the same number gives the same records, apart from the end of the period.
 */
import { ulid } from "ulid";
import type { RequestRecord } from "../../../src/core/types.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import { KEEP_EVERYTHING } from "../../../src/store/write/retention.ts";
import { WriterSession } from "../../../src/store/write/session.ts";

export interface SeedOptions {
  readonly path: string;
  readonly count: number;
  /** The newest record's time, milliseconds since the Unix epoch. */
  readonly endMs: number;
  readonly onProgress: (what: string, done: number) => void;
}

const BATCH_RECORDS = 4_000;
const SPAN_MS = 30 * 86_400_000;
const WORDS = 20_000;
const REPORT_EVERY = 100_000;

const MODELS = [
  "gpt-4o",
  "gpt-4o",
  "gpt-4o-mini",
  "gpt-4o-mini",
  "claude-sonnet-4",
  "o3",
  "text-embedding-3-small",
];
const CLIENTS = ["alice", "bob", "carol", "ci", "phone"];
const UPSTREAM_NAMES = ["first", "second", "third", "fourth"];

/** A word that occurs in one record only. */
export const RARE_WORD = "shibboleth";
/** A word that occurs in one record of a thousand. */
export const SELDOM_WORD = "seldomword";

/** Writes and indexes the records. */
export function seed({ path, count, endMs, onProgress }: SeedOptions): void {
  const database = openDatabase(path);
  for (const name of UPSTREAM_NAMES) {
    database.config.addUpstream({
      sk: `sk-bench-${name}-0123456789`,
      endpoint: `https://${name}.example/v1`,
      name,
    });
  }
  database.close();
  const session = new WriterSession({
    timeZone: "UTC",
    path,
    durability: "normal",
    instance: "seed",
    pid: Deno.pid,
    busyTimeoutMs: 5_000,
    retention: KEEP_EVERYTHING,
  });
  const random = new Random(42);
  for (let first = 0; first < count; first += BATCH_RECORDS) {
    const length = Math.min(BATCH_RECORDS, count - first);
    session.write(Array.from({ length }, (_, index) => {
      const number = first + index;
      return makeRecord(number, { random, atMs: Math.round(endMs - SPAN_MS * (1 - (number + 1) / count)) });
    }));
    if (Math.floor((first + length) / REPORT_EVERY) > Math.floor(first / REPORT_EVERY)) {
      onProgress("records written", first + length);
    }
  }
  let steps = 0;
  while (session.index()) if (++steps % 10_000 === 0) onProgress("steps of indexing", steps);
  session.close();
}

function makeRecord(
  number: number,
  { random, atMs }: { readonly random: Random; readonly atMs: number },
): RequestRecord {
  const hasFailed = random.below(50) === 0;
  const isStream = random.below(3) > 0;
  const model = random.pick(MODELS);
  const upstreamId = 1 + Math.min(random.below(6), UPSTREAM_NAMES.length - 1);
  const isSecondTry = random.below(20) === 0;
  const elapsedMs = 200 + random.below(4_000) + (random.below(20) === 0 ? 20_000 : 0);
  const body = JSON.stringify({
    model,
    stream: isStream,
    messages: [
      { role: "system", content: `You are a helpful assistant. ${random.sentence(20)}` },
      { role: "user", content: random.sentence(110) },
    ],
  });
  const words = [
    ...(number === 77 ? [RARE_WORD] : []),
    ...(number % 1_000 === 0 ? [SELDOM_WORD] : []),
    random.sentence(60),
  ];
  return {
    requestId: ulid(atMs),
    createdAtMs: atMs,
    ip: "192.0.2.1",
    method: "POST",
    path: "/v1/chat/completions",
    body,
    model,
    isStream,
    response: hasFailed ? '{"error":{"message":"overloaded"}}' : words.join(" "),
    reasoning: "",
    toolCalls: [],
    responseModel: model,
    finishReason: hasFailed ? null : "stop",
    usage: hasFailed
      ? null
      : { inputTokens: 180, outputTokens: 20 + random.below(400), cachedTokens: 0, reasoningTokens: null },
    elapsedMs,
    firstByteMs: 100,
    firstTokenMs: isStream && !hasFailed ? 100 + random.below(900) : null,
    status: hasFailed ? 503 : 200,
    outcome: hasFailed ? "upstream_error" : "complete",
    upstreamId,
    attempts: [
      ...(isSecondTry ? [attempt(1, { upstreamId: 1 + (upstreamId % 4), atMs, hasFailed: true })] : []),
      attempt(isSecondTry ? 2 : 1, { upstreamId, atMs, hasFailed }),
    ],
    authorization: "sk-…wxyz",
    client: random.pick(CLIENTS),
    userAgent: "openai-python/2",
    requestBytes: body.length,
    responseBytes: 2_000,
    error: hasFailed ? "HTTP 503" : null,
    isTruncated: false,
    ...{ affinity: null, queuedMs: null, areTokensEstimated: false, costNano: null },
  };
}

function attempt(
  index: number,
  { upstreamId, atMs, hasFailed }: {
    readonly upstreamId: number;
    readonly atMs: number;
    readonly hasFailed: boolean;
  },
): RequestRecord["attempts"][number] {
  return {
    index,
    upstreamId,
    upstreamName: UPSTREAM_NAMES[upstreamId - 1] ?? "",
    startedAtMs: atMs,
    durationMs: 300,
    status: hasFailed ? 503 : 200,
    errorClass: hasFailed ? "http_status" : null,
    message: hasFailed ? "HTTP 503" : null,
    partial: null,
    keyN: null,
    isChanged: false,
  };
}

const SYLLABLES = [
  "ba",
  "ce",
  "di",
  "fo",
  "gu",
  "ha",
  "ki",
  "lo",
  "mu",
  "ne",
  "pa",
  "ri",
  "so",
  "tu",
  "ve",
  "wa",
];

/** https://en.wikipedia.org/wiki/Linear_congruential_generator ; the same on every run. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * limit);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  /** Words with the frequencies of natural language: a few frequent, most rare. */
  sentence(words: number): string {
    return Array.from({ length: words }, () => wordOf(Math.floor(WORDS ** (this.below(10_000) / 10_000))))
      .join(" ");
  }
}

function wordOf(rank: number): string {
  let word = "";
  for (let rest = rank + 1; rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
    word += SYLLABLES[rest % SYLLABLES.length];
  }
  return word;
}
