/**
 * The admin page of one server: makes its parts, and ends them.
 *
 * Nothing here works on a request of `/v1`: the reading thread begins with the first look at the page.
 */
import type { Settings } from "../config/settings.ts";
import { TrustedProxies } from "../core/client_ip.ts";
import { messageOf } from "../core/errors.ts";
import type { RequestRecord } from "../core/types.ts";
import type { Hono } from "hono";
import type { AdminEnv } from "../http/admin/env.ts";
import { apiRoutes } from "../http/admin/api.ts";
import { adminRoutes } from "../http/admin/routes.ts";
import { dashboardPage } from "../dashboard/routes/page.tsx";
import { getLog } from "../observe/log.ts";
import { redactor } from "../observe/redact.ts";
import type { RequestContext } from "../proxy/handler.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { InFlight } from "../proxy/ledger/in_flight.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { adminTokenOf } from "../store/config/initial_tokens.ts";
import { QueryThread } from "../store/read/query_thread.ts";
import type { RecordDeletion } from "../store/write/record_deletion.ts";
import type { Registry } from "../store/config/registry.ts";
import type { ConfigStore } from "../store/store.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import { LiveHub } from "../control/live_hub.ts";
import { RecordAdmin } from "../control/records.ts";
import { createAdminService } from "../control/create_admin_service.ts";
import { ServerStatusView, type TestableChannel } from "../control/server_status.ts";
import { viewSettings } from "../control/settings_view.ts";
import { Tokens } from "../control/tokens.ts";
import { UpstreamAdmin } from "../control/upstream_admin.ts";
import { systemClock } from "./clock.ts";
import { spawnDatabaseWorker } from "./database_worker.ts";
import { VERSION } from "../config/version.ts";

export interface AdminDeps {
  readonly settings: Settings;
  readonly config: ConfigStore;
  readonly registry: Registry;
  readonly health: UpstreamHealth;
  readonly proxy: { handle(client: InboundExchange, context: RequestContext): Promise<void> };
  readonly inFlight: InFlight;
  readonly client: UpstreamClient;
  readonly deletion: RecordDeletion;
  readonly databaseBytes: () => number;
  readonly channels: readonly TestableChannel[];
  /** Everything that must never be shown, as of now. */
  readonly secrets: () => Iterable<string>;
  readonly onRefused: (status: number, code: string) => void;
  readonly boundTo: () => { readonly hostname: string; readonly port: number } | null;
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
  const { settings, config, registry } = deps;
  const secrets = () => [...deps.secrets(), ...optional(adminTokenOf(config))];
  const log = getLog("admin");
  const clock = systemClock;
  const hub = new LiveHub({
    ledgers: () => deps.inFlight.ledgers(),
    clock,
    redact: redactor(secrets),
  });
  const reader = new QueryThread({
    spawnWorker: () =>
      spawnDatabaseWorker(new URL("../store/read/worker.ts", import.meta.url), settings.database),
    path: settings.database,
  });
  const service = createAdminService({
    upstreams: new UpstreamAdmin({
      ...deps,
      clock,
      lastFailures: (ids) => reader.ask("lastFailures", ids),
      onMoved: (upstream) => log.info("upstream {name} (id {id}) now goes to {to}", upstream),
    }),
    tokens: new Tokens({ config, onChange: () => registry.reloadNow() }),
    records: new RecordAdmin({
      reader,
      deletion: deps.deletion,
      upstreamNames: () => new Map(registry.snapshot().upstreams.map(({ id, name }) => [id, name])),
      secrets,
    }),
    hub,
    replay: { proxy: deps.proxy, snapshot: () => registry.snapshot(), hub, clock },
    status: statusView(deps),
    settings: viewSettings(settings),
  });
  const streams = new AbortController();
  const routes = adminRoutes({
    adminToken: () => adminTokenOf(config),
    monotonic: () => clock.monotonic(),
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
      reader.close();
    },
  };
}

function statusView({ settings, registry, databaseBytes, channels }: AdminDeps): ServerStatusView {
  return new ServerStatusView({
    settings,
    startedAtMs: Math.round(performance.timeOrigin),
    now: () => systemClock.now(),
    databaseBytes,
    storedPolicy: () => registry.snapshot().policy,
    channels,
  });
}

function optional(text: string | null): string[] {
  return text === null ? [] : [text];
}
