/**
 * The values of an upstream: what each may be, and how it is typed.
 *
 * Owns the bounds of every value and the reading of texts. Pure; knows no database.
 */
import { cleanText } from "../core/clean_text.ts";
import { ASIS, AUTH_STYLES, type AuthStyle } from "../core/types.ts";
import { EMPTY_ROW, parseUpstreamRow } from "../store/config/upstream_row.ts";
import type { UpstreamChanges } from "../store/store.ts";
import type { UpstreamInput } from "./admin_service.ts";
import { type ControlError, invalidValue } from "./errors.ts";
import { baseUrlOf } from "./upstream_endpoint.ts";
import { readKeyText } from "./upstream_keys.ts";
import { type OptionField, type OptionTexts, readOptionTexts, toOptionValues } from "./upstream_options.ts";

/** Stands for an authentication style that is guessed. */
export const AUTO = "auto";
export const DEFAULT_ENDPOINT = "https://api.openai.com/v1";
export const MAX_NAME_LENGTH = 64;
export const MAX_TIMEOUT_SECONDS = 86_400;
export const MAX_WEIGHT = 1_000_000;

/** An upstream's fields as they are typed on a command line. */
export type UpstreamTexts =
  & { readonly [Field in Exclude<keyof UpstreamInput, "isEnabled" | OptionField>]?: string | undefined }
  & OptionTexts;

/**
 * The input that these texts stand for.
 *
 * @throws ControlError `invalid`
 */
export function readTexts(texts: UpstreamTexts): UpstreamInput {
  const { endpoint, key, name, timeoutSeconds, allow, deny, modelMap, authStyle, weight } = texts;
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(key === undefined ? {} : { key }),
    ...(name === undefined ? {} : { name }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds: readTimeout(timeoutSeconds) }),
    ...(authStyle === undefined ? {} : { authStyle: readAuthStyle(authStyle) }),
    ...(allow === undefined ? {} : { allow: readPatterns(allow, "allow") }),
    ...(deny === undefined ? {} : { deny: readPatterns(deny, "deny") }),
    ...(modelMap === undefined ? {} : { modelMap: readModelMap(modelMap) }),
    ...(weight === undefined ? {} : { weight: readWeight(weight) }),
    ...readOptionTexts(texts),
  };
}

/**
 * What to write for an input; fields that are not given stay as they are.
 *
 * @throws ControlError `invalid`, never with the key
 */
export function toChanges(input: UpstreamInput): UpstreamChanges {
  const { endpoint, key, name, timeoutSeconds, isEnabled, authStyle, allow, deny, modelMap, weight } = input;
  const sk = key === undefined ? undefined : readKeyText(key);
  if (sk !== undefined) requireUsable("key", { sk });
  if (endpoint !== undefined) requireUsable("endpoint", { endpoint });
  const options = toOptionValues(input);
  return {
    ...(sk === undefined ? {} : { sk }),
    ...(endpoint === undefined ? {} : { endpoint: baseUrlOf(endpoint) }),
    ...(name === undefined ? {} : { name: name === null ? null : readName(name) }),
    ...(timeoutSeconds === undefined
      ? {}
      : { timeout: timeoutSeconds === null ? null : checkTimeout(timeoutSeconds, String(timeoutSeconds)) }),
    ...(isEnabled === undefined ? {} : { enabled: isEnabled }),
    ...(authStyle === undefined ? {} : { authStyle }),
    ...(allow === undefined ? {} : { allow: checkPatterns(allow, "allow") }),
    ...(deny === undefined ? {} : { deny: checkPatterns(deny, "deny") }),
    ...(modelMap === undefined ? {} : { modelMap: checkModelMap(modelMap) }),
    ...(weight === undefined ? {} : { weight: checkWeight(weight, String(weight)) }),
    ...(options === null ? {} : { options }),
  };
}

/** Whether a model may be called so. */
export function isModelName(name: unknown): name is string {
  return typeof name === "string" && name !== "" && name === cleanText(name);
}

