/**
 * One server: makes every part in order, wires them, and ends them in reverse.
 *
 * Touches neither signals nor standard output. Logs, where logging is configured.
 */
import { ulid } from "ulid";
import type { Settings } from "../config/settings.ts";
import { TrustedProxies } from "../core/client_ip.ts";
import { messageOf } from "../core/errors.ts";
import type { AppDeps } from "../http/app.ts";
import { OpenGuard, TOKENS_GUARD } from "../http/browser_guard.ts";
import { getLog, logRequest } from "../observe/log.ts";
import type { Proxy } from "../proxy/handler.ts";
import { InFlight } from "../proxy/ledger/in_flight.ts";
import { ProgressRows } from "../proxy/ledger/progress_rows.ts";
import type { SettledListener } from "../proxy/ledger/settlement.ts";
import { Registry } from "../store/config/registry.ts";
import type { OpenDatabase } from "../store/database/open.ts";
import type { HttpServer } from "../wire/server.ts";
import { systemClock } from "./clock.ts";
import { DatabaseUsers } from "./database_users.ts";
import { makeWaiting } from "./capacity.ts";
import { makeHealth, type ServerHealth } from "./health.ts";
import { LazyAdmin } from "./lazy_admin.ts";
import { listen } from "./listener.ts";
import { LoopTurns } from "./loop_turns.ts";
import { makeObservers, type Observers } from "./observers.ts";
import { makePrices } from "./prices.ts";
import { makeProxy } from "./proxy.ts";
import { makeModels, type ServerModels } from "./models.ts";
import { type Recording, startRecording } from "./recording.ts";
import type { RemoteDatabase } from "./remote_database.ts";
import { RemoteSink } from "./remote_sink.ts";
import { secretsOf } from "./secrets.ts";
import { shareStates } from "./shared_states.ts";
import { type OutgoingClient, type RoutingClient, upstreamClient } from "./upstream_client.ts";
import { makeUsageAsking } from "./usage.ts";
import { watchRemote } from "./watch_remote.ts";

/** The writing thread is to be the last that has the database open, and puts the journal away; a search may last longer. */
const DETACH_LIMIT_MS = 1_000;
const CLOSE_LIMIT_MS = 5_000; // docs/tuning.md#server

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
  readonly database: OpenDatabase;
  /** PostgreSQL, of which the database is the journal; null: there is none. Closed by whoever made it, afterwards. */
  readonly remote: RemoteDatabase | null;
}

/** A server that listens. */
export interface Serving {
  readonly address: Deno.NetAddr;
  readonly registry: Registry;
  /** A code that logs in to the page once; null: there is no page. */
  issueLoginCode(): string | null;
  /** Takes no further connections, and lets what is under way finish. */
  drain(): void;
  /** Resolves when it was drained. */
  readonly drained: Promise<void>;
}

/** What changes while a server runs, and its parts ask for. */
interface ServerState {
  isDraining: boolean;
  /** null until it listens. */
  address: Deno.NetAddr | null;
}

/**
 * Runs the whole server until `use` resolves; what is under way then is ended.
 *
 * @throws StartError when it cannot listen
 */
