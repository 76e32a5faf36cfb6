/**
 * The composition root of the server: makes every part, starts them in order, stops them in reverse.
 */
import { ulid } from "ulid";
import { createCapture } from "../capture/capture.ts";
import type { Settings } from "../config/settings.ts";
import type { BreakerState } from "../core/breaker.ts";
import { messageOf } from "../core/errors.ts";
import { TrustedProxies } from "../core/client_ip.ts";
import { keysOf } from "../core/secrets.ts";
import type { TimerId } from "../core/types.ts";
import { type AppDeps, createHandler, refusal } from "../http/app.ts";
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
import { ensureAdminToken, ensureToken } from "../store/first_token.ts";
import { Registry } from "../store/registry.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import { type OpenDatabase, openDatabase } from "../store/sqlite.ts";
import type { ConfigStore } from "../store/store.ts";
import { RecordWriter } from "../store/writer.ts";
import { type Admin, createAdmin } from "./admin.ts";
import { HttpServer } from "../wire/server.ts";
import { systemClock } from "./clock.ts";
import { upgradeNote } from "./context.ts";
import { CommandError, EXIT } from "./errors.ts";
import { PUBLISHED_TOKEN } from "./published_token.ts";
import { newRequestId } from "./ids.ts";
import { upstreamClient } from "./upstream_client.ts";
import { VERSION } from "./version.ts";

const CLOSE_LIMIT_MS = 5_000;

/**
 * Serves until a signal ends it.
 * @returns the exit code
 * @throws CommandError, StoreError when it cannot start
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
    await withServer(settings, { registry, config }, (server) => untilSignalled(settings, server));
    return EXIT.ok;
  } finally {
    getLog("server").info("stopped");
    await Promise.race([flushLogging(), new Promise((resolve) => setTimeout(resolve, 500))]);
  }
}

export function liveRegistry(database: OpenDatabase): Registry {
  return new Registry({
    store: database.config,
    clock: systemClock,
    onProblem: (message) => getLog("registry").warn("{message}", { message }),
  });
}

/** Where the server gets its upstreams and tokens from. */
export interface Configuration {
  /** Of the database that the settings name. */
  readonly registry: Registry;
  readonly config: ConfigStore;
}

/** A server that listens. */
export interface Serving {
  readonly address: Deno.NetAddr;
  readonly registry: Registry;
  /** Takes no further connections, and lets what is under way finish. */
  drain(): void;
  /** Resolves when it was drained. */
  readonly drained: Promise<void>;
}

/**
 * The whole server, for as long as `use` takes; what is then still under way is ended.
 *
 * Touches neither signals nor standard output. Logs, where logging is configured.
 *
 * @throws CommandError when it cannot listen
 */
