/**
 * The admin page of one server: makes its parts, and ends them.
 *
 * Nothing here works on a request of `/v1`: the reading thread begins with the first look at the page.
 */
import type { Settings } from "../config/settings.ts";
import { dayIn } from "../core/days.ts";
import { TrustedProxies } from "../core/client_ip.ts";
import { messageOf } from "../core/errors.ts";
import type { RequestRecord } from "../core/types.ts";
import type { Hono } from "hono";
import type { AdminEnv } from "../http/admin/env.ts";
import { apiRoutes } from "../http/admin/api.ts";
import type { LoginCode } from "../http/admin/login_code.ts";
import { adminRoutes } from "../http/admin/routes.ts";
import type { EndedSessions } from "../http/admin/sessions.ts";
import { dashboardPage } from "../dashboard/routes/page.tsx";
import { getLog } from "../observe/log.ts";
import type { RefusedRequests } from "../observe/refused_requests.ts";
import { redactor } from "../observe/redact.ts";
import type { RequestContext } from "../proxy/handler.ts";
import type { AttemptRates } from "../proxy/attempt/attempt_rates.ts";
import type { ServerModels } from "./models.ts";
import type { Waiting } from "../proxy/attempt/waiting.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { InFlight } from "../proxy/ledger/in_flight.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { adminTokenOf, randomAdminToken, sessionKeyOf } from "../store/config/initial_tokens.ts";
import { endedSessions } from "../store/config/ended_sessions.ts";
import { QueryThread } from "../store/read/query_thread.ts";
import type { RecordDeletion } from "../store/write/record_deletion.ts";
import type { Registry } from "../store/config/registry.ts";
import type { ConfigStore } from "../store/store.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import { LiveHub } from "../control/live_hub.ts";
import { RecordAdmin } from "../control/records.ts";
import { createAdminService } from "../control/create_admin_service.ts";
import { ServerStatusView, type TestableChannel } from "../control/server_status.ts";
import type { PostgresView } from "../control/postgres_status.ts";
import { viewSettings } from "../control/settings_view.ts";
import { TokenAdmin } from "../control/token_admin.ts";
import { UpstreamAdmin } from "../control/upstream_admin.ts";
import type { ChangeCalls } from "../control/change_calls.ts";
import { systemClock } from "./clock.ts";
import type { DatabaseUsers } from "./database_users.ts";
import { spawnDatabaseWorker } from "./database_worker.ts";
import type { RecordAnswers, RemoteDatabase } from "./remote_database.ts";
import { VERSION } from "../config/version.ts";

export interface AdminDeps {
  readonly settings: Settings;
  /** null: records are in the database itself. */
  readonly remote: RemoteDatabase | null;
  readonly config: ConfigStore;
  readonly registry: Registry;
  readonly health: UpstreamHealth;
  readonly models: Pick<ServerModels, "catalog">;
  readonly waiting: Pick<Waiting, "capacity">;
  readonly rates: AttemptRates;
  readonly proxy: { handle(client: InboundExchange, context: RequestContext): Promise<void> };
  readonly inFlight: InFlight;
  readonly client: UpstreamClient;
  readonly deletion: RecordDeletion;
  readonly databaseBytes: () => number;
  readonly channels: readonly TestableChannel[];
  /** Everything that must never be shown, as of now. */
  readonly secrets: () => Iterable<string>;
  readonly onRefused: (status: number, code: string) => void;
  readonly refused: Pick<RefusedRequests, "summary">;
  readonly changes: ChangeCalls;
  /** Told of what has the database open. */
  readonly users: DatabaseUsers;
  readonly boundTo: () => { readonly hostname: string; readonly port: number } | null;
  readonly loginCode: LoginCode;
}

export interface Admin {
  readonly routes: Hono<AdminEnv>;
  /** Call once for each request that ended. */
  finished(record: RequestRecord, upstreamName: string | null): void;
  /** Ends the event streams of open pages, so that a draining server does not wait for them. */
  endStreams(): void;
  close(): void;
}

