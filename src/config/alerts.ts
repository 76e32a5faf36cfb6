/**
 * The alert channels, from their environment variables.
 *
 * Owns which variables belong together. Must not echo a value: a webhook's URL is a secret.
 */
import type { Environment } from "./environment.ts";
import { SettingsError } from "./values.ts";

/** Where alerts go; null: that channel is off. Its URLs and tokens are secrets. */
export interface AlertSettings {
  readonly feishu: { readonly webhook: string; readonly secret: string | null } | null;
  /** The Go program's form: POST of `{"body": text}`-style JSON to a URL that carries its own credentials. */
  readonly matrixApi: string | null;
  readonly matrix: { readonly homeserver: string; readonly room: string; readonly token: string } | null;
  readonly webhook: { readonly url: string; readonly format: WebhookFormat } | null;
}

/** Whose JSON a webhook takes; `generic`: this program's own. */
export type WebhookFormat = "generic" | "slack" | "discord" | "teams" | "dingtalk";

/** By the end of the host's name, so that the usual addresses need no format. */
const FORMATS_OF_HOSTS: readonly (readonly [RegExp, WebhookFormat])[] = [
  [/^hooks\.slack(?:-gov)?\.com$/, "slack"],
  [/(?:^|\.)discord(?:app)?\.com$/, "discord"],
  [/\.(?:webhook\.office\.com|logic\.azure\.com|powerplatform\.com)$/, "teams"],
  [/^(?:oapi|api)\.dingtalk\.com$/, "dingtalk"],
];
const FORMATS: readonly WebhookFormat[] = ["generic", "slack", "discord", "teams", "dingtalk"];

/** @throws SettingsError naming the variable that is wrong or missing, without its value */
export function parseAlerts(env: Environment): AlertSettings {
  return {
    feishu: parseFeishu(env),
    matrixApi: urlOf(env, "MATRIX_API"),
    matrix: parseMatrix(env),
    webhook: parseWebhook(env),
  };
}

function parseFeishu(env: Environment): AlertSettings["feishu"] {
  const webhook = urlOf(env, "FEISHU_WEBHOOK");
  const secret = textOf(env, "FEISHU_SECRET");
  if (webhook === null && secret !== null) {
    throw new SettingsError("FEISHU_SECRET is set but FEISHU_WEBHOOK is not: set both, or unset it");
  }
  return webhook === null ? null : { webhook, secret };
}

function parseMatrix(env: Environment): AlertSettings["matrix"] {
  const homeserver = urlOf(env, "MATRIX_HOMESERVER");
  const room = textOf(env, "MATRIX_ROOM");
  const token = textOf(env, "MATRIX_TOKEN");
  if (homeserver === null && room === null && token === null) return null;
  if (homeserver === null || room === null || token === null) {
    const parts = { MATRIX_HOMESERVER: homeserver, MATRIX_ROOM: room, MATRIX_TOKEN: token };
    const missing = Object.entries(parts).filter(([, value]) => value === null).map(([name]) => name);
    throw new SettingsError(
      `${missing.join(" and ")} must be set too: Matrix alerts need MATRIX_HOMESERVER, MATRIX_ROOM and ` +
        `MATRIX_TOKEN, or none of them`,
    );
  }
  if (!room.startsWith("!")) {
    throw new SettingsError(
      "MATRIX_ROOM must be a room's id, which begins with ! (an alias, with #, is not enough)",
    );
  }
  return { homeserver, room, token };
}

/** What is said wins over what the host's name suggests. */
function parseWebhook(env: Environment): AlertSettings["webhook"] {
  const url = urlOf(env, "ALERT_WEBHOOK");
  const word = textOf(env, "ALERT_WEBHOOK_FORMAT")?.toLowerCase() ?? null;
  const format = FORMATS.find((each) => each === word);
  if (word !== null && format === undefined) {
    throw new SettingsError(`ALERT_WEBHOOK_FORMAT must be one of ${FORMATS.join(", ")}`);
  }
  if (url === null) {
    if (word === null) return null;
    throw new SettingsError("ALERT_WEBHOOK_FORMAT is set but ALERT_WEBHOOK is not: set both, or unset it");
  }
  const { hostname } = new URL(url);
  const suggested = FORMATS_OF_HOSTS.find(([host]) => host.test(hostname))?.[1];
  return { url, format: format ?? suggested ?? "generic" };
}

function textOf(env: Environment, variable: string): string | null {
  const text = env[variable]?.trim() ?? "";
  return text === "" ? null : text;
}

function urlOf(env: Environment, variable: string): string | null {
  const text = textOf(env, variable);
  if (text === null) return null;
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new SettingsError(
      `${variable} is not a URL that begins with https:// or http:// (its value is not shown: it is a secret)`,
    );
  }
  return text;
}
