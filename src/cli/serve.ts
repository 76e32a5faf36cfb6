/**
 * The composition root of the server: makes every part, starts them in order, stops them in reverse.
 */
import { ulid } from "ulid";
import { createCapture } from "../capture/capture.ts";
import type { Settings } from "../config/settings.ts";
import { messageOf } from "../core/errors.ts";
import { TrustedProxies } from "../core/client_ip.ts";
import { ASIS, type TimerId } from "../core/types.ts";
import { answerFailure, type AppDeps, createApp } from "../http/app.ts";
import { AlertNotifier } from "../notify/alerts.ts";
import { channelsOf } from "../notify/channels.ts";
import type { Notifier } from "../notify/notifier.ts";
import { configureLogging, flushLogging, getLog, logRequest } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { redactor } from "../observe/redact.ts";
import { HeldBudget } from "../proxy/held_budget.ts";
import { type HealthListener, UpstreamHealth } from "../proxy/health.ts";
import { Proxy } from "../proxy/handler.ts";
import { InFlightRows } from "../proxy/in_flight.ts";
import type { Fetch } from "../proxy/transport.ts";
import { ensureToken } from "../store/first_token.ts";
import { Registry } from "../store/registry.ts";
import { type OpenDatabase, openDatabase } from "../store/sqlite.ts";
import { RecordWriter } from "../store/writer.ts";
import { systemClock } from "./clock.ts";
import { CommandError, EXIT } from "./errors.ts";
import { VERSION } from "./version.ts";

const PUBLISHED_TOKEN = "woshimima";
const CLOSE_LIMIT_MS = 5_000;
const IDLE_CONNECTIONS_PER_UPSTREAM = 1024;
const IDLE_CONNECTION_MS = 60_000;

/**
 * Serves until a signal ends it.
 * @returns the exit code
 * @throws CommandError, StoreError when it cannot start
 */
export async function serve(settings: Settings): Promise<number> {
  const database = openDatabase(settings.database);
  try {
    announceDatabase(settings, database);
    requireToken(settings, database);
    return await serveFrom(settings, database);
  } finally {
    database.close();
  }
}

async function serveFrom(settings: Settings, database: OpenDatabase): Promise<number> {
  const log = getLog("server");
  const registry = new Registry({
    store: database.config,
    clock: systemClock,
    onProblem: (message) => getLog("registry").warn("{message}", { message }),
  });
  const secrets = () => secretsOf(settings, registry);
  configureLogging({ ...settings.log, secrets });
  // Deno warns once, on standard error, about a default of its own that a compiled program cannot change.
  console.warn = (...words: unknown[]) => getLog("runtime").debug("{message}", { message: words.join(" ") });
  const instance = ulid();
  const metrics = new Metrics({
    version: VERSION,
    deno: Deno.version.deno,
    databaseBytes: () => databaseBytes(settings.database),
  });
  const notifier = new AlertNotifier({
    channels: channelsOf(settings.alerts, { fetch, clock: systemClock, instance }),
    clock: systemClock,
    redact: redactor(secrets),
    onSent: (channel, result, error) => {
      metrics.alertSent(channel, result);
      if (error !== null) getLog("notify").warn("{message}", { message: error.message });
    },
  });
  const health = new UpstreamHealth(systemClock, healthListener(metrics, notifier));
  registry.onChange(({ upstreams }) => {
    metrics.upstreamsChanged(upstreams.map((upstream) => upstream.name));
    health.retain(new Set(upstreams.map((upstream) => upstream.id)));
  });
  registry.start();
  const writer = new RecordWriter({
    spawnWorker: () =>
      new Worker(new URL("../store/writer_worker.ts", import.meta.url).href, { type: "module" }),
    path: settings.database,
    durability: settings.durability,
    observer: metrics,
    instance,
    clock: systemClock,
    onTrouble: (reason, message) => {
      getLog("store").error("records are not being written: {message}", { message });
      notifier.raise({ type: "records_dropped", reason });
    },
    onResumed: () => {
      getLog("store").info("records are being written again");
      notifier.raise({ type: "records_resumed" });
    },
  });
  const inFlight = new InFlightRows(writer, systemClock);
  const pool = Deno.createHttpClient({
    http1: true,
    http2: false,
    poolMaxIdlePerHost: IDLE_CONNECTIONS_PER_UPSTREAM,
    poolIdleTimeout: IDLE_CONNECTION_MS,
  });
  const pooledFetch: Fetch = (url, init) => fetch(url, { ...init, client: pool });
  const proxy = new Proxy({
    fetch: pooledFetch,
    clock: systemClock,
    health,
    observer: metrics,
    notifier,
    sink: writer,
    inFlight,
    logRequest,
    createCapture: ({ headers, ...options }) =>
      createCapture({
        ...options,
        contentType: headers.get("content-type"),
        contentEncoding: headers.get("content-encoding"),
      }),
    times: settings,
    budget: new HeldBudget(settings.maxHeldBytes),
    retryOn: settings.retryOn,
    limits: settings,
    policy: settings.policy,
    newId: () => ulid(),
    random: Math.random,
  });
  const appDeps: AppDeps = {
    proxy,
    registry,
    metrics,
    observer: metrics,
    isNoAuth: settings.isNoAuth,
    isMetricsAuth: settings.isMetricsAuth,
    trustedProxies: new TrustedProxies(settings.trustedProxies),
    onUnexpected: (error) => log.error("request failed: {message}", { message: messageOf(error) }),
  };

  try {
    await runServer(settings, appDeps, registry);
    return EXIT.ok;
  } finally {
    inFlight.stop();
    registry.stop();
    await writer.close();
    await notifier.close(CLOSE_LIMIT_MS);
    pool.close();
    log.info("stopped");
    await Promise.race([flushLogging(), new Promise((resolve) => setTimeout(resolve, 500))]);
  }
}