function requireUsable(
  field: "key" | "endpoint",
  value: { readonly sk?: string; readonly endpoint?: string },
) {
  const result = parseUpstreamRow({ ...EMPTY_ROW, sk: ASIS, endpoint: DEFAULT_ENDPOINT, ...value });
  if (result.isValid) return;
  // It begins with the name of the column.
  throw invalidValue(field, result.problem.replace(/^\w+ /, ""));
}

/** null: back to the endpoint's host. */
function readName(text: string): string | null {
  const name = text.trim();
  if (name === "") return null;
  if (name.length > MAX_NAME_LENGTH || name !== cleanText(name)) {
    throw invalidValue("name", `must be one line of at most ${MAX_NAME_LENGTH} characters`);
  }
  if (/^\d+$/.test(name)) throw invalidValue("name", "must not be a number: it would look like an id");
  return name;
}

/** null: back to the program's rules. */
function readTimeout(text: string): number | null {
  if (text === "none") return null;
  return checkTimeout(/^\d{1,5}$/.test(text) ? Number(text) : 0, text);
}

/** @param shown how it was given */
function checkTimeout(seconds: number, shown: string): number {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_TIMEOUT_SECONDS) return seconds;
  throw unexpected(
    "timeoutSeconds",
    shown,
    `a whole number of seconds from 1 to ${MAX_TIMEOUT_SECONDS}, or none`,
  );
}

/** null: guessed from the endpoint's host. */
function readAuthStyle(text: string): AuthStyle | null {
  if (text === AUTO) return null;
  const style = AUTH_STYLES.find((each) => each === text);
  if (style !== undefined) return style;
  throw unexpected("authStyle", text, `${AUTH_STYLES.join(", ")} or ${AUTO}`);
}

/** Empty: no patterns. */
function readPatterns(text: string, field: "allow" | "deny"): string[] {
  return text.trim() === "" ? [] : checkPatterns(text.split(","), field);
}

/** A comma separates them in the row. */
function checkPatterns(given: readonly string[], field: "allow" | "deny"): string[] {
  const patterns = given.map((each) => each.trim());
  const isGood = (pattern: string) =>
    pattern !== "" && !pattern.includes(",") && pattern === cleanText(pattern);
  if (patterns.every(isGood)) return patterns;
  throw unexpected(field, given.join(","), "models separated by commas, such as gpt-4*,o3");
}

/** Empty: no aliases. */
function readModelMap(text: string): Record<string, string> {
  if (text.trim() === "") return {};
  const pairs = text.trim().startsWith("{") ? jsonPairs(text) : textPairs(text);
  if (pairs !== null && pairs.length > 0 && pairs.every(isModelPair)) return Object.fromEntries(pairs);
  throw unexpected("modelMap", text, 'from=to,from2=to2 or a JSON object such as {"from":"to"}');
}

function checkModelMap(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (Object.entries(map).every(isModelPair)) return map;
  throw invalidValue("modelMap", "must map names of models to names of models, each of one line");
}

function isModelPair(pair: [string, unknown]): pair is [string, string] {
  return pair.every(isModelName);
}

function jsonPairs(text: string): [string, unknown][] | null {
  try {
    return Object.entries(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A model's name may hold an `=` only in JSON. */
function textPairs(text: string): [string, string][] | null {
  const pairs = text.split(",").map((pair) => pair.split("=").map((part) => part.trim()));
  return pairs.every((pair): pair is [string, string] => pair.length === 2) ? pairs : null;
}

function readWeight(text: string): number {
  return checkWeight(/^\d+(\.\d+)?$/.test(text) ? Number(text) : 0, text);
}

/** @param shown how it was given */
function checkWeight(weight: number, shown: string): number {
  if (weight > 0 && weight <= MAX_WEIGHT) return weight;
  throw unexpected("weight", shown, `a number above 0, up to ${MAX_WEIGHT}`);
}

function unexpected(field: string, text: string, expected: string): ControlError {
  return invalidValue(field, `cannot be ${JSON.stringify(text)}: expected ${expected}`);
}
