/**
 * `serve`: from the settings to the end of the process, and what it prints on the way.
 */
import { CommandError } from "./errors.ts";
import type { Settings } from "../config/settings.ts";
import type { TimerId } from "../core/clock.ts";
import { configureLogging, flushLogging, getLog } from "../observe/log.ts";
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
import { PUBLISHED_TOKEN } from "./published_token.ts";
import { cannotListen } from "../server/listener.ts";
import { secretsOf } from "../server/secrets.ts";
import { liveRegistry, type Serving, withServer } from "../server/server.ts";

/**
 * Serves until a signal ends it.
 * @returns the exit code
 * @throws CommandError, StartError, StoreError when it cannot start
 */
export async function serve(given: Settings): Promise<number> {
  requireFreeAddress(given);
  // The links are followed once: what lies beside the database has its real name.
  const settings = { ...given, database: databaseFile(given.database) };
  prepareDatabase(settings);
  const database = openDatabase(settings.database, { access: "serve" });
  try {
    requireToken(settings, database);
    return await serveFrom(settings, database);
  } finally {
    database.close();
  }
}

/**
 * Makes or upgrades the database, and its first tokens. Does nothing on a full disk: what is in the database is enough.
 *
 * @throws StoreError
 */
function prepareDatabase(settings: Settings): void {
  let database: OpenDatabase;
  try {
    database = openDatabase(settings.database, { onUpgrade: upgradeNote(settings.database, say) });
  } catch (error) {
    if (error instanceof StoreError && error.code === "full" && hasDatabase(settings)) return;
    throw error;
  }
  try {
    announceDatabase(settings, database);
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

async function serveFrom(settings: Settings, database: OpenDatabase): Promise<number> {
  const registry = liveRegistry(database);
  configureLogging({ ...settings.log, secrets: secretsOf(settings, registry) });
  try {
    if (!settings.isAdminOff) warnOfShortToken(database.config);
    if (database.isStandIn) warnOfFullDisk(settings);
    await withServer(settings, { registry, database }, (server) => untilSignalled(settings, server));
    return EXIT.ok;
  } finally {
    getLog("server").info("stopped");
    await Promise.race([flushLogging(), new Promise((resolve) => setTimeout(resolve, 500))]);
  }
}

/**
 * Waits for a signal, then lets open requests finish until the drain timeout or a second signal.
 */
async function untilSignalled(settings: Settings, server: Serving): Promise<void> {
  const log = getLog("server");
  announceServer(settings, server.address, server.registry);

  const { promise: enough, resolve: stopNow } = Promise.withResolvers<void>();
  let signals = 0;
  let drainTimer: TimerId | null = null;
  const onSignal = () => {
    signals++;
    if (signals > 1) return stopNow();
    log.info("stopping: open requests have {seconds} s to finish", {
      seconds: settings.drainTimeoutMs / 1000,
    });
    drainTimer = systemClock.setTimer(stopNow, settings.drainTimeoutMs);
    server.drain();
  };
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, onSignal);
  await Promise.race([server.drained, enough]);
  if (drainTimer !== null) systemClock.clearTimer(drainTimer);
  for (const name of names) Deno.removeSignalListener(name, onSignal);
}

/**
 * Runs before the database is opened, so that a failed start leaves no file and no token behind.
 * @throws StartError
 */
function requireFreeAddress(settings: Settings): void {
  try {
    Deno.listen(settings.listen).close();
  } catch (error) {
    throw cannotListen(settings, error);
  }
}

/** Prints a line. Nobody may be reading it, and its disk may be full: the server goes on. */
function say(line: string): void {
  try {
    console.log(line);
  } catch {
    // There is no other place to tell it.
  }
}

function announceDatabase(settings: Settings, database: OpenDatabase): void {
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
  if (settings.isNoAuth || database.config.listTokens().length > 0) return;
  throw new CommandError(
    "No client token is set, so anybody could use the upstreams; " +
      "set one with `openai-api-route token add`, or start with --noauth",
  );
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

function announceServer(settings: Settings, address: Deno.NetAddr, registry: Registry): void {
  const log = getLog("server");
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  say(`listening on http://${host}:${address.port}/v1`);
  if (!settings.isAdminOff) {
    say(`admin page on http://${host}:${address.port}/admin (its token: \`token show --admin\`)`);
  }
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
      "no upstream yet; add one: openai-api-route add --sk KEY --endpoint URL (used at once, no restart)",
    );
  }
  if (settings.isNoAuth) log.warn("--noauth: everybody who can reach this address may use the upstreams");
  if (!settings.isNoAuth && tokens.some((token) => token.secret === PUBLISHED_TOKEN)) {
    log.warn("the published default token of the Go program is still accepted; replace it: token set NEW");
  }
}
