/**
 * What the flags of `add` and `edit` may say about an upstream: each value as typed, checked.
 *
 * Pure. Messages name the flag and what it takes; keys and endpoints are not read here.
 */
import { UsageError } from "./errors.ts";
import { cleanText } from "../core/clean_text.ts";
import { AUTH_STYLES, type AuthStyle } from "../core/types.ts";

/** Stands for an authentication style that is guessed. */
export const AUTO = "auto";
const MAX_NAME_LENGTH = 64;
const MAX_TIMEOUT_SECONDS = 86_400;
const MAX_WEIGHT = 1_000_000;

/** null: back to the endpoint's host. */
export function readName(text: string): string | null {
  const name = text.trim();
  if (name === "") return null;
  if (name.length > MAX_NAME_LENGTH || name !== cleanText(name)) {
    throw new UsageError(`--name must be one line of at most ${MAX_NAME_LENGTH} characters`);
  }
  if (/^\d+$/.test(name)) throw new UsageError("--name must not be a number: it would look like an id");
  return name;
}

/** null: back to the program's rules. */
export function readTimeout(text: string): number | null {
  if (text === "none") return null;
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_TIMEOUT_SECONDS) {
    throw new UsageError(
      `--timeout cannot be ${JSON.stringify(text)}: expected a whole number of seconds from 1 to ` +
        `${MAX_TIMEOUT_SECONDS}, or none`,
    );
  }
  return seconds;
}

/** null: guessed from the endpoint's host. */
export function readAuthStyle(text: string): AuthStyle | null {
  if (text === AUTO) return null;
  const style = AUTH_STYLES.find((each) => each === text);
  if (style !== undefined) return style;
  throw new UsageError(
    `--auth-style cannot be ${JSON.stringify(text)}: expected ${AUTH_STYLES.join(", ")} or ${AUTO}`,
  );
}

/** null: no patterns. */
export function readPatterns(text: string, flag: string): string[] | null {
  if (text.trim() === "") return null;
  const patterns = text.split(",").map((part) => part.trim());
  if (patterns.every((pattern) => pattern !== "" && pattern === cleanText(pattern))) return patterns;
  throw new UsageError(
    `${flag} cannot be ${JSON.stringify(text)}: expected models separated by commas, such as gpt-4*,o3`,
  );
}

/** null: no aliases. */
export function readModelMap(text: string): Record<string, string> | null {
  if (text.trim() === "") return null;
  const pairs = text.trim().startsWith("{") ? jsonPairs(text) : textPairs(text);
  const isGood = (name: unknown): boolean =>
    typeof name === "string" && name !== "" && name === cleanText(name);
  if (pairs !== null && pairs.length > 0 && pairs.every(([from, to]) => isGood(from) && isGood(to))) {
    return Object.fromEntries(pairs as [string, string][]);
  }
  throw new UsageError(
    `--model-map cannot be ${
      JSON.stringify(text)
    }: expected from=to,from2=to2 or a JSON object such as {"from":"to"}`,
  );
}

function jsonPairs(text: string): [string, unknown][] | null {
  try {
    return Object.entries(JSON.parse(text));
  } catch {
    return null;
  }
}

/** A model's name may have an `=` only in JSON. */
function textPairs(text: string): [string, unknown][] | null {
  const pairs = text.split(",").map((pair) => pair.split("=").map((part) => part.trim()));
  return pairs.every((pair): pair is [string, string] => pair.length === 2) ? pairs : null;
}

export function readWeight(text: string): number {
  const weight = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (weight > 0 && weight <= MAX_WEIGHT) return weight;
  throw new UsageError(
    `--weight cannot be ${JSON.stringify(text)}: expected a number above 0, up to ${MAX_WEIGHT}`,
  );
}
