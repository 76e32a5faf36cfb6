/**
 * What the tests of the `records` commands share: a real database, written by the real writer, and a terminal.
 */
import assert from "node:assert/strict";
import { runProgram } from "../../../src/cli/program.ts";
import type { RequestRecord } from "../../../src/core/types.ts";
import { byHand, makeRecord, makeWriter } from "../store/support.ts";

export interface Result {
  readonly exitCode: number;
  /** Standard output. */
  readonly out: string;
  /** Standard error. */
  readonly err: string;
}

export interface RunOptions {
  readonly columns?: number;
  readonly env?: Record<string, string>;
}

export interface Bench {
  readonly path: string;
  readonly directory: string;
  /** Runs `records ...`. */
  run(args: readonly string[], options?: RunOptions): Promise<Result>;
  /** Runs it and demands success. Returns standard output. */
  do(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Commits records, in this order; gives them the numbers 1, 2, ... */
  write(...records: Partial<RequestRecord>[]): Promise<void>;
  sql(statement: string): void;
}

/** A test with a database that holds these records. */
export function test(
  name: string,
  records: readonly Partial<RequestRecord>[],
  body: (bench: Bench) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir({ prefix: "oar-records-" });
    const path = `${directory}/db.sqlite`;
    const run = async (args: readonly string[], options: RunOptions = {}): Promise<Result> => {
      const out: string[] = [];
      const err: string[] = [];
      const exitCode = await runProgram(["records", ...args], {
        terminal: {
          print: (line) => void out.push(line),
          note: (line) => void err.push(line),
          readInput: () => Promise.resolve(""),
          columns: options.columns ?? null,
          isReaderGone: false,
        },
        env: { OAR_DATABASE: path, ...options.env },
      });
      const result = { exitCode, out: out.join("\n"), err: err.join("\n") };
      assert.doesNotMatch(result.err, /\n\s+at /);
      if (exitCode !== 0) assert.match(result.err, /^openai-api-route: [^\n]+$/);
      return result;
    };
    const write = async (...added: Partial<RequestRecord>[]): Promise<void> => {
      const { writer, meter } = makeWriter(path);
      for (const record of added) await writer.write(makeRecord(record));
      await writer.close();
      assert.deepEqual(meter.dropped, {});
    };
    try {
      await write(...records);
      await body({
        path,
        directory,
        run,
        write,
        do: async (args, options) => {
          const result = await run(args, options);
          assert.equal(result.exitCode, 0, result.err);
          return result.out;
        },
        sql: (statement) => byHand(path, statement),
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

/** Nothing that moves a cursor, colours a screen or reorders a line. */
export function assertHarmless(text: string): void {
  const found = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\u200e\u200f]/u.exec(text);
  assert.equal(found, null, `U+${found?.[0].codePointAt(0)?.toString(16)} at ${found?.index}`);
}

/** Colours, cursor movements, a title, C1 controls, overrides, separators. */
export const HOSTILE = "a\x1b[31mb\x1b]0;title\x07c\x9b2Jd\u202ee\u2066f\u2028g\0h\ri";

/** The JSON lines of an output. */
export function jsonLines(out: string): Record<string, unknown>[] {
  return out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}
