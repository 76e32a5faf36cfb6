/**
 * Validates one row of `openai_upstreams`.
 *
 * Owns what a usable upstream is; pure. Messages never hold the key or the endpoint, which may carry one.
 */
import { splitPatterns } from "./patterns.ts";
import { ASIS, AUTH_STYLES, type AuthStyle, type Upstream } from "../../core/types.ts";
import type { UpstreamRow } from "../store.ts";
import { readOptions } from "./upstream_options.ts";

export { splitPatterns } from "./patterns.ts";

export type UpstreamRowResult =
  | { readonly isValid: true; readonly upstream: Upstream }
  /** `problem` completes "upstream 3: ..." and has no full stop. */
  | { readonly isValid: false; readonly problem: string };

/** Of one upstream. */
export const MAX_KEYS = 1000; // docs/tuning.md#budgets-and-remembered-values

/** Larger delays make timers fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

// deno-lint-ignore no-control-regex -- control characters are what it looks for
const CONTROL_CHARACTERS = /[\x00-\x1f\x7f]+/g;

/** Reads a row as stored, or the input of `add` completed with nulls. */
export function parseUpstreamRow(row: UpstreamRow): UpstreamRowResult {
  const keys = splitKeys(row.sk);
  const sk = keys[0] ?? "";
  const endpoint = (row.endpoint ?? "").trim();
  const modelMap = parseModelMap(row.modelMap);
  const authStyle = (row.authStyle ?? "").trim().toLowerCase();
  const options = readOptions(row.options);
  const problem = skProblem(keys) ?? endpointProblem(endpoint) ?? numberProblem(row) ??
    (modelMap === null ? "model_map is not a JSON object of texts" : null) ??
    (authStyle === "" || isAuthStyle(authStyle) ? null : `auth_style is none of ${AUTH_STYLES.join(", ")}`) ??
    (typeof options === "string" ? options : null);
  if (problem !== null || typeof options === "string") return { isValid: false, problem: problem ?? "" };
  return {
    isValid: true,
    upstream: {
      id: row.id,
      name: (row.name ?? "").replace(CONTROL_CHARACTERS, " ").trim() || new URL(endpoint).host,
      endpoint,
      sk,
      keys,
      keyN: null,
      position: row.position ?? row.id,
      isEnabled: row.enabled !== 0,
      timeoutMs: row.timeout === null || row.timeout <= 0 ? null : Math.min(row.timeout * 1000, MAX_TIMER_MS),
      allow: splitPatterns(row.allow),
      deny: splitPatterns(row.deny),
      modelMap: modelMap ?? {},
      authStyle: isAuthStyle(authStyle) ? authStyle : null,
      weight: row.weight ?? 1,
      ...options,
    },
  };
}

/** One key a line, each once. */
export function splitKeys(sk: string | null): string[] {
  return [...new Set((sk ?? "").split(/[\r\n]+/).map((key) => key.trim()).filter((key) => key !== ""))];
}

function skProblem(keys: readonly string[]): string | null {
  if (keys.length === 0) return 'sk is empty; put the key there, or "asis" to forward the client\'s own';
  if (keys.length > MAX_KEYS) return `sk holds more than ${MAX_KEYS} keys`;
  if (keys.length > 1 && keys.includes(ASIS)) {
    return "sk holds asis beside other keys; it is one or the others";
  }
  return keys.every((key) => /^[\x20-\x7e]+$/.test(key))
    ? null
    : "sk holds characters that no header can carry";
}

function endpointProblem(endpoint: string): string | null {
  if (endpoint === "") return "endpoint is empty; it is a URL such as https://api.openai.com/v1";
  const url = URL.parse(endpoint);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return "endpoint is not an http(s) URL such as https://api.openai.com/v1";
  }
  if (url.username !== "" || url.password !== "") {
    return "endpoint carries a user name or password; the key belongs in sk";
  }
  return null;
}

function numberProblem(row: UpstreamRow): string | null {
  for (const column of ["timeout", "position", "enabled", "weight"] as const) {
    if (Number.isNaN(row[column])) return `${column} is not a number`;
  }
  return row.weight !== null && row.weight < 0 ? "weight is negative" : null;
}

/** null: not a JSON object of texts. */
function parseModelMap(json: string | null): Record<string, string> | null {
  if (json === null || json.trim() === "") return Object.create(null);
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    const entries = Object.entries(value);
    // Without a prototype: a client may ask for a model named "constructor".
    return entries.every(isTextEntry)
      ? Object.assign(Object.create(null), Object.fromEntries(entries))
      : null;
  } catch {
    return null;
  }
}

function isTextEntry(entry: [string, unknown]): entry is [string, string] {
  return typeof entry[1] === "string";
}

function isAuthStyle(value: string): value is AuthStyle {
  return AUTH_STYLES.some((style) => style === value);
}

/** A row in which nothing is set, to check single values with. */
export const EMPTY_ROW: UpstreamRow = {
  id: 0,
  sk: null,
  endpoint: null,
  timeout: null,
  name: null,
  position: null,
  enabled: null,
  allow: null,
  deny: null,
  modelMap: null,
  authStyle: null,
  weight: null,
  options: {},
};
