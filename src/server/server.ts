/**
 * One server: makes every part, wires them, and ends them in reverse.
 *
 * Touches neither signals nor standard output.
 */
import { CommandError } from "../control/errors.ts";
import { ulid } from "ulid";
import { createCapture } from "../capture/capture.ts";
import type { Settings } from "../config/settings.ts";
import type { BreakerState } from "../core/breaker.ts";
import { messageOf } from "../core/errors.ts";
import { TrustedProxies } from "../core/client_ip.ts";
import { keysOf } from "../core/secrets.ts";
import { type AppDeps, createHandler } from "../http/app.ts";
import { errorForms, refusal } from "../http/error_answer.ts";
import { OpenGuard, TOKENS_GUARD } from "../http/browser_guard.ts";
import { AlertNotifier } from "../notify/alerts.ts";
import { channelsOf } from "../notify/channels.ts";
import type { Notifier } from "../notify/notifier.ts";
import { getLog, logRequest } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { denoProcessReadings, read } from "../observe/process_metrics.ts";
import { redactor } from "../observe/redact.ts";
import { HeldBudget } from "../proxy/assess/held_budget.ts";
import { type HealthListener, UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import { Proxy } from "../proxy/handler.ts";
import { InFlight } from "../proxy/ledger/in_flight.ts";
import { ProgressRows } from "../proxy/ledger/progress_rows.ts";
import { alertSettled, countSettled } from "../proxy/ledger/settlement.ts";
import { ReceivingBudget } from "../proxy/receiving_budget.ts";
import { Registry } from "../store/config/registry.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import type { OpenDatabase } from "../store/database/open.ts";
import type { ConfigStore } from "../store/store.ts";
import { RecordQueue } from "../store/write/record_queue.ts";
import { LazyAdmin } from "./lazy_admin.ts";
import { ConnectionLimits } from "../wire/connection_limits.ts";
import { HttpServer } from "../wire/server.ts";
import { systemClock } from "./clock.ts";
import { spawnDatabaseWorker } from "./database_worker.ts";
import { newRequestId } from "./ids.ts";
import { upstreamClient } from "./upstream_client.ts";
import { VERSION } from "../config/version.ts";

const CLOSE_LIMIT_MS = 5_000;
/** A reply that its client does not take is to be ended, and recorded, by the relay first. */
const STALL_MARGIN_MS = 10_000;
/** Connections that wait to be accepted; the system may allow fewer. */
const BACKLOG = 4096;

export function liveRegistry(database: OpenDatabase): Registry {
  return new Registry({
    store: database.config,
    clock: systemClock,
    onProblem: (message) => getLog("registry").warn("{message}", { message }),
  });
}

/** Where the server gets its upstreams and tokens from: of the database that the settings name. */
export interface Configuration {
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
  const writer = new RecordQueue({
    spawnWorker: () =>
      spawnDatabaseWorker(new URL("../store/write/worker.ts", import.meta.url), settings.database),
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
  const inFlight = new InFlight();
  const progressRows = new ProgressRows(writer, systemClock);
  const upstreams = upstreamClient();
  const proxy = new Proxy({
    client: upstreams,
    clock: systemClock,
    health,
    observer: metrics,
    sink: writer,
    inFlight,
    progressRows,
    onSettled: [
      countSettled(metrics),
      logRequest,
      (record, upstreamName) => admin?.finished(record, upstreamName),
      alertSettled(notifier),
    ],
    errorForms,
    createCapture: ({ headers, ...options }) =>
      createCapture({
        ...options,
        contentType: headers.get("content-type"),
        contentEncoding: headers.get("content-encoding"),
      }),
    times: settings,
    budget: new HeldBudget(settings.maxHeldBytes),
    receiving: new ReceivingBudget(settings.maxReceivingBytes),
    retryOn: settings.retryOn,
    limits: settings,
    policy: settings.policy,
    newId: newRequestId,
    random: Math.random,
  });
  let isDraining = false;
  let listening: HttpServer | null = null;
  let boundTo: Deno.NetAddr | null = null;
  const admin = settings.isAdminOff ? null : new LazyAdmin({
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
  const trustedProxies = new TrustedProxies(settings.trustedProxies);
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
    trustedProxies,
    clock: systemClock,
    clientTimeoutMs: settings.clientTimeoutMs,
    browserGuard: settings.isNoAuth
      ? new OpenGuard({ allowedOrigins: settings.allowedOrigins, trustedProxies, boundTo: () => boundTo })
      : TOKENS_GUARD,
    admin,
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
    progressRows.stop();
    registry.stop();
    await writer.close();
    await notifier.close(CLOSE_LIMIT_MS);
    upstreams.close();
  }
}

/** @throws CommandError */
function listen(settings: Settings, deps: AppDeps): { server: HttpServer; address: Deno.NetAddr } {
  const log = getLog("server");
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ ...settings.listen, tcpBacklog: BACKLOG });
  } catch (error) {
    throw cannotListen(settings, error);
  }
  const max = connectionLimit(settings.maxConnections);
  const server = new HttpServer(listener, {
    clock: systemClock,
    handle: createHandler(deps),
    limits: max === null
      ? null
      : new ConnectionLimits({ max, isShared: (address) => deps.trustedProxies.trusts(address) }),
    onTurnedAway: (count, reason) => {
      const words = reason === "full"
        ? "{count} connections were closed: there are as many as --max-connections allows"
        : "{count} connections were closed: one address has a quarter of all (--max-connections); name proxies with --trusted-proxy";
      log.warn(words, { count });
    },
    writeTimeoutMs: settings.clientTimeoutMs + STALL_MARGIN_MS,
    bodyTimeoutMs: settings.clientTimeoutMs + STALL_MARGIN_MS,
    refusal: (error) => {
      deps.observer.requestRefused(error.status, error.code);
      return refusal(error, deps.browserGuard.headersFor(null));
    },
    onUnexpected: (error) => log.error("a connection failed: {message}", { message: messageOf(error) }),
  });
  return { server, address: listener.addr };
}

/** Descriptors for everything but clients and upstreams: the database, the threads, alerts. */
const RESERVED_DESCRIPTORS = 64;
const MIN_CONNECTIONS = 8;

/** How many connections clients may have: as told, or fewer where each could not have one to an upstream, too. */
function connectionLimit(told: number | null): number | null {
  const descriptors = read(denoProcessReadings().maxFds);
  if (told === null || descriptors === null) return told;
  const affordable = Math.max(MIN_CONNECTIONS, Math.floor((descriptors - RESERVED_DESCRIPTORS) / 2));
  if (affordable >= told) return told;
  getLog("server").warn(
    "{descriptors} open files are allowed (ulimit -n): enough for {affordable} connections of clients, not for {told}",
    { descriptors, affordable, told },
  );
  return affordable;
}

/** Why an address cannot be listened on, and what to do. */
export function cannotListen({ listen: { hostname, port } }: Settings, error: unknown): CommandError {
  const reason = error instanceof Deno.errors.AddrInUse ? "the address is in use" : messageOf(error);
  return new CommandError(`Cannot listen on ${hostname}:${port}: ${reason}; choose another with --addr`);
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
  writer: RecordQueue,
  { id, state, reason }: { readonly id: number; readonly state: BreakerState; readonly reason: string },
): void {
  if (state.type === "closed") return writer.clearUpstreamStates((each) => each === id);
  const changedAtMs = systemClock.now();
  const untilMs = state.type === "open" ? changedAtMs + state.untilMs - systemClock.monotonic() : null;
  writer.noteUpstreamState({ upstreamId: id, state: state.type, untilMs, reason, changedAtMs });
}

/** Everything that must never be shown, as of now; the same list until upstreams or tokens change. */
export function secretsOf(settings: Settings, registry: Registry): () => readonly string[] {
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

function* listSecrets(
  { alerts }: Settings,
  { upstreams, tokens, adminToken }: RegistrySnapshot,
): Iterable<string> {
  for (const upstream of upstreams) yield* keysOf(upstream);
  for (const { secret } of tokens) yield secret;
  if (adminToken !== null) yield adminToken;
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
