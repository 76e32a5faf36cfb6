/**
 * What watches a server: metrics, and the alerts.
 */
import type { Settings } from "../config/settings.ts";
import { NAME, VERSION } from "../config/version.ts";
import { AlertNotifier } from "../notify/alerts.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { alertFetch } from "./alert_fetch.ts";
import type { TestableChannel } from "../control/server_status.ts";
import type { Channel } from "../notify/channel.ts";
import { channelsOf } from "../notify/channels.ts";
import type { Registry } from "../store/config/registry.ts";
import { getLog } from "../observe/log.ts";
import { LimitedClients, type LimitedClientsDeps } from "../observe/limited_clients.ts";
import { Metrics, type RemoteReadings } from "../observe/metrics.ts";
import { type RefusalLine, RefusedRequests } from "../observe/refused_requests.ts";
import { redactor } from "../observe/redact.ts";
import { systemClock } from "./clock.ts";
import type { RemoteDatabase } from "./remote_database.ts";

const TEST_TEXT = `Test of ${NAME}: alerts reach this channel`;

export interface Observers {
  readonly metrics: Metrics;
  readonly refused: RefusedRequests;
  /** Requests refused because of a limit of their token. */
  readonly limited: LimitedClients;
  /** To be closed. */
  readonly notifier: AlertNotifier;
  /** The alert channels, to be tried one by one. */
  readonly channels: readonly TestableChannel[];
  /** Size of the database: the file and its write-ahead log. @throws when there is no file */
  readonly databaseBytes: () => number;
}

export interface ObserverParts {
  readonly secrets: () => readonly string[];
  /** Names this process in alerts. */
  readonly instance: string;
  readonly client: UpstreamClient;
  readonly registry: Pick<Registry, "onChange">;
  /** null: there is no PostgreSQL. */
  readonly remote: Pick<RemoteDatabase, "state" | "backlog"> | null;
}

export function makeObservers(
  settings: Settings,
  { secrets, instance, client, registry, remote }: ObserverParts,
): Observers {
  const bytesOfDatabase = () => databaseBytes(settings.database);
  const metrics = new Metrics({
    version: VERSION,
    deno: Deno.version.deno,
    databaseBytes: bytesOfDatabase,
    ...(remote === null ? {} : { remote: () => readingsOf(remote) }),
  });
  registry.onChange(({ tokens, clientRules }) =>
    metrics.tokensChanged([...tokens, ...clientRules.map(({ name }) => ({ name, secret: "" }))])
  );
  registry.onChange(({ clientRules }) => metrics.limits.clientsChanged(clientRules.map(({ name }) => name)));
  const limited = new LimitedClients({ clock: systemClock, log: logLimited });
  const fetch = alertFetch(client);
  const channels = channelsOf(settings.alerts, { fetch, clock: systemClock, instance });
  const notifier = new AlertNotifier({
    channels,
    clock: systemClock,
    redact: redactor(secrets),
    onSent: (channel, result, error) => {
      metrics.alertSent(channel, result);
      if (error !== null) getLog("notify").warn("{message}", { message: error.message });
    },
  });
  return {
    metrics,
    refused: new RefusedRequests({ clock: systemClock, log: logRefusal, limited }),
    limited,
    notifier,
    channels: channels.map((channel) => ({ name: channel.name, test: () => sendTest(channel) })),
    databaseBytes: bytesOfDatabase,
  };
}

function readingsOf({ state, backlog }: Pick<RemoteDatabase, "state" | "backlog">): RemoteReadings {
  const oldestMs = backlog?.oldestMs ?? null;
  return {
    isUp: state.type === "up",
    waiting: backlog?.waiting ?? null,
    oldestAgeSeconds: oldestMs === null ? null : Math.max(0, systemClock.now() - oldestMs) / 1_000,
  };
}

function logRefusal({ address, words, unlogged }: RefusalLine): void {
  const others = unlogged === 0 ? "" : "; {unlogged} more since the last such line";
  getLog("server").warn(`refused a request from {address}: ${words}${others}`, { address, unlogged });
}

function logLimited({ client, reason, unlogged }: Parameters<LimitedClientsDeps["log"]>[0]): void {
  const others = unlogged === 0 ? "" : "; {unlogged} more since the last such line";
  getLog("server").warn(`refused a request of the token {client}: {reason}${others}`, {
    ...{ client, reason, unlogged },
  });
}

/** @throws ChannelError */
async function sendTest(channel: Channel): Promise<void> {
  await channel.send({
    id: crypto.randomUUID(),
    text: TEST_TEXT,
    alert: { type: "test" },
    atMs: systemClock.now(),
  }, new AbortController().signal);
}

/** The file and its write-ahead log. */
function databaseBytes(path: string): number {
  let bytes = Deno.statSync(path).size;
  try {
    bytes += Deno.statSync(`${path}-wal`).size;
  } catch {
    // There is no log while nothing has been written.
  }
  return bytes;
}
