/**
 * The texts of alerts, and which alerts have the same cause. Pure.
 */
import { redactableStart } from "../core/cut_text.ts";
import { failedPercent, FAILURE_WINDOW_MS, type FailureCount } from "../core/failure_window.ts";
import { inert } from "./inert.ts";
import type { Alert, AlertedBudget, AlertedKey } from "./notifier.ts";

const MAX_MESSAGE_LENGTH = 500;
const MAX_MODEL_LENGTH = 100;
const MAX_CAUSE_LENGTH = 80;
const MAX_MASKED_LENGTH = 16;
/** A shorter model name may occur within any word. */
const MIN_NAME_LENGTH = 3;
const MAX_DIGEST_LINES = 20;

/** Repeats of one cause since it was last reported. */
export interface Repeats {
  readonly count: number;
  readonly last: Alert;
}

/** One line for people; `redact` is given more of every value than is shown. */
export function alertText(alert: Alert, redact: (text: string) => string): string {
  const line = (text: string, maxLength = MAX_MESSAGE_LENGTH) =>
    oneLine(redact(redactableStart(text, maxLength)), maxLength);
  /** For texts of clients and upstreams. */
  const quoted = (text: string, maxLength = MAX_MESSAGE_LENGTH) =>
    oneLine(inert(line(text, maxLength)), maxLength);
  const forModel = ({ model }: { readonly model?: string }) =>
    model === undefined ? "" : modelWords(model, quoted);
  switch (alert.type) {
    case "request_failed": {
      const model = alert.model === null ? "-" : quoted(alert.model, MAX_MODEL_LENGTH);
      return `IP: ${quoted(alert.ip, 64)} request ${model} error ${alert.status} with ${
        quoted(alert.message)
      }`;
    }
    case "upstream_down":
      return `Upstream ${line(alert.upstream)} is down${forModel(alert)}: ${quoted(alert.reason)}`;
    case "upstream_no_credit":
      return `Upstream ${line(alert.upstream)} has no credit left: ${quoted(alert.reason)}`;
    case "upstream_key_refused":
      return `Upstream ${line(alert.upstream)}: ${keyText(alert)} is refused and not used any more: ${
        quoted(alert.reason)
      }`;
    case "upstream_key_no_credit":
      return `Upstream ${line(alert.upstream)}: ${keyText(alert)} has no credit left: ${
        quoted(alert.reason)
      }`;
    case "upstream_key_recovered":
      return `Upstream ${line(alert.upstream)}: ${keyText(alert)} has recovered`;
    case "upstream_degraded":
      return `Upstream ${line(alert.upstream)} is degraded: ${sharesOf(alert)}`;
    case "upstream_recovered":
      if (alert.attempts !== undefined) {
        return `Upstream ${line(alert.upstream)} is no longer degraded: ${sharesOf(alert)}`;
      }
      return `Upstream ${line(alert.upstream)} has recovered${forModel(alert)}`;
    case "records_dropped":
      return `Records are being lost, requests go on: the database cannot take them (${line(alert.reason)})`;
    case "retention_failing":
      return `Old records have not been deleted for an hour, and the disk may fill up: ${line(alert.reason)}`;
    case "postgres_down":
      return `PostgreSQL cannot be used, requests go on and records wait in the journal: ${
        line(alert.reason)
      }`;
    case "records_resumed":
    case "retention_resumed":
    case "postgres_resumed":
      return RESUMED[alert.type];
    case "record_rejected":
      return `PostgreSQL refuses a record, which stays in the journal: ${line(alert.reason)}`;
    case "budget_near":
    case "budget_reached":
      return `Token ${line(alert.client)} has ${budgetWords(alert)}`;
    default:
      return alert satisfies never;
  }
}

const RESUMED = {
  records_resumed: "Records are being written again",
  retention_resumed: "Old records are being deleted again",
  postgres_resumed: "PostgreSQL can be used again",
} as const;

function budgetWords({ type, budget, spentUsd }: AlertedBudget & { readonly type: string }): string {
  return type === "budget_near"
    ? `spent ${spentUsd} USD of its budget of ${budget}`
    : `used up its budget of ${budget}: ${spentUsd} USD are spent`;
}