export function createAdmin(deps: AdminDeps): Admin {
  const { settings, registry } = deps;
  const adminToken = () => adminTokenNow(deps);
  const secrets = () => [...deps.secrets(), ...optional(adminToken())];
  const log = getLog("admin");
  const clock = systemClock;
  const hub = new LiveHub({
    ledgers: () => deps.inFlight.ledgers(),
    clock,
    redact: redactor(secrets),
  });
  const { reader, closeReader } = openReader(deps);
  const service = createAdminService({
    upstreams: new UpstreamAdmin({
      ...deps,
      ...{ clock, catalog: deps.models.catalog, capacity: deps.waiting.capacity },
      lastFailures: (ids) => reader.ask("lastFailures", ids),
      onMoved: (upstream) => log.info("upstream {name} (id {id}) now goes to {to}", upstream),
    }),
    tokens: tokenAdmin(deps, reader),
    records: new RecordAdmin({
      reader,
      deletion: deletionOf(deps),
      upstreamNames: () => new Map(registry.snapshot().upstreams.map(({ id, name }) => [id, name])),
      secrets,
    }),
    hub,
    replay: { proxy: deps.proxy, snapshot: () => registry.snapshot(), hub, clock },
    status: statusView(deps),
    refused: deps.refused,
    settings: viewSettings({ ...settings, remoteText: deps.remote?.shownText ?? null }),
  });
  const streams = new AbortController();
  const routes = adminRoutes({
    adminToken,
    sessionKey: sessionKeyNow(deps.config),
    ended: endedIn(deps),
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    loginCode: deps.loginCode,
    trustedProxies: new TrustedProxies(settings.trustedProxies),
    registry,
    boundTo: deps.boundTo,
    page: dashboardPage({ service }),
    api: apiRoutes({ service, clock, version: VERSION, ending: streams.signal }),
    onRefused: deps.onRefused,
    onUnexpected: (error) => log.error("admin request failed: {message}", { message: messageOf(error) }),
  });
  return {
    routes,
    finished: (record, upstreamName) => hub.finished(record, upstreamName),
    endStreams: () => streams.abort(),
    close: () => {
      streams.abort();
      hub.close();
      closeReader();
    },
  };
}

function tokenAdmin(deps: AdminDeps, reader: RecordAnswers): TokenAdmin {
  return new TokenAdmin({
    ...deps,
    clientTotals: () => reader.ask("clientTotals", null),
    spend: (query) => reader.ask("spend", query),
    dayOf: dayIn(deps.settings.costs.timeZone),
    now: () => systemClock.now(),
  });
}

/** A thread of its own over the database, or that of PostgreSQL. */
function openReader({ settings, remote, users }: AdminDeps): { reader: RecordAnswers; closeReader(): void } {
  if (remote !== null) return { reader: remote, closeReader: () => {} };
  const thread = recordReader(settings);
  users.add(thread);
  return { reader: thread, closeReader: () => thread.close() };
}

function deletionOf({ remote, deletion }: AdminDeps): Pick<RecordDeletion, "delete"> {
  return remote === null ? deletion : { delete: (id) => remote.thread.query("deleteRecord", id) };
}

function recordReader({ database }: Settings): QueryThread {
  return new QueryThread({
    spawnWorker: () => spawnDatabaseWorker(new URL("../store/read/worker.ts", import.meta.url), database),
    path: database,
  });
}

/** As the database has it at this moment, or had it when it could last be read. */
function adminTokenNow({ config, registry }: Pick<AdminDeps, "config" | "registry">): string | null {
  try {
    return adminTokenOf(config);
  } catch {
    return registry.snapshot().adminToken;
  }
}

function postgresView(remote: RemoteDatabase): PostgresView {
  return {
    url: remote.shownText,
    instance: remote.instance,
    problem: () => {
      const { state } = remote;
      return state.type === "up" ? null : state.type === "down" ? state.message : "it has not answered yet";
    },
    backlog: () => remote.backlog,
    replicas: () => remote.thread.query("replicas", null),
  };
}

function statusView({ settings, registry, databaseBytes, channels, remote }: AdminDeps): ServerStatusView {
  return new ServerStatusView({
    settings,
    startedAtMs: Math.round(performance.timeOrigin),
    now: () => systemClock.now(),
    databaseBytes,
    storedPolicy: () => registry.snapshot().policy,
    channels,
    postgres: remote === null ? null : postgresView(remote),
  });
}

/** In the database, as long as it can be used. */
function endedIn({ config, changes }: Pick<AdminDeps, "config" | "changes">): EndedSessions {
  return {
    has: (id) => {
      try {
        return endedSessions(config).has(id);
      } catch {
        return false;
      }
    },
    add: async (session) => {
      try {
        await changes.ask("endSession", { session, nowSeconds: systemClock.now() / 1000 });
      } catch (error) {
        getLog("admin").warn("a logout holds for this process only, until it ends: {message}", {
          message: messageOf(error),
        });
      }
    },
  };
}

function optional(text: string | null): string[] {
  return text === null ? [] : [text];
}

/** One of this process only, while the database cannot be read. */
function sessionKeyNow(config: ConfigStore): string {
  try {
    return sessionKeyOf(config);
  } catch {
    return randomAdminToken();
  }
}