export async function withServer(
  settings: Settings,
  { registry, config }: Configuration,
  use: (server: Serving) => Promise<void>,
): Promise<void> {
  const log = getLog("server");
  const secrets = secretsOf(settings, registry);
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
  const announceHealth = healthListener(metrics, notifier);
  const health = new UpstreamHealth(systemClock, (upstream, change) => {
    announceHealth(upstream, change);
    noteHealth(writer, { id: upstream.id, state: health.state(upstream.id), reason: change.reason });
  });
  registry.onChange(({ upstreams }) => {
    metrics.upstreamsChanged(upstreams.filter(({ isEnabled }) => isEnabled).map(({ name }) => name));
    health.retain(new Set(upstreams.map((upstream) => upstream.id)));
  });
  registry.start();
  let isWriterInTrouble = false;
  const writer = new RecordWriter({
    spawnWorker: () =>
      new Worker(new URL("../store/writer_worker.ts", import.meta.url).href, { type: "module" }),
    path: settings.database,
    durability: settings.durability,
    retention: {
      keepDays: settings.keepDays,
      keepBodiesDays: settings.keepBodiesDays,
      maxDbSizeBytes: settings.maxDbSizeBytes,
    },
    observer: metrics,
    instance,
    clock: systemClock,
    onTrouble: (reason, message) => {
      isWriterInTrouble = true;
      getLog("store").error("records are not being written: {message}", { message });
      notifier.raise({ type: "records_dropped", reason });
    },
    onResumed: () => {
      isWriterInTrouble = false;
      getLog("store").info("records are being written again");
      notifier.raise({ type: "records_resumed" });
    },
  });
  registry.onChange(({ upstreams }) => {
    const ids = new Set(upstreams.map(({ id }) => id));
    writer.clearUpstreamStates((id) => !ids.has(id));
  });
  const inFlight = new InFlightRows(writer, systemClock);
  const upstreams = upstreamClient();
  const proxy = new Proxy({
    client: upstreams,
    clock: systemClock,
    health,
    observer: metrics,
    notifier,
    sink: writer,
    inFlight,
    logRequest: (record, upstreamName) => {
      logRequest(record, upstreamName);
      admin?.finished(record, upstreamName);
    },
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
    newId: newRequestId,
    random: Math.random,
  });
  let isDraining = false;
  let listening: HttpServer | null = null;
  let boundTo: Deno.NetAddr | null = null;
  const admin: Admin | null = settings.isAdminOff ? null : createAdmin({
    settings,
    config,
    registry,
    health,
    proxy,
    inFlight,
    client: upstreams,
    secrets,
    onRefused: (status, code) => metrics.requestRefused(status, code),
    boundTo: () => boundTo,
  });
  const appDeps: AppDeps = {
    proxy,
    readiness: {
      isDraining: () => isDraining,
      // With nothing left to write, only the next record can tell whether the trouble is over.
      isDatabaseStuck: () => isWriterInTrouble && writer.queuedBytes > 0,
    },
    registry,
    metrics,
    observer: metrics,
    isNoAuth: settings.isNoAuth,
    isMetricsAuth: settings.isMetricsAuth,
    trustedProxies: new TrustedProxies(settings.trustedProxies),
    admin: admin?.routes ?? null,
    onUnexpected: (error) => log.error("request failed: {message}", { message: messageOf(error) }),
  };

  try {
    const { server, address } = listen(settings, appDeps);
    listening = server;
    boundTo = address;
    await use({
      address,
      registry,
      drain: () => {
        isDraining = true;
        admin?.endStreams();
        server.shutdown();
      },
      drained: server.finished,
    });
  } finally {
    admin?.close();
    await proxy.stop();
    listening?.stop();
    inFlight.stop();
    registry.stop();
    await writer.close();
    await notifier.close(CLOSE_LIMIT_MS);
    upstreams.close();
  }
}

/**
 * Waits for a signal, then lets what is under way finish, until the time for that or a second signal ends it.
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

/** @throws CommandError */
function listen(settings: Settings, deps: AppDeps): { server: HttpServer; address: Deno.NetAddr } {
  const log = getLog("server");
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen(settings.listen);
  } catch (error) {
    throw cannotListen(settings, error);
  }
  const server = new HttpServer(listener, {
    clock: systemClock,
    handle: createHandler(deps),
    refusal: (error) => {
      deps.observer.requestRefused(error.status, error.code);
      return refusal(error);
    },
    onUnexpected: (error) => log.error("a connection failed: {message}", { message: messageOf(error) }),
  });
  return { server, address: listener.addr };
}

/**
 * Looks before the database is opened, so that a start that cannot succeed leaves no file and no token behind.
 * @throws CommandError
 */
function requireFreeAddress(settings: Settings): void {
  try {
    Deno.listen(settings.listen).close();
  } catch (error) {
    throw cannotListen(settings, error);
  }
}

function cannotListen({ listen: { hostname, port } }: Settings, error: unknown): CommandError {
  const reason = error instanceof Deno.errors.AddrInUse ? "the address is in use" : messageOf(error);
  return new CommandError(`Cannot listen on ${hostname}:${port}: ${reason}; choose another with --addr`);
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

/** Lets `list` see it. */
function noteHealth(
  writer: RecordWriter,
  { id, state, reason }: { readonly id: number; readonly state: BreakerState; readonly reason: string },
): void {
  if (state.type === "closed") return writer.clearUpstreamStates((each) => each === id);
  const changedAtMs = systemClock.now();
  const untilMs = state.type === "open" ? changedAtMs + state.untilMs - systemClock.monotonic() : null;
  writer.noteUpstreamState({ upstreamId: id, state: state.type, untilMs, reason, changedAtMs });
}

/** Everything that must never be shown, as of now; the same list until upstreams or tokens change. */
function secretsOf(settings: Settings, registry: Registry): () => readonly string[] {
  let snapshot: RegistrySnapshot | null = null;
  let secrets: readonly string[] = [];
  return () => {
    if (snapshot !== registry.snapshot()) {
      snapshot = registry.snapshot();
      secrets = [...listSecrets(settings, snapshot)];
    }
    return secrets;
  };
}

function* listSecrets({ alerts }: Settings, { upstreams, tokens }: RegistrySnapshot): Iterable<string> {
  for (const upstream of upstreams) yield* keysOf(upstream);
  for (const { secret } of tokens) yield secret;
  const { feishu, matrix, matrixApi, webhook } = alerts;
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
