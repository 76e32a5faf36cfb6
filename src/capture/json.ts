/**
 * Narrows parsed JSON, and reads error values.
 *
 * Nothing in a provider's JSON is trusted: every field is read through these functions, which return `null`
 * for an unexpected shape.
 */

import type { ReportedError } from "../core/reported_error.ts";
import { isCostlyJson } from "./json_cost.ts";

export type JsonObject = { readonly [key: string]: unknown };

const ERROR_MESSAGE_LIMIT = 2000;
const ERROR_LABEL_LIMIT = 128;

export function asObject(value: unknown): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : null;
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A string that is not empty, or null. */
export function asText(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** An index or a count: a safe integer, not negative. */
export function asCount(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The arguments of a call as text: a string as it is, anything else as JSON, nothing as "". */
export function asArguments(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** Parses without throwing; undefined when it is not JSON, or would take too long. */
export function parseJson(text: string): unknown {
  if (isCostlyJson(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An error value: a string, an object with a `message`, or anything else, whose message is then its JSON. */
export function readError(error: unknown): ReportedError {
  const object = asObject(error);
  const code = asLabel(object?.code);
  // `{"type":"error"}` says no more than that it is one.
  const type = object?.type === "error" ? null : asLabel(object?.type);
  const inner = asObject(object?.error);
  const message = asText(error) ?? asText(object?.message) ?? asText(inner?.message) ?? asText(object?.msg) ??
    code ?? type ?? JSON.stringify(error) ?? "error";
  return { message: message.slice(0, ERROR_MESSAGE_LIMIT), code, type };
}

function asLabel(value: unknown): string | null {
  const text = typeof value === "number" ? String(value) : asText(value);
  return text === null ? null : text.slice(0, ERROR_LABEL_LIMIT);
}
