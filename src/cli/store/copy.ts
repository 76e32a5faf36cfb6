/**
 * `store copy` itself: opens both databases, copies, and says what was done.
 *
 * Owns the texts. The name of a PostgreSQL database is shown without what is secret in its URL.
 */
import { messageOf } from "../../core/errors.ts";
import { systemClock } from "../../server/clock.ts";
import {
  type CopyCounts,
  type CopyOptions,
  CopyRefusedError,
  CopyStoppedError,
} from "../../store/postgres/copy/copied.ts";
import { copyFromPostgres } from "../../store/postgres/copy/from_postgres.ts";
import { SqliteSource } from "../../store/postgres/copy/sqlite_source.ts";
import { type CopiedToPostgres, copyToPostgres } from "../../store/postgres/copy/to_postgres.ts";
import { PgError } from "../../store/postgres/errors.ts";
import { PgDatabase } from "../../store/postgres/pool.ts";
import { RemoteTrouble } from "../../store/postgres/shipper/remote.ts";
import { Tokenizer } from "../../store/search/tokenizer.ts";
import { StoreError } from "../../store/store.ts";
import { type CommandContext, openFor } from "../context.ts";
import { CommandError } from "../errors.ts";
import { targetOf } from "../postgres/target.ts";
import { Progress } from "../progress.ts";

export interface CopyPlaces {
  readonly direction: "to_postgres" | "to_sqlite";
  /** Of PostgreSQL; may hold a secret. */
  readonly url: string;
  /** Of the SQLite file. */
  readonly path: string;
}

/** @throws UsageError, CommandError, StoreError */
export async function copyStore(context: CommandContext, places: CopyPlaces): Promise<void> {
  const target = targetOf(places.url, context.env, places.direction === "to_postgres" ? "--to" : "--from");
  const database = new PgDatabase(target, { clock: systemClock });
  const progress = new Progress({
    screen: context.terminal.noteScreen ?? null,
    now: systemClock.monotonic,
  });
  let hasBegun = false;
  try {
    await untilStopped(context, async (signal) => {
      const options: CopyOptions = {
        clock: systemClock,
        signal,
        newId: () => crypto.randomUUID(),
        onProgress: (done, total) => {
          hasBegun = true;
          progress.step((seconds) => progressText(done, total, seconds));
        },
      };
      const copying = { path: places.path, shown: target.shownText, database, options };
      const lines = places.direction === "to_postgres"
        ? await toPostgres(context, copying)
        : await toSqlite(copying);
      progress.clear();
      const [done = "", ...notes] = lines;
      context.terminal.print(done);
      for (const note of notes) context.terminal.note(note);
    });
  } catch (error) {
    throw toCommandError(error, { hasBegun });
  } finally {
    progress.clear();
    await database.close();
  }
}

interface Copying {
  readonly path: string;
  /** The PostgreSQL database, for people. */
  readonly shown: string;
  readonly database: PgDatabase;
  readonly options: CopyOptions;
}

async function toPostgres(
  context: CommandContext,
  { path, shown, database, options }: Copying,
): Promise<string[]> {
  // Before anything is done to the source.
  await database.read("SELECT 1");
  openSource(context, path);
  const source = new SqliteSource(path, options.newId);
  const tokenizer = new Tokenizer();
  try {
    const copied = await copyToPostgres({ ...options, source, database, tokenizer });
    const { upstreams, settings } = copied.config;
    return [
      doneText({ from: path, to: shown }, { ...copied, upstreams, settings }),
      ...refusalNotes(copied, copied.refusedBefore),
      ...sourceNotes(copied, path),
    ];
  } finally {
    tokenizer.close();
    source.close();
  }
}

async function toSqlite({ path, shown, database, options }: Copying): Promise<string[]> {
  const copied = await copyFromPostgres({ ...options, database, path });
  const { underWay, crashed, renamed, waiting } = copied;
  return [
    doneText({ from: shown, to: path }, copied),
    ...noteIf(underWay, `${count(underWay, "request")} under way left out`),
    ...noteIf(crashed, `${count(crashed, "record")} of servers that had stopped marked as crashed`),
    ...noteIf(
      waiting,
      `${count(waiting, "record")} ${waiting === 1 ? "waits" : "wait"} in the journals of replicas, and ${
        waiting === 1 ? "is" : "are"
      } not in the copy`,
    ),
    ...noteIf(
      renamed,
      `${count(renamed, "record")} got another request id, because another record has theirs`,
    ),
  ];
}