/** Listens until a signal, then lets what is under way finish. */
async function runServer(settings: Settings, deps: AppDeps, registry: Registry): Promise<void> {
  const log = getLog("server");
  const app = createApp(deps);
  const abort = new AbortController();
  const server = listen(settings, abort.signal, async (request, info) => {
    try {
      return await app.fetch(request, { info });
    } catch (error) {
      return answerFailure(deps, error);
    }
  });
  announceServer(settings, server.addr, registry);

  let signals = 0;
  let drainTimer: TimerId | null = null;
  const onSignal = () => {
    signals++;
    if (signals > 1) return abort.abort();
    log.info("stopping: open requests have {seconds} s to finish", {
      seconds: settings.drainTimeoutMs / 1000,
    });
    drainTimer = systemClock.setTimer(() => abort.abort(), settings.drainTimeoutMs);
    void server.shutdown();
  };
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of names) Deno.addSignalListener(name, onSignal);
  await server.finished;
  if (drainTimer !== null) systemClock.clearTimer(drainTimer);
  for (const name of names) Deno.removeSignalListener(name, onSignal);
}

function listen(
  settings: Settings,
  signal: AbortSignal,
  handler: Deno.ServeHandler<Deno.NetAddr>,
): Deno.HttpServer<Deno.NetAddr> {
  const { hostname, port } = settings.listen;
  try {
    return Deno.serve({ hostname, port, signal, onListen: () => {} }, handler);
  } catch (error) {
    const address = `${hostname}:${port}`;
    if (error instanceof Deno.errors.AddrInUse) {
      throw new CommandError(
        `Cannot listen on ${address}: the address is in use; choose another with --addr`,
      );
    }
    throw new CommandError(`Cannot listen on ${address}: ${messageOf(error)}; choose another with --addr`);
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

/** @throws CommandError when nobody could be told apart from anybody */
function requireToken(settings: Settings, database: OpenDatabase): void {
  if (settings.isNoAuth || database.config.listTokens().length > 0) return;
  throw new CommandError(
    "No client token is set, so anybody could use the upstreams; " +
      "set one with `openai-api-route token add`, or start with --noauth",
  );
}

function announceServer(settings: Settings, address: Deno.NetAddr, registry: Registry): void {
  const log = getLog("server");
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  console.log(`listening on http://${host}:${address.port}/v1`);
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

function healthListener(metrics: Metrics, notifier: Notifier): HealthListener {
  const log = getLog("health");
  return ({ name }, { from, to, reason }) => {
    metrics.upstreamState(name, to);
    if (from === "closed" && to === "open") {
      log.warn("upstream {name} is down: {reason}", { name, reason });
      notifier.raise({ type: "upstream_down", upstream: name, reason });
    } else if (to === "closed") {
      log.info("upstream {name} has recovered", { name });
      notifier.raise({ type: "upstream_recovered", upstream: name });
    }
  };
}

/** Everything that must never be shown, as of now. */
function* secretsOf(settings: Settings, registry: Registry): Iterable<string> {
  const { upstreams, tokens } = registry.snapshot();
  for (const { sk } of upstreams) if (sk !== ASIS) yield sk;
  for (const { secret } of tokens) yield secret;
  const { feishu, matrix, matrixApi, webhook } = settings.alerts;
  for (const secret of [feishu?.webhook, feishu?.secret, matrix?.token, matrixApi, webhook]) {
    if (secret) yield secret;
  }
}

function databaseBytes(path: string): number {
  let bytes = Deno.statSync(path).size;
  try {
    bytes += Deno.statSync(`${path}-wal`).size;
  } catch {
    // There is no journal while nothing has been written.
  }
  return bytes;
}
