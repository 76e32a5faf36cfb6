/**
 * The settings of the running server as the page shows them: names as people type them, no secret.
 */
import type { SettingKey } from "../config/flags.ts";
import { SETTING_FLAGS } from "../config/flags.ts";
import { addressText, type Settings } from "../config/settings.ts";
import { formatBytes } from "../core/recorded_text.ts";

/** The settings, and the URL of PostgreSQL without anything secret; null: there is none. */
export type ShownSettings = Settings & { readonly remoteText: string | null };

type Show = (settings: ShownSettings) => string;

const NONE = "none";

const SHOWN: Readonly<Record<SettingKey, Show>> = {
  addr: ({ listen }) => addressText(listen),
  reusePort: ({ isPortShared }) => yesNo(isPortShared),
  maxBody: ({ maxBodyBytes }) => formatBytes(maxBodyBytes),
  maxConnections: ({ maxConnections }) => String(maxConnections ?? NONE),
  maxConcurrent: ({ maxConcurrent }) => String(maxConcurrent ?? NONE),
  maxHeld: ({ maxHeldBytes }) => formatBytes(maxHeldBytes),
  maxReceiving: ({ maxReceivingBytes }) => formatBytes(maxReceivingBytes),
  clientTimeout: ({ clientTimeoutMs }) => seconds(clientTimeoutMs),
  trustedProxy: ({ trustedProxies }) =>
    trustedProxies.map(({ address, prefix }) => `${address}/${prefix}`).join(",") || NONE,
  drainTimeout: ({ drainTimeoutMs }) => seconds(drainTimeoutMs),
  noauth: ({ isNoAuth }) => yesNo(isNoAuth),
  allowOrigin: ({ allowedOrigins }) => allowedOrigins.join(",") || NONE,
  noAdmin: ({ isAdminOff }) => yesNo(isAdminOff),
  fromEnv: ({ isFromEnv }) => yesNo(isFromEnv),
  metricsAuth: ({ isMetricsAuth }) => yesNo(isMetricsAuth),
  policy: ({ policy }) => policy ?? "what the database says, else order",
  gateMs: ({ gateMs }) => `${gateMs} ms`,
  gate: ({ gate }) => gate,
  keepalive: ({ keepaliveMs }) => keepaliveMs === 0 ? NONE : seconds(keepaliveMs),
  firstTokenTimeout: ({ firstTokenTimeoutMs }) => seconds(firstTokenTimeoutMs),
  idleTimeout: ({ idleTimeoutMs }) => seconds(idleTimeoutMs),
  deadline: ({ deadlineMs }) => deadlineMs === null ? NONE : seconds(deadlineMs),
  retryOn: ({ retryOn }) => retryOn,
  hedgeMs: ({ hedgeDelay }) => typeof hedgeDelay === "number" ? `${hedgeDelay} ms` : hedgeDelay ?? "off",
  hedgeBudget: ({ hedgeBudgetPercent }) => `${hedgeBudgetPercent} %`,
  finalCodes: ({ finalCodes }) => [...finalCodes].join(",") || NONE,
  retrySame: ({ retrySame }) =>
    retrySame === null ? "1 if no other one has the same model, else 0" : String(retrySame),
  retryWait: ({ retryWaitMs }) => seconds(retryWaitMs),
  maxAttempts: ({ maxAttempts }) => maxAttempts === null ? "upstreams + 2" : String(maxAttempts),
  breakerMax: ({ breakerMaxMs }) => seconds(breakerMaxMs),
  queueTimeout: ({ queueTimeoutMs }) => seconds(queueTimeoutMs),
  maxQueued: ({ maxQueued }) => String(maxQueued),
  affinity: ({ affinity }) => affinity,
  keepIds: ({ keepIdsDays }) => days(keepIdsDays),
  models: ({ models }) => models.source,
  modelsRefresh: ({ models }) => secondsOrOff(models.refreshMs),
  usage: ({ costs }) => costs.usage,
  prices: ({ costs }) => costs.pricesPath ?? NONE,
  timezone: ({ costs }) => costs.timeZone,
  check: ({ models }) => secondsOrOff(models.checkMs),
  caFile: ({ outgoing }) => outgoing.caFile ?? NONE,
  database: ({ database, remoteText }) => remoteText ?? database,
  journal: ({ database, remoteText }) => remoteText === null ? NONE : database,
  recordBodyLimit: ({ recordBodyLimitBytes }) => formatBytes(recordBodyLimitBytes),
  durability: ({ durability }) => durability,
  keepDays: ({ keepDays }) => days(keepDays),
  keepBodiesDays: ({ keepBodiesDays }) => days(keepBodiesDays),
  maxDbSize: ({ maxDbSizeBytes }) => maxDbSizeBytes === null ? NONE : formatBytes(maxDbSizeBytes),
  logFormat: ({ log }) => log.format,
  logLevel: ({ log }) => log.level,
};

function secondsOrOff(ms: number | null): string {
  return ms === null ? "off" : seconds(ms);
}

/** In the order of the help; then the alert channels, shown only as on or off. */
export function viewSettings(settings: ShownSettings): { readonly name: string; readonly value: string }[] {
  const { feishu, matrix, matrixApi, webhook } = settings.alerts;
  return [
    ...SETTING_FLAGS.map(({ key, flag }) => ({ name: flag, value: SHOWN[key](settings) })),
    { name: "FEISHU_WEBHOOK", value: onOff(feishu !== null) },
    { name: "MATRIX_API", value: onOff(matrixApi !== null) },
    { name: "MATRIX_HOMESERVER", value: onOff(matrix !== null) },
    { name: "ALERT_WEBHOOK", value: onOff(webhook !== null) },
  ];
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

function days(count: number | null): string {
  return count === null ? NONE : `${count} days`;
}

function yesNo(isSet: boolean): string {
  return isSet ? "yes" : "no";
}

function onOff(isSet: boolean): string {
  return isSet ? "on" : "off";
}
