/**
 * What a server with PostgreSQL does before it serves: it opens its journal, and waits for a first copy of upstreams and
 * tokens, unless the journal has one of an earlier time.
 *
 * Owns which files may be a journal, and what is said while PostgreSQL is awaited.
 */
import { ulid } from "ulid";
import type { Environment } from "../config/environment.ts";
import type { Settings } from "../config/settings.ts";
import type { UpstreamInput } from "../control/admin_service.ts";
import { systemClock } from "../server/clock.ts";
import { RemoteDatabase } from "../server/remote_database.ts";
import { databaseFile } from "../store/database/file.ts";
import { type OpenDatabase, openDatabase } from "../store/database/open.ts";
import { isMarkHeld, RunningMark } from "../store/database/running_marks.ts";
import { isJournal } from "../store/postgres/shipper/journal_tables.ts";
import { StoreError } from "../store/store.ts";
import { leftoverNote, upgradeNote } from "./context.ts";
import { CommandError } from "./errors.ts";
import { targetOf } from "./postgres/target.ts";
import { KEY_VARIABLE, requireUpstream } from "./initial_upstream.ts";
import { describe } from "./upstreams.ts";

/** A server that has a copy begins with it, when PostgreSQL takes longer than this. */
const FRESH_COPY_MS = 2_000; // docs/tuning.md#postgresql
/** Of the mark beside the journal. */
const CLAIM = "journal";
/** What waits is shipped at the end of the process, for so long. */
const CLOSE_LIMIT_MS = 5_000; // docs/tuning.md#postgresql

export interface PostgresStart {
  readonly settings: Settings;
  /** Of the database. */
  readonly url: string;
  readonly env: Environment;
  readonly say: (line: string) => void;
  /** From the environment, to be added when there is none; null: none is asked for. */
  readonly first: UpstreamInput | null;
}

/**
 * @throws UsageError, CommandError, StoreError when it cannot start
 */
export async function withPostgres<Result>(
  start: PostgresStart,
  use: (remote: RemoteDatabase) => Promise<Result>,
): Promise<Result> {
  const target = targetOf(start.url, start.env);
  const claim = claimJournal(start.settings.database);
  try {
    prepareJournal(start);
    const remote = new RemoteDatabase({ target, settings: start.settings, instance: ulid() });
    try {
      await ready(start, remote);
      return await use(remote);
    } finally {
      await remote.thread.close(CLOSE_LIMIT_MS);
    }
  } finally {
    claim?.clear();
  }
}

/**
 * Two shippers of one journal could send an older version of a record after a newer one, and so could two of its
 * statistics.
 *
 * @returns null when the file system has no locks
 * @throws CommandError when another process has claimed it
 */
function claimJournal(path: string): RunningMark | null {
  const place = `${databaseFile(path)}.replica`;
  const claim = RunningMark.set(place, CLAIM);
  if (claim === null && isMarkHeld(place, CLAIM) === true) {
    throw new CommandError(
      `${path} is the journal of a replica that is running: name another file with --journal, one for each replica`,
    );
  }
  return claim;
}

/** Makes or upgrades it. @throws StoreError; CommandError when it is a database of its own */
function prepareJournal({ settings: { database: path }, say }: PostgresStart): void {
  const database = openJournal(path, say);
  try {
    const leftover = leftoverNote(path, database.leftoverJournal);
    if (leftover !== null) say(leftover);
    if (database.isNew) say(`new journal ${path}`);
    else if (!isJournal(path) && hasContents(database)) throw notJournal(path);
  } finally {
    database.close();
  }
}

function openJournal(path: string, say: PostgresStart["say"]): OpenDatabase {
  try {
    return openDatabase(path, { onUpgrade: upgradeNote(path, say) });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    // People know it by another name.
    const message = error.message.replace("Cannot open database", "Cannot open journal")
      .replace("with --database", "with --journal");
    throw new StoreError(error.code, message, { cause: error });
  }
}

function hasContents({ config, records }: OpenDatabase): boolean {
  return hasCopy(config) || records.lastId() > 0;
}

function hasCopy(config: OpenDatabase["config"]): boolean {
  return config.listUpstreams().length > 0 || config.getConfig("authorization") !== null;
}

function notJournal(path: string): CommandError {
  return new CommandError(
    `${path} is a database of its own, and no journal: name another file with --journal; ` +
      `to take along what it holds: store copy --from ${path} --to URL`,
  );
}

/** Resolves when there are upstreams and tokens to serve with. */
async function ready(start: PostgresStart, remote: RemoteDatabase): Promise<void> {
  const { promise: isHopeless, reject: giveUp } = Promise.withResolvers<never>();
  const hasOld = hasCopyNow(start.settings.database);
  let said = "";
  let isWaiting = true;
  remote.listen((event) => {
    if (!isWaiting || event.type !== "trouble" || event.message === said) return;
    if (event.kind === "setup" && !hasOld) return giveUp(new CommandError(event.message));
    said = event.message;
    if (!hasOld) start.say(`waiting for PostgreSQL (${remote.shownText}): ${event.message}`);
  });
  // A failure may come when nobody waits any more.
  isHopeless.catch(() => {});
  using _stop = onStopSignal(() => giveUp(new CommandError("stopped while it waited for PostgreSQL")));
  const isFresh = await Promise.race([
    remote.firstCopy.then(() => true),
    isHopeless,
    ...(hasOld ? [afterWaiting(FRESH_COPY_MS)] : []),
  ]);
  // From now on the log tells of it.
  isWaiting = false;
  if (isFresh) return await ensureFirst(start, remote);
  start.say(
    `PostgreSQL cannot be used (${
      said || "it does not answer"
    }): serving with the upstreams and tokens of the journal`,
  );
}

/** The first process of a container does not end by a signal that it does not listen to. */
function onStopSignal(stop: () => void): Disposable {
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, stop);
  return {
    [Symbol.dispose]: () => {
      for (const name of names) Deno.removeSignalListener(name, stop);
    },
  };
}

function hasCopyNow(path: string): boolean {
  const { hasToken, hasUpstream } = contentsNow(path);
  return hasToken || hasUpstream;
}

function afterWaiting(ms: number): Promise<false> {
  return new Promise((resolve) => systemClock.setTimer(() => resolve(false), ms));
}

/**
 * The first of all replicas makes the clients' token, and the first upstream. Where they are there already nothing is
 * asked of PostgreSQL: a transaction of psql may keep all changes off, and is no reason not to start.
 */
async function ensureFirst({ settings, say, first }: PostgresStart, remote: RemoteDatabase): Promise<void> {
  const { hasToken, hasUpstream } = contentsNow(settings.database);
  const token = hasToken ? null : await remote.thread.ask("ensureClientToken", undefined);
  if (token !== null) {
    say(`new database ${remote.shownText}`);
    say(`clients must send this token, which \`token show\` prints again: ${token}`);
  }
  if (!settings.isFromEnv || hasUpstream) return;
  const added = await remote.thread.ask("addFirstUpstream", requireUpstream(first));
  if (added !== null) say(`added ${describe(added)} from ${KEY_VARIABLE}`);
}

/** Of the journal's copy. */
function contentsNow(path: string): { readonly hasToken: boolean; readonly hasUpstream: boolean } {
  const { config, close } = openDatabase(path, { access: "read" });
  try {
    return {
      hasToken: config.getConfig("authorization") !== null,
      hasUpstream: config.listUpstreams().length > 0,
    };
  } finally {
    close();
  }
}
