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
import { type OpenDatabase, openDatabase } from "../store/database/open.ts";
import { systemClock } from "../server/clock.ts";
import { upgradeNote } from "./context.ts";
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
export async function serve(settings: Settings): Promise<number> {
  requireFreeAddress(settings);
  const database = openDatabase(settings.database, {
    onUpgrade: upgradeNote(settings.database, (line) => console.log(line)),
  });
  try {
    announceDatabase(settings, database);
    requireToken(settings, database);
    if (!settings.isAdminOff) ensureAdminToken(database.config);
    return await serveFrom(settings, database);
  } finally {
    database.close();
  }
}

async function serveFrom(settings: Settings, database: OpenDatabase): Promise<number> {
  const registry = liveRegistry(database);
  const { config } = database;
  configureLogging({ ...settings.log, secrets: secretsOf(settings, registry) });
  try {
    if (!settings.isAdminOff) warnOfShortToken(config);
    await withServer(settings, { registry, config }, (server) => untilSignalled(settings, server));
    return EXIT.ok;
  } finally {
    getLog("server").info("stopped");
    await Promise.race([flushLogging(), new Promise((resolve) => setTimeout(resolve, 500))]);
  }
}

/**
 * A signal this soon after another is the same one: a terminal or a supervisor sends it to every process of a group,
 * and npx and the launcher of the npm package pass it on as well.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Waits for a signal, then lets open requests finish until the drain timeout or a second signal. A third one ends the
 * process without waiting for what is being closed.
 */
async function untilSignalled(settings: Settings, server: Serving): Promise<void> {
  const log = getLog("server");
  announceServer(settings, server.address, server.registry);

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
  await Promise.race([server.drained, enough]);
  // The listeners stay: without them, a repeat would end the process before its records are written.
  if (drainTimer !== null) systemClock.clearTimer(drainTimer);
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

function announceDatabase(settings: Settings, database: OpenDatabase): void {
  if (database.upgradedFrom !== null) {
    console.log(`upgraded ${settings.database}; as it was before: ${database.upgradedFrom}`);
  }
  const token = ensureToken(database);
  if (token === null) return;
  console.log(`new database ${settings.database}`);
  console.log(`clients must send this token, which \`token show\` prints again: ${token}`);
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

function announceServer(settings: Settings, address: Deno.NetAddr, registry: Registry): void {
  const log = getLog("server");
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  console.log(`listening on http://${host}:${address.port}/v1`);
  if (!settings.isAdminOff) {
    console.log(`admin page on http://${host}:${address.port}/admin (its token: \`token show --admin\`)`);
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
