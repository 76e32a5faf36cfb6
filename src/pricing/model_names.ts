/**
 * Whether a model's name means one that a list of prices knows, and what it is called there. Pure.
 *
 * Lists match loosely: `claude-sonnet-4` begins the name of every later one. A price must not be that of another model, so
 * what follows a known name may only be a date, a version of the same model, or the like.
 */
import type { MatchLogic } from "@pydantic/genai-prices";

/** The same model all the same. */
const SAME_MODEL_WORDS: ReadonlySet<string> = new Set([
  "beta",
  "exp",
  "experimental",
  "instruct",
  "latest",
  "preview",
]);
const SEPARATORS = "-@:._";
/** Of names at Amazon: where the model runs, and whose it is. */
const REGIONS: ReadonlySet<string> = new Set(["us", "eu", "apac", "global", "jp", "au", "us-gov"]);
/** Longer names are not looked for. */
const MAX_NAME_LENGTH = 256;

/** How strictly a name is compared. `official`: the provider itself names its models. */
export type NameSource = "official" | "other";

/** In lower case; empty: there is none to be looked for. */
export function plainName(model: string): string {
  return model.length > MAX_NAME_LENGTH ? "" : model.trim().toLowerCase();
}

/** Whether a name is that of a model, by the list's own rule. */
export function isModel(rule: MatchLogic, name: string, source: NameSource): boolean {
  if ("or" in rule) return rule.or.some((each) => isModel(each, name, source));
  if ("and" in rule) return rule.and.every((each) => isModel(each, name, source));
  if ("equals" in rule) return rule.equals.toLowerCase() === name;
  if ("regex" in rule) return expression(rule.regex).test(name);
  if ("starts_with" in rule) return isAt(name, rule.starts_with.toLowerCase(), 0);
  const text = ("contains" in rule ? rule.contains : rule.ends_with).toLowerCase();
  const start = name.lastIndexOf(text);
  if (start < 0 || ("ends_with" in rule && start + text.length !== name.length)) return false;
  const isOwnName = source === "official" || start === 0 || "./".includes(name.charAt(start - 1));
  return isOwnName && isAt(name, text, start);
}

const expressions = new Map<string, RegExp>();

/** The list has a few dozen. */
function expression(source: string): RegExp {
  let found = expressions.get(source);
  if (found === undefined) expressions.set(source, found = new RegExp(source));
  return found;
}

/** Whether the text stands there, and nothing behind it says that this is another model. */
function isAt(name: string, text: string, start: number): boolean {
  if (!name.startsWith(text, start)) return false;
  // Fine-tuned models bear names that their owners chose.
  if (text.startsWith("ft:") || text.endsWith(".ft-")) return true;
  return isSameModel(name.slice(start + text.length), text);
}

function isSameModel(rest: string, text: string): boolean {
  if (rest === "") return true;
  const isNewWord = SEPARATORS.includes(rest.charAt(0));
  // `claude-sonnet-4-2025` is the beginning of a date, `gemini-2.0-flash-0` of a version.
  const isPartOfWord = SEPARATORS.includes(text.charAt(text.length - 1)) || text.endsWith("-0") ||
    text.endsWith("-2024") || text.endsWith("-2025");
  if (!isNewWord && !isPartOfWord) return false;
  let isFirst = !isPartOfWord;
  let word = "";
  for (const char of `${isNewWord ? rest.slice(1) : rest}-`) {
    if (!SEPARATORS.includes(char)) {
      word += char;
      continue;
    }
    if (!isSameModelWord(word, isFirst)) return false;
    word = "";
    isFirst = false;
  }
  return true;
}

/** One digit, or two right behind the name, are the number of another model. */
function isSameModelWord(word: string, isFirst: boolean): boolean {
  if (SAME_MODEL_WORDS.has(word) || word === "0") return true;
  const digits = word.startsWith("v") ? word.slice(1) : word;
  if (digits === "" || digits.length > 8) return false;
  for (const char of digits) if (char < "0" || char > "9") return false;
  if (digits !== word) return true;
  return word.length >= (isFirst ? 3 : 2);
}

/** A name as its vendor would write it, and whose it says to be; vendor null: it does not say. */
export interface VendorName {
  readonly vendor: string | null;
  readonly name: string;
}

/** Takes apart `openai/gpt-5`, `models/gemini-2.5-pro`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`. */
export function vendorNameOf(name: string): VendorName {
  const parts = name.split("/");
  const last = parts.at(-1) ?? "";
  if (parts.length > 1) {
    const vendor = parts.at(-2) === "models" ? parts.at(-3) ?? "google" : parts.at(-2) ?? null;
    return { vendor, name: last };
  }
  const [first = "", second = "", ...rest] = name.split(".");
  if (REGIONS.has(first) && rest.length > 0) return { vendor: second, name: rest.join(".") };
  const isVendor = first === "anthropic" || first === "amazon" || first === "meta" || first === "deepseek";
  return isVendor ? { vendor: first, name: [second, ...rest].join(".") } : { vendor: null, name };
}

/** With dashes in each date that has none: `gpt-5-20250807` is `gpt-5-2025-08-07`. The same when there is none. */
export function withDashedDate(name: string): string {
  const date = name.slice(-9);
  if (date.charAt(0) !== "-" || !date.startsWith("-20")) return name;
  for (const char of date.slice(1)) if (char < "0" || char > "9") return name;
  return `${name.slice(0, -8)}${date.slice(1, 5)}-${date.slice(5, 7)}-${date.slice(7)}`;
}
