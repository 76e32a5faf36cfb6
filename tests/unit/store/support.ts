/**
 * What the tests of the store share: records, clocks, temporary databases, waiting without sleeping.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../src/server/clock.ts";
import type { RequestRecord } from "../../../src/core/types.ts";
import { KEEP_EVERYTHING, type RetentionLimits } from "../../../src/store/write/retention.ts";
import { RecordQueue, type RecordQueueOptions } from "../../../src/store/write/record_queue.ts";
import { UpstreamStateNotes } from "../../../src/store/write/upstream_state_notes.ts";
import { WorkerLink, type WorkerLinkOptions } from "../../../src/store/write/worker_link.ts";
import { WriterSession } from "../../../src/store/write/session.ts";

/** A settled record with two attempts; `changes` overrides. */
export function makeRecord(changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    requestId: crypto.randomUUID(),
    createdAtMs: Date.UTC(2024, 0, 2, 3, 4, 5, 678),
    ip: "192.0.2.1",
    method: "POST",
    path: "/v1/chat/completions",
    body: '{"model":"gpt-4o","messages":[]}',
    model: "gpt-4o",
    isStream: true,
    response: "Hello",
    reasoning: "",
    toolCalls: [],
    responseModel: "gpt-4o-2024",
    finishReason: "stop",
    usage: { inputTokens: 3, outputTokens: 5, cachedTokens: null, reasoningTokens: 0 },
    elapsedMs: 1234.5,
    firstByteMs: 100,
    firstTokenMs: 120,
    status: 200,
    outcome: "complete",
    upstreamId: 2,
    attempts: [
      {
        index: 1,
        upstreamId: 1,
        upstreamName: "one",
        startedAtMs: Date.UTC(2024, 0, 2, 3, 4, 5, 678),
        durationMs: 10,
        status: null,
        errorClass: "connect_error",
        message: "connection refused",
        partial: "Hel",
        keyN: null,
        isChanged: false,
        usage: { inputTokens: 3, outputTokens: 1, cachedTokens: null, reasoningTokens: null },
        costNano: 700,
      },
      {
        index: 2,
        upstreamId: 2,
        upstreamName: "two",
        startedAtMs: Date.UTC(2024, 0, 2, 3, 4, 5, 690),
        durationMs: 1200,
        status: 200,
        errorClass: null,
        message: null,
        partial: null,
        keyN: 2,
        isChanged: true,
        usage: null,
        costNano: null,
      },
    ],
    authorization: "sk-…wxyz",
    client: "alice",
    userAgent: "curl/8",
    requestBytes: 33,
    responseBytes: 500,
    error: null,
    isTruncated: false,
    affinity: null,
    queuedMs: null,
    areTokensEstimated: false,
    costNano: null,
    ...changes,
  };
}

/** Runs a test with the path of a database in a directory of its own, which is removed afterwards. */
export async function withDirectory(
  body: (path: string, directory: string) => Promise<void> | void,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "oar-store-" });
  try {
    await body(join(directory, "db.sqlite"), directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Runs statements in a connection of its own, as a person with a SQLite client would. */
export function byHand(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA busy_timeout = 5000; ${sql}`);
  } finally {
    db.close();
  }
}

/** All rows of a query in a connection of its own. */
export function rowsOf(path: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare(sql).all().map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

const UNTIL_LIMIT_MS = 20_000;

/** Waits for a condition; fails after 20 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + UNTIL_LIMIT_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Counts what the writer reports. */
export class Meter {
  written = 0;
  readonly dropped: Record<string, number> = {};
  batches = 0;
  queueBytes = 0;
  readonly deleted: Record<string, number> = {};
  bodies = 0;
  readonly troubles: string[] = [];
  resumed = 0;

  recordWritten(count: number): void {
    this.written += count;
  }
  recordDropped(reason: string, count: number): void {
    this.dropped[reason] = (this.dropped[reason] ?? 0) + count;
  }
  recordCommitted(_durationMs: number): void {
    this.batches++;
  }
  recordQueue(bytes: number): void {
    this.queueBytes = bytes;
  }
  recordsDeleted(reason: string, count: number): void {
    this.deleted[reason] = (this.deleted[reason] ?? 0) + count;
  }
  bodiesDeleted(count: number): void {
    this.bodies += count;
  }
}

export function spawnWriterWorker(): Worker {
  return new Worker(new URL("../../../src/store/write/worker.ts", import.meta.url).href, { type: "module" });
}

/** A writer over the real worker, with what it reports. */
export function makeWriter(
  path: string,
  { clock, maxQueueBytes, closeLimitMs, ...options }: Partial<WorkerLinkOptions & RecordQueueOptions> = {},
): { readonly writer: RecordQueue; readonly meter: Meter; readonly upstreamStates: UpstreamStateNotes } {
  const meter = new Meter();
  const link = new WorkerLink({
    spawnWorker: spawnWriterWorker,
    path,
    durability: "normal",
    instance: crypto.randomUUID(),
    ...options,
  });
  const upstreamStates = new UpstreamStateNotes(link);
  const writer = new RecordQueue({
    link,
    observer: meter,
    clock: clock ?? systemClock,
    ...(maxQueueBytes === undefined ? {} : { maxQueueBytes }),
    ...(closeLimitMs === undefined ? {} : { closeLimitMs }),
    onTrouble: (reason) => meter.troubles.push(reason),
    onResumed: () => meter.resumed++,
  });
  return { writer, meter, upstreamStates };
}

/** The writing side without its thread. */
export function makeSession(
  path: string,
  retention: RetentionLimits = KEEP_EVERYTHING,
  instance: string = crypto.randomUUID(),
): WriterSession {
  return new WriterSession({
    timeZone: "UTC",
    path,
    durability: "normal",
    instance,
    pid: Deno.pid,
    busyTimeoutMs: 5_000,
    retention,
  });
}

/** Indexes until nothing is left; gives the number of steps. */
export function indexAll(session: WriterSession): number {
  let steps = 1;
  while (session.index()) steps++;
  return steps;
}

/** A thread that dies at its first batch. */
export function brokenWorker(): Worker {
  const source = "self.onmessage = ({ data }) => { if (data.type === 'batch') throw new Error('broken'); };";
  return new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
}