export async function withServer(
  settings: Settings,
  configuration: Configuration,
  use: (server: Serving) => Promise<void>,
): Promise<void> {
  const { registry, database, database: { config }, remote } = configuration;
  const state: ServerState = { isDraining: false, address: null };
  const secrets = secretsOf(settings, registry, remote?.secrets);
  const instance = remote?.instance ?? ulid();
  const client = outgoingClient(settings, registry);
  const observers = makeObservers(settings, { secrets, instance, client, registry, remote });
  const parts = { ...requestParts(settings, { registry, observers }), registry, client };
  const users = new DatabaseUsers(remote === null ? [database] : [database, remote.thread]);
  const watching = remote && watchRemote(remote, { observers, registry });
  const recording = startRecording(settings, { observers, registry, instance, users, remote });
  const serverHealth = makeHealth(settings, { ...recording, observers, registry, config, secrets });
  const sharing = remote && shareStates({ health: serverHealth, remote, registry, clock: systemClock });
  const models = makeModels(settings, { ...parts, config, ...recording, ...serverHealth, observers });
  const progressRows = new ProgressRows(recording.queue, systemClock);
  const settledListeners: SettledListener[] = [logRequest, (record) => serverHealth.rates.settled(record)];
  const usage = makeUsageAsking(settings, { ...recording, registry });
  const shared = { ...parts, health: serverHealth.health, models, usage, spend: recording.spend };
  const sink = remote && settings.durability === "remote"
    ? new RemoteSink(recording.queue, remote)
    : recording.queue;
  const proxy = makeProxy(settings, { ...shared, sink, observers, progressRows, settledListeners, database });
  const admin = settings.isAdminOff ? null : new LazyAdmin({
    ...{ ...observers, ...recording, ...shared, rates: serverHealth.rates },
    ...{ settings, config, users, proxy, secrets, remote },
    onRefused: (status, code) => observers.metrics.requestRefused(status, code),
    boundTo: () => state.address,
  });
  if (admin !== null) settledListeners.push((record, upstreamName) => admin.finished(record, upstreamName));
  for (const part of [registry, admin]) part?.start();

  let listening: HttpServer | null = null;
  try {
    const app = appDeps(settings, { registry, proxy, admin, observers, recording, serverHealth, state });
    const { server, address } = listen(settings, app);
    listening = server;
    state.address = address;
    await use({
      address,
      registry,
      issueLoginCode: () => admin?.issueLoginCode() ?? null,
      drain: () => {
        state.isDraining = true;
        admin?.endStreams();
        server.shutdown();
      },
      drained: server.finished,
    });
  } finally {
    // It ships what is still written here, and has the journal open until then.
    if (remote !== null) users.remove(remote.thread);
    await users.detachWithin(DETACH_LIMIT_MS);
    for (const part of [sharing, watching, parts.pricing]) part?.stop();
    await stopParts({ ...shared, admin, proxy, listening, progressRows, serverHealth, recording, observers });
  }
}

/** What the requests under way have in common. */
function requestParts(settings: Settings, parts: Parameters<typeof makeWaiting>[1]) {
  return {
    inFlight: new InFlight(),
    waiting: makeWaiting(settings, parts),
    turns: new LoopTurns(),
    pricing: makePrices(settings, systemClock),
  };
}

/** In the reverse of the order in which they were made. */
async function stopParts(parts: {
  readonly admin: LazyAdmin | null;
  readonly proxy: Proxy;
  readonly models: ServerModels;
  readonly turns: LoopTurns;
  /** null: it could not listen. */
  readonly listening: HttpServer | null;
  readonly progressRows: ProgressRows;
  readonly registry: Registry;
  readonly serverHealth: ServerHealth;
  readonly recording: Recording;
  readonly observers: Observers;
  readonly client: OutgoingClient;
}): Promise<void> {
  parts.admin?.close();
  parts.models.stop();
  await parts.proxy.stop();
  parts.turns.close();
  parts.listening?.stop();
  parts.progressRows.stop();
  parts.registry.stop();
  parts.serverHealth.stop();
  await parts.recording.close();
  await parts.observers.notifier.close(CLOSE_LIMIT_MS);
  parts.client.close();
}

/** @throws StartError when the file of `--ca-file` cannot be used */
function outgoingClient({ outgoing }: Settings, registry: Pick<Registry, "onChange">): RoutingClient {
  const client = upstreamClient(outgoing, (message) => getLog("server").warn("{message}", { message }));
  registry.onChange(({ upstreams }) => {
    client.keepProxies(new Set(upstreams.flatMap(({ shaping: { proxy } }) => proxy ?? [])));
  });
  return client;
}

interface AppParts extends Pick<AppDeps, "registry" | "proxy" | "admin"> {
  readonly observers: Observers;
  readonly recording: Recording;
  readonly serverHealth: ServerHealth;
  readonly state: Readonly<ServerState>;
}

function appDeps(
  settings: Settings,
  { observers: { metrics, refused }, recording, serverHealth, state, ...parts }: AppParts,
): AppDeps {
  const { isNoAuth, isMetricsAuth, clientTimeoutMs, allowedOrigins } = settings;
  const trustedProxies = new TrustedProxies(settings.trustedProxies);
  const boundTo = () => state.address;
  return {
    ...parts,
    readiness: {
      isDraining: () => state.isDraining,
      isDatabaseStuck: () => recording.isStuck(),
      heldBack: () => serverHealth.heldBack(),
      upstreams: () => serverHealth.counts(),
    },
    metrics,
    observer: metrics,
    refused,
    isNoAuth,
    isMetricsAuth,
    trustedProxies,
    clock: systemClock,
    clientTimeoutMs,
    browserGuard: isNoAuth ? new OpenGuard({ allowedOrigins, trustedProxies, boundTo }) : TOKENS_GUARD,
    onUnexpected: (error) =>
      getLog("server").error("request failed: {message}", { message: messageOf(error) }),
  };
}