/** Upgrades an older database, and says so. */
function openSource(context: CommandContext, path: string): void {
  try {
    openFor({ ...context, flags: { database: path } }).close();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new CommandError(error.message.replaceAll("--database", "--from"), { cause: error });
  }
}

function doneText(
  { from, to }: { readonly from: string; readonly to: string },
  { records, attempts, present, upstreams, settings }: CopyCounts & {
    readonly upstreams: number;
    readonly settings: number;
  },
): string {
  const what = [
    count(records, "record"),
    count(attempts, "attempt"),
    count(upstreams, "upstream"),
    count(settings, "setting"),
  ].join(", ");
  const there = present === 0
    ? ""
    : `; ${count(present, "record")} ${present === 1 ? "was" : "were"} there already`;
  return `copied ${from} to ${to}: ${what}, and the statistics${there}`;
}

function refusalNotes({ refused }: CopyCounts, refusedBefore: number): string[] {
  return [
    ...refused.map(({ reason, count: number, ids }) =>
      `left out ${count(number, "record")}, because ${reason}: number ${ids.join(", ")}${
        number > ids.length ? ", ..." : ""
      }`
    ),
    ...noteIf(refusedBefore, `${count(refusedBefore, "record")} left out by an earlier copy`),
  ];
}

function sourceNotes(copied: CopiedToPostgres, path: string): string[] {
  const { underWay, crashed, replaced, config, isUncounted, isReturning } = copied;
  return [
    ...noteIf(underWay, `${count(underWay, "request")} under way left out: copy again when they have ended`),
    ...noteIf(crashed, `${count(crashed, "record")} of servers that had stopped marked as crashed`),
    ...noteIf(
      replaced,
      `${
        count(replaced, "record")
      } with characters that PostgreSQL cannot store (U+0000, lone surrogates): ` +
        "replaced by U+FFFD, and marked as truncated",
    ),
    ...noteIf(
      config.kept,
      `${
        count(config.kept, "row")
      } of upstreams and settings differ in PostgreSQL, and stayed as they are there`,
    ),
    ...noteIf(
      config.leftOut,
      `${count(config.leftOut, "upstream")} left out: another one has the same key and endpoint`,
    ),
    ...noteIf(
      isReturning ? 1 : 0,
      `the statistics were left out: ${path} was copied from this PostgreSQL database, which has them`,
    ),
    ...noteIf(
      isUncounted ? 1 : 0,
      `the statistics lack records that no server has counted yet: run a server on ${path} for a while, then copy again`,
    ),
  ];
}

function noteIf(number: number, text: string): string[] {
  return number === 0 ? [] : [text];
}

function count(number: number, what: string): string {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

function progressText(done: number, total: number | null, seconds: number): string {
  const of = total === null ? "" : ` of ${total.toLocaleString("en")}`;
  return `${done.toLocaleString("en")}${of} records, ${seconds} s`;
}

const GOES_ON = "what has been copied stays, and the same command goes on from there";

function toCommandError(error: unknown, { hasBegun }: { readonly hasBegun: boolean }): unknown {
  const cause = { cause: error };
  if (error instanceof CopyStoppedError) return new CommandError(`stopped: ${GOES_ON}`, cause);
  if (error instanceof CopyRefusedError) return new CommandError(`cannot copy: ${error.message}`, cause);
  const isRemote = error instanceof PgError || error instanceof RemoteTrouble;
  return isRemote && hasBegun ? new CommandError(`${messageOf(error)}; ${GOES_ON}`, cause) : error;
}

/** The first Ctrl-C ends the copy after the present batch, another one at once. */
async function untilStopped(
  { terminal }: CommandContext,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  const forget = (): void => {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  };
  const stop = (): void => {
    forget();
    terminal.note("stopping after this batch...");
    controller.abort();
  };
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    await run(controller.signal);
  } finally {
    forget();
  }
}