function modelWords(model: string, quoted: (text: string, maxLength: number) => string): string {
  return model === "" ? " for requests without a model" : ` for model ${quoted(model, MAX_MODEL_LENGTH)}`;
}

/** `key 2 (sk-…wxyz)` */
function keyText({ key, masked }: AlertedKey): string {
  return `key ${key} (${oneLine(masked, MAX_MASKED_LENGTH)})`;
}

/** `37 % of its 120 attempts in the last 10 minutes failed`. */
function sharesOf({ attempts = 0, failed = 0 }: Partial<FailureCount>): string {
  const within = `in the last ${FAILURE_WINDOW_MS / 60_000} minutes`;
  if (attempts === 0) return `it was not tried ${within}`;
  return `${failedPercent({ attempts, failed })} % of its ${attempts} attempts ${within} failed`;
}

/** Changes of states first, then the most frequent. */
export function byWeight(repeats: readonly Repeats[]): Repeats[] {
  return repeats.toSorted((a, b) => Number(isUrgent(b.last)) - Number(isUrgent(a.last)) || b.count - a.count);
}

/**
 * One message about all repeats: at most 20 lines, in the order of {@link byWeight}.
 */
export function digestText(repeats: readonly Repeats[], redact: (text: string) => string): string {
  const sorted = byWeight(repeats);
  const lines = sorted.slice(0, MAX_DIGEST_LINES).map(({ count, last }) =>
    `${count} more, the last: ${alertText(last, redact)}`
  );
  const rest = sorted.slice(MAX_DIGEST_LINES);
  if (rest.length > 0) {
    const count = rest.reduce((sum, each) => sum + each.count, 0);
    lines.push(`${count} more of ${rest.length} other causes`);
  }
  return lines.join("\n");
}

/** Whether it takes precedence over alerts about requests: no client can raise it at will. */
export function isUrgent(alert: Alert): boolean {
  return alert.type !== "request_failed";
}

/**
 * Alerts with the same key have the same cause. A model is part of the key only if it has been served before, since
 * clients may name any. Numbers and identifiers in a message differ from request to request, so they are not part of
 * it; neither is the client's address.
 */
export function causeKey(alert: Alert, isServed: (model: string) => boolean): string {
  switch (alert.type) {
    case "request_failed": {
      const { type, status, message } = alert;
      const model = alert.model === null ? "-" : isServed(alert.model) ? alert.model : "?";
      return `${type} ${model.slice(0, MAX_MODEL_LENGTH)} ${status} ${
        normalised(withoutModel(message, alert))
      }`;
    }
    // Not by model: clients may name any.
    case "upstream_down":
    case "upstream_no_credit":
    case "upstream_degraded":
      return `${alert.type} ${alert.upstream}`;
    case "upstream_key_refused":
    case "upstream_key_no_credit":
    case "upstream_key_recovered":
      return `${alert.type} ${alert.key} ${alert.upstream}`;
    case "upstream_recovered":
      return `${alert.type}${alert.attempts === undefined ? "" : " degraded"} ${alert.upstream}`;
    case "records_dropped":
    case "records_resumed":
    case "retention_failing":
    case "retention_resumed":
    case "postgres_down":
    case "postgres_resumed":
    case "record_rejected":
      return alert.type;
    case "budget_near":
    case "budget_reached":
      return `${alert.type} ${alert.client}`;
    default:
      return alert satisfies never;
  }
}

/** Many upstreams repeat the model's name in their message. */
function withoutModel(message: string, { model }: { readonly model: string | null }): string {
  const start = message.slice(0, 4 * MAX_CAUSE_LENGTH);
  return model === null || model.length < MIN_NAME_LENGTH ? start : start.replaceAll(model, "#");
}

function normalised(message: string): string {
  return message.slice(0, 4 * MAX_CAUSE_LENGTH)
    .toLowerCase()
    .replaceAll(/[a-z0-9_.-]+/g, (word) => /\d/.test(word) ? "#" : word)
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, MAX_CAUSE_LENGTH);
}

function oneLine(text: string, maxLength: number): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim().toWellFormed();
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1).toWellFormed()}…`;
}
