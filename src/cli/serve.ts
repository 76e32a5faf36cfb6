/**
 * `serve`: from the settings to the end of the process, and what it prints on the way.
 */
import { CommandError } from "./errors.ts";
import { type Environment, unknownVariables } from "../config/environment.ts";
import { addressText, type ListenAddress, type Settings } from "../config/settings.ts";
import { NAME, VERSION } from "../config/version.ts";
import type { UpstreamInput } from "../control/admin_service.ts";
import type { TimerId } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import { isUnspecified } from "../core/loopback.ts";
import { LOGIN_CODE_MS } from "../http/admin/login_code.ts";
import { announce, configureLogging, flushLogging, getLog } from "../observe/log.ts";
import { statement } from "../observe/statement.ts";
import {
  adminTokenOf,
  ensureAdminToken,
  ensureToken,
  MIN_ADMIN_TOKEN_LENGTH,
} from "../store/config/initial_tokens.ts";
import { Registry } from "../store/config/registry.ts";
import { databaseFile } from "../store/database/file.ts";
import { type OpenDatabase, openDatabase } from "../store/database/open.ts";
import { StoreError } from "../store/store.ts";
import { systemClock } from "../server/clock.ts";
import { leftoverNote, upgradeNote } from "./context.ts";
import { EXIT } from "./errors.ts";
import { addFirstUpstream, requireUpstream, upstreamOf } from "./initial_upstream.ts";
import { writeLine } from "./output.ts";
import { PUBLISHED_TOKEN } from "./published_token.ts";
import { requireFreeAddress } from "../server/listener.ts";
import { secretsOf } from "../server/secrets.ts";
import { trustedAuthorities } from "../server/trusted_authorities.ts";
import type { RemoteDatabase } from "../server/remote_database.ts";
import { liveRegistry, type Serving, withServer } from "../server/server.ts";

/** How long the end of the process waits for a reader of its output. */
const FLUSH_LIMIT_MS = 500;

/**
 * Serves until a signal ends it.
 * @returns the exit code
 * @throws CommandError, StartError, StoreError when it cannot start
 */
export async function serve(given: Settings, env: Environment): Promise<number> {
  const say = (line: string) => announce(line, given.log.format);
  if (given.log.format === "json") reportUncaughtAsJson();
  // The links are followed once: what lies beside the database has its real name.
  const settings = { ...given, database: databaseFile(given.database) };
  try {
    return await prepareAndServe({ settings, env, say });
  } finally {
    await Promise.race([flushLogging(), new Promise((resolve) => setTimeout(resolve, FLUSH_LIMIT_MS))]);
  }
}

/** What a server starts from. */
interface Start {
  readonly settings: Settings;
  readonly env: Environment;
  readonly say: Say;
}

type Say = (line: string) => void;

/** The runtime would print its own lines. */
function reportUncaughtAsJson(): void {
  const report = (event: Event, error: unknown) => {
    event.preventDefault();
    const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
    writeLine(
      Deno.stderr,
      statement({ format: "json", level: "fatal", message: messageOf(error), ...stack }),
    );
    Deno.exit(EXIT.failure);
  };
  addEventListener("error", (event) => report(event, event.error));
  addEventListener("unhandledrejection", (event) => report(event, event.reason));
}

async function prepareAndServe(start: Start): Promise<number> {
  const { settings } = start;
  // Before the database is opened, so that a failed start leaves no file and no token behind.
  requireFreeAddress(settings);
  // The file of --ca-file is read here, too, before there is a database.
  trustedAuthorities(settings.outgoing, () => {});
  const first = settings.isFromEnv ? upstreamOf(start.env) : null;
  if (settings.remoteUrl !== null) return await serveWithPostgres(start, settings.remoteUrl, first);
  if (settings.isFromEnv && !hasDatabase(settings)) requireUpstream(first);
  prepareDatabase(start, first);
  return await serveFrom(start, null);
}

async function serveWithPostgres(start: Start, url: string, first: UpstreamInput | null): Promise<number> {
  // Most servers have none, and start without this code.
  const { withPostgres } = await import("./postgres_start.ts");
  return await withPostgres({ ...start, url, first }, (remote) => serveFrom(start, remote));
}

