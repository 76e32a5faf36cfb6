/**
 * What a request asked: the text of the last message of its user, of any of the APIs.
 *
 * Pure. Of a long request only the end is read, which has that message in most cases; nothing in it is trusted.
 */
import { stringAfter, stringAt } from "../../core/reply_text.ts";

/** Null when nothing was found. @param isWhole false: the text is the end of a longer one */
export function promptStart(body: string, { isWhole }: { readonly isWhole: boolean }): string | null {
  if (isWhole) {
    const value = parsed(body);
    // The Go program stored the text as a JSON string.
    const request = typeof value === "string" ? parsed(value) : value;
    return isObject(request) ? ofRequest(request) : null;
  }
  return ofEnd(body);
}

function ofRequest(request: Readonly<Record<string, unknown>>): string | null {
  const { messages, input, prompt } = request;
  for (const value of [messages, input, prompt]) {
    if (typeof value === "string") return value;
    if (!Array.isArray(value)) continue;
    const found = lastOf(value);
    if (found !== null) return found;
  }
  return null;
}

function lastOf(items: readonly unknown[]): string | null {
  for (const item of items.toReversed()) {
    if (typeof item === "string") return item;
    if (!isObject(item) || (item["role"] !== "user" && item["role"] !== undefined)) continue;
    const text = textOf(item["content"] ?? item["text"]);
    if (text !== "") return text;
  }
  return null;
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content.trim();
  if (!Array.isArray(content)) return "";
  return content.flatMap((part) => isObject(part) && typeof part["text"] === "string" ? [part["text"]] : [])
    .join(" ").trim();
}

const USER = /"role"\s*:\s*"user"/g;
const CONTENT = /^\s*,\s*"content"\s*:\s*/;
const TEXT = /"text"\s*:\s*"/;

/** By its spelling: the end of a document is none. */
function ofEnd(end: string): string | null {
  for (const match of [...end.matchAll(USER)].slice(-MAX_TRIED).toReversed()) {
    const after = match.index + match[0].length;
    const content = CONTENT.exec(end.slice(after, after + 64));
    const next = content === null ? beforeRole(end, match.index) : after + content[0].length;
    const text = next === null ? "" : valueAt(end, next).trim();
    if (text !== "") return text;
  }
  return null;
}

/** Where the value of the member `content` before the role begins. */
function beforeRole(end: string, roleAt: number): number | null {
  const at = end.lastIndexOf('"content"', roleAt);
  if (at < 0) return null;
  const colon = /^"content"\s*:\s*/.exec(end.slice(at, at + 64));
  return colon === null ? null : at + colon[0].length;
}

const NEAR = 8_000;
/** Messages without a text, such as results of tools, that are passed over. */
const MAX_TRIED = 20;

function valueAt(text: string, at: number): string {
  if (text[at] === '"') return stringAt(text, at + 1);
  return text[at] === "[" ? stringAfter(text.slice(at, at + NEAR), TEXT) ?? "" : "";
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
