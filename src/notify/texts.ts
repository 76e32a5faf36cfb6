/**
 * What alerts say, and which of them have the same cause. Pure.
 */
import { redactableStart } from "../core/cut_text.ts";
import type { Alert } from "./notifier.ts";

const MAX_MESSAGE_LENGTH = 500;
const MAX_MODEL_LENGTH = 100;
const MAX_CAUSE_LENGTH = 80;
const MAX_DIGEST_LINES = 20;

/** Repeats of one cause since it was last reported. */
export interface Repeats {
  readonly count: number;
  readonly last: Alert;
}

/** One line for people; `redact` sees of every value some more than is shown. */
export function alertText(alert: Alert, redact: (text: string) => string): string {
  const line = (text: string, maxLength = MAX_MESSAGE_LENGTH) =>
    oneLine(redact(redactableStart(text, maxLength)), maxLength);
  switch (alert.type) {
    case "request_failed": {
      const model = alert.model === null ? "-" : line(alert.model, MAX_MODEL_LENGTH);
      return `IP: ${line(alert.ip, 64)} request ${model} error ${alert.status} with ${line(alert.message)}`;
    }
    case "upstream_down":
      return `Upstream ${line(alert.upstream)} is down: ${line(alert.reason)}`;
    case "upstream_recovered":
      return `Upstream ${line(alert.upstream)} has recovered`;
    case "records_dropped":
      return `Records are being lost, requests go on: the database cannot take them (${line(alert.reason)})`;
    case "records_resumed":
      return "Records are being written again";
    default:
      return alert satisfies never;
  }
}

/** One message about everything that repeated: at most 20 lines, the most frequent first. */
export function digestText(repeats: readonly Repeats[], redact: (text: string) => string): string {
  const sorted = repeats.toSorted((a, b) => b.count - a.count);
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

/**
 * Alerts with the same key have the same cause. Numbers and identifiers in a message differ from request to
 * request, so they do not tell causes apart; neither does the client's address.
 */
export function causeKey(alert: Alert): string {
  switch (alert.type) {
    case "request_failed": {
      const model = alert.model?.slice(0, MAX_MODEL_LENGTH) ?? "-";
      return `${alert.type} ${model} ${alert.status} ${normalised(alert.message)}`;
    }
    case "upstream_down":
    case "upstream_recovered":
      return `${alert.type} ${alert.upstream}`;
    case "records_dropped":
    case "records_resumed":
      return alert.type;
    default:
      return alert satisfies never;
  }
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