/**
 * Makes or upgrades the database, its first tokens and, with --from-env, its first upstream. Does nothing on a full disk: what is in the database is enough.
 *
 * @throws StoreError
 */
function prepareDatabase({ settings, say }: Start, first: UpstreamInput | null): void {
  let database: OpenDatabase;
  try {
    database = openDatabase(settings.database, { onUpgrade: upgradeNote(settings.database, say) });
  } catch (error) {
    if (error instanceof StoreError && error.code === "full" && hasDatabase(settings)) return;
    throw error;
  }
  try {
    announceDatabase(settings, database, say);
    const added = settings.isFromEnv ? addFirstUpstream(database.config, first) : null;
    if (added !== null) say(added);
    if (!settings.isAdminOff) makeAdminToken(database);
  } finally {
    database.close();
  }
}

function hasDatabase({ database }: Settings): boolean {
  try {
    return Deno.statSync(database).size > 0;
  } catch {
    return false;
  }
}

/** When it cannot be made now, the running server makes it. */
function makeAdminToken(database: OpenDatabase): void {
  try {
    database.waitForLocks(0);
    ensureAdminToken(database.config);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

async function serveFrom(start: Start, remote: RemoteDatabase | null): Promise<number> {
  const database = openDatabase(start.settings.database, { access: "serve" });
  try {
    requireToken(start.settings, database);
    return await runServer(start, database, remote);
  } finally {
    database.close();
  }
}

async function runServer(
  { settings, env, say }: Start,
  database: OpenDatabase,
  remote: RemoteDatabase | null,
): Promise<number> {
  const registry = liveRegistry(database);
  configureLogging({ ...settings.log, secrets: secretsOf(settings, registry, remote?.secrets) });
  try {
    warnOfUnknownVariables(env);
    if (!settings.isAdminOff) warnOfShortToken(database.config);
    if (database.isStandIn) warnOfFullDisk(settings);
    const databaseText = remote === null
      ? settings.database
      : `${remote.shownText}, journal ${settings.database}`;
    await withServer(
      settings,
      { registry, database, remote },
      (server) =>
        untilSignalled(settings, server, () => {
          say(`${NAME} ${VERSION}, pid ${Deno.pid}, database ${databaseText}`);
          sayAddress(settings, server, say);
          warnAtStart({ ...settings, database: databaseText }, server.registry);
        }),
    );
    return EXIT.ok;
  } finally {
    getLog("server").info("stopped");
  }
}

/**
 * A signal this soon after another is the same one: a terminal or a supervisor sends it to every process of a group,
 * and npx and the launcher of the npm package pass it on as well.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Calls `listening` when signals are heeded. Waits for a signal, then lets open requests finish until the drain timeout or a second signal. A third one ends the
 * process without waiting for what is being closed.
 */
async function untilSignalled(settings: Settings, server: Serving, listening: () => void): Promise<void> {
  const log = getLog("server");
  const { promise: enough, resolve: stopNow } = Promise.withResolvers<void>();
  let signals = 0;
  let countedAtMs = -SAME_SIGNAL_MS;
  let drainTimer: TimerId | null = null;
  const onSignal = () => {
    const nowMs = systemClock.monotonic();
    if (nowMs - countedAtMs < SAME_SIGNAL_MS) return;
    countedAtMs = nowMs;
    signals++;
    if (signals > 2) Deno.exit(EXIT.failure);
    if (signals > 1) {
      log.info("stopping now: open requests are cut");
      return stopNow();
    }
    log.info("stopping: open requests have {seconds} s to finish", {
      seconds: settings.drainTimeoutMs / 1000,
    });
    drainTimer = systemClock.setTimer(stopNow, settings.drainTimeoutMs);
    server.drain();
  };
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, onSignal);
  // Whoever reads the address may send a signal at once.
  listening();
  await Promise.race([server.drained, enough]);
  // The listeners stay: without them, a repeat would end the process before its records are written.
  if (drainTimer !== null) systemClock.clearTimer(drainTimer);
}

function announceDatabase(settings: Settings, database: OpenDatabase, say: Say): void {
  const leftover = leftoverNote(settings.database, database.leftoverJournal);
  if (leftover !== null) say(leftover);
  if (database.upgradedFrom !== null) {
    say(`upgraded ${settings.database}; as it was before: ${database.upgradedFrom}`);
  }
  const token = ensureToken(database);
  if (token === null) return;
  say(`new database ${settings.database}`);
  say(`clients must send this token, which \`token show\` prints again: ${token}`);
}

/** @throws CommandError when no client token is set and --noauth was not given */
function requireToken(settings: Settings, database: OpenDatabase): void {
  const { config } = database;
  if (settings.isNoAuth || config.listTokens().length > 0 || config.listClientTokens().length > 0) return;
  throw new CommandError(
    "No client token is set, so anybody could use the upstreams; " +
      "set one with `openai-api-route token add`, or start with --noauth",
  );
}

function warnOfUnknownVariables(env: Environment): void {
  for (const { name, nearest } of unknownVariables(env)) {
    const hint = nearest === null ? "see: openai-api-route --help" : "did you mean {nearest}?";
    const text = `the environment variable {name} is not known and does nothing; ${hint}`;
    getLog("server").warn(text, { name, nearest });
  }
}

/** A short one was written into the database by hand, or set with an older version. */
function warnOfShortToken(config: OpenDatabase["config"]): void {
  const length = adminTokenOf(config)?.length ?? MIN_ADMIN_TOKEN_LENGTH;
  if (length >= MIN_ADMIN_TOKEN_LENGTH) return;
  getLog("server").warn(
    "the admin token has {length} characters and could be guessed; replace it by a random one: token set --admin",
    { length },
  );
}

function warnOfFullDisk({ database }: Settings): void {
  getLog("server").error(
    "the disk of {database} is full: requests are answered and not recorded until there is room; free some space",
    { database },
  );
}

function sayAddress(settings: Settings, server: Serving, say: Say): void {
  const { address } = server;
  say(`listening on http://${addressText(address)}/v1`);
  const here = `http://${addressText(addressHere(settings, address))}`;
  if (!settings.isAdminOff) {
    say(pageLine(`${here}/admin`, isReadByPerson(settings) ? server.issueLoginCode() : null));
  }
  if (isUnspecified(address.hostname)) {
    say(
      `every interface is listened on: ${here}/v1 here, this machine's name elsewhere; ` +
        `for this machine only: --addr 127.0.0.1:${address.port}`,
    );
  }
}

/** The address at which a browser of this machine reaches the server. */
function addressHere({ listen }: Settings, { hostname, port }: Deno.NetAddr): ListenAddress {
  if (!isUnspecified(hostname)) return { hostname, port };
  // Somebody who typed `[::]` may have a system that gives it no IPv4 connections.
  return { hostname: listen.hostname.includes(":") ? "localhost" : "127.0.0.1", port };
}

/** Whether a person reads what is printed: neither a log file nor a collector gets a code. */
function isReadByPerson({ log }: Settings): boolean {
  return log.format === "text" && Deno.stdout.isTerminal();
}

function pageLine(url: string, code: string | null): string {
  return code === null
    ? `admin page on ${url} (its token: \`token show --admin\`)`
    : `admin page on ${url}/login#code=${code} (logs in once, within ${
      LOGIN_CODE_MS / 60_000
    } minutes; later by ` +
      "its token: `token show --admin`)";
}

function warnAtStart(settings: Settings, registry: Registry): void {
  const log = getLog("server");
  const { upstreams, tokens } = registry.snapshot();
  const enabled = upstreams.filter((upstream) => upstream.isEnabled);
  if (enabled.length > 0) {
    log.info("serving from {database} with {count} upstreams: {names}", {
      database: settings.database,
      count: enabled.length,
      names: enabled.map((upstream) => upstream.name).join(", "),
    });
  } else {
    log.warn(
      "no upstream yet; add one: openai-api-route add --key KEY --endpoint URL (used at once, no restart)",
    );
  }
  if (settings.isNoAuth) log.warn("--noauth: everybody who can reach this address may use the upstreams");
  if (!settings.isNoAuth && tokens.some((token) => token.secret === PUBLISHED_TOKEN)) {
    log.warn("the published default token of the Go program is still accepted; replace it: token set NEW");
  }
}
