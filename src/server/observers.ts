/**
 * What watches a server: metrics, and the alerts.
 */
import type { Settings } from "../config/settings.ts";
import { VERSION } from "../config/version.ts";
import { AlertNotifier } from "../notify/alerts.ts";
import { channelsOf } from "../notify/channels.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { alertFetch } from "./alert_fetch.ts";
import { getLog } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { redactor } from "../observe/redact.ts";
import { systemClock } from "./clock.ts";

export interface Observers {
  readonly metrics: Metrics;
  /** To be closed. */
  readonly notifier: AlertNotifier;
}

export interface ObserverParts {
  readonly secrets: () => readonly string[];
  /** Names this process in alerts. */
  readonly instance: string;
  readonly client: UpstreamClient;
}

export function makeObservers(
  settings: Settings,
  { secrets, instance, client }: ObserverParts,
): Observers {
  const metrics = new Metrics({
    version: VERSION,
    deno: Deno.version.deno,
    databaseBytes: () => databaseBytes(settings.database),
  });
  const notifier = new AlertNotifier({
    channels: channelsOf(settings.alerts, { fetch: alertFetch(client), clock: systemClock, instance }),
    clock: systemClock,
    redact: redactor(secrets),
    onSent: (channel, result, error) => {
      metrics.alertSent(channel, result);
      if (error !== null) getLog("notify").warn("{message}", { message: error.message });
    },
  });
  return { metrics, notifier };
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
