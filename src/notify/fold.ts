/**
 * One message out of many, for a channel that was waited for. Pure.
 */
import type { AlertMessage } from "./channel.ts";
import { isUrgent, type Repeats } from "./texts.ts";

/** Lines of a folded message; the others are counted. */
const MAX_LINES = 40;
/** Alerts that a folded message holds as data. */
const MAX_REPEATS = 100;

/** Whether it takes precedence over alerts about requests: a change of a state. */
export function isUrgentMessage({ alert }: AlertMessage): boolean {
  return alert.type !== "digest" && alert.type !== "test" && isUrgent(alert);
}

/** Changes of states first, then failed requests, then repeats; each in the order in which they came. */
export function inOrder(messages: readonly AlertMessage[]): AlertMessage[] {
  return messages.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** All of them as one digest, {@link inOrder}. */
export function fold(
  messages: readonly AlertMessage[],
  { id, atMs }: Pick<AlertMessage, "id" | "atMs">,
): AlertMessage {
  const sorted = inOrder(messages);
  const lines = sorted.flatMap(({ text }) => text.split("\n"));
  const shown = lines.length <= MAX_LINES ? lines : [
    ...lines.slice(0, MAX_LINES),
    `${lines.length - MAX_LINES} further lines are left out: the channel asked to wait`,
  ];
  const repeats = sorted.flatMap(({ alert }) => repeatsOf(alert)).slice(0, MAX_REPEATS);
  return { id, atMs, text: shown.join("\n"), alert: { type: "digest", repeats } };
}

function rankOf(message: AlertMessage): number {
  if (isUrgentMessage(message)) return 0;
  return message.alert.type === "digest" ? 2 : 1;
}

function repeatsOf(alert: AlertMessage["alert"]): readonly Repeats[] {
  if (alert.type === "digest") return alert.repeats;
  return alert.type === "test" ? [] : [{ count: 1, last: alert }];
}
