/**
 * The optional columns of `openai_upstreams` that came after the Go program's and the first version's: names, types, and
 * what their values mean.
 *
 * Pure. Messages never hold a value, which may carry a secret.
 */
import { readBodyPatch } from "../../core/body_patch.ts";
import { errorTextsProblem } from "../../core/error_texts.ts";
import { parseProxyUrl } from "../../core/proxy_url.ts";
import { MAX_SET_HEADERS, setHeaderProblem } from "../../core/set_headers.ts";
import {
  KEY_POLICIES,
  type KeyPolicy,
  NO_BILLING,
  NO_LIMITS,
  NO_SHAPING,
  type UpstreamBilling,
  type UpstreamLimits,
  type UpstreamShaping,
} from "../../core/upstream_options.ts";

/** In the order of the table's columns. */
export const OPTION_COLUMNS = {
  key_policy: "text",
  max_parallel: "text",
  rpm: "integer",
  tpm: "integer",
  set_headers: "text",
  body_patch: "text",
  only_paths: "text",
  max_body: "integer",
  stream_timeout: "integer",
  error_text: "text",
  proxy: "text",
  usage_injection: "text",
  price_factor: "text",
} as const satisfies Readonly<Record<string, "text" | "integer">>;

export type OptionColumn = keyof typeof OPTION_COLUMNS;
export const OPTION_COLUMN_NAMES = Object.keys(OPTION_COLUMNS) as readonly OptionColumn[];

/** As stored, and possibly typed by hand; absent or null: not set. */
export type OptionValues = { readonly [Column in OptionColumn]?: string | number | null };

export interface UpstreamOptions {
  readonly keyPolicy: KeyPolicy;
  readonly limits: UpstreamLimits;
  readonly shaping: UpstreamShaping;
  readonly billing: UpstreamBilling;
}

const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_PROXY_LENGTH = 1_024;
const MAX_PATHS_LENGTH = 8_192;
const MAX_HEADERS_LENGTH = 256 * 1024;

/** The options, or what is wrong with them, which begins with the column's name. */
export function readOptions(values: OptionValues): UpstreamOptions | string {
  try {
    return {
      keyPolicy: keyPolicyOf(values),
      limits: limitsOf(values),
      shaping: shapingOf(values),
      billing: billingOf(values),
    };
  } catch (error) {
    if (error instanceof BadOption) return error.message;
    throw error;
  }
}

class BadOption extends Error {}

function keyPolicyOf(values: OptionValues): KeyPolicy {
  const written = textOf(values, "key_policy").toLowerCase();
  if (written === "") return "round_robin";
  const policy = KEY_POLICIES.find((each) => each === written);
  if (policy === undefined) throw new BadOption(`key_policy is none of ${KEY_POLICIES.join(", ")}`);
  return policy;
}

function limitsOf(values: OptionValues): UpstreamLimits {
  const written = textOf(values, "max_parallel").toLowerCase();
  const maxParallel = written === "auto" ? "auto" as const : countOf(values, "max_parallel");
  const limits = { maxParallel, rpm: countOf(values, "rpm"), tpm: countOf(values, "tpm") };
  return Object.values(limits).every((each) => each === null) ? NO_LIMITS : limits;
}

function billingOf(values: OptionValues): UpstreamBilling {
  const word = textOf(values, "usage_injection").toLowerCase();
  const usage = USAGE_WORDS.get(word);
  if (usage === undefined) throw new BadOption("usage_injection is neither auto nor never");
  const written = textOf(values, "price_factor");
  const priceFactor = written === "" ? 1 : Number(written);
  if (!(priceFactor >= 0 && priceFactor <= MAX_PRICE_FACTOR)) {
    throw new BadOption(`price_factor is not a number from 0 to ${MAX_PRICE_FACTOR}`);
  }
  return usage === null && priceFactor === 1 ? NO_BILLING : { usage, priceFactor };
}

/** A number is how people write it by hand. */
const USAGE_WORDS: ReadonlyMap<string, UpstreamBilling["usage"]> = new Map([
  ["", null],
  ["auto", "auto"],
  ["1", "auto"],
  ["never", "never"],
  ["0", "never"],
]);
export const MAX_PRICE_FACTOR = 1_000;

function shapingOf(values: OptionValues): UpstreamShaping {
  const seconds = countOf(values, "stream_timeout");
  const errorTexts = partsOf(values, "error_text", "\n");
  const problem = errorTextsProblem(errorTexts);
  if (problem !== null) throw new BadOption(`error_text ${problem}`);
  if (textOf(values, "only_paths").length > MAX_PATHS_LENGTH) throw new BadOption("only_paths is too long");
  const shaping: UpstreamShaping = {
    setHeaders: headersOf(values),
    bodyPatch: patchOf(values),
    onlyPaths: partsOf(values, "only_paths", ","),
    maxBodyBytes: countOf(values, "max_body"),
    streamTimeoutMs: seconds === null ? null : Math.min(seconds * 1000, MAX_TIMER_MS),
    errorTexts,
    proxy: proxyOf(values),
  };
  return isSet(shaping) ? shaping : NO_SHAPING;
}

function isSet({ setHeaders, onlyPaths, errorTexts, ...single }: UpstreamShaping): boolean {
  return Object.keys(setHeaders).length > 0 || onlyPaths.length > 0 || errorTexts.length > 0 ||
    Object.values(single).some((value) => value !== null);
}

function headersOf(values: OptionValues): Record<string, string | null> {
  const written = textOf(values, "set_headers");
  if (written === "") return {};
  const given = Object.entries(objectOf(written));
  if (given.length > MAX_SET_HEADERS) {
    throw new BadOption(`set_headers holds more than ${MAX_SET_HEADERS} headers`);
  }
  const problem = given.map(([name, value]) => setHeaderProblem(name, value)).find((each) => each !== null);
  if (problem !== undefined) throw new BadOption(`set_headers is refused: ${problem}`);
  return Object.fromEntries(
    given.map(([name, value]) => [name.toLowerCase(), value === null ? null : String(value).trim()]),
  );
}

/** @throws BadOption */
function objectOf(text: string): object {
  try {
    const value: unknown = text.length > MAX_HEADERS_LENGTH ? null : JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new BadOption("set_headers is not a JSON object of header names and texts or null");
}

function patchOf(values: OptionValues): Readonly<Record<string, unknown>> | null {
  const written = textOf(values, "body_patch");
  if (written === "") return null;
  const patch = readBodyPatch(written);
  if (typeof patch === "string") throw new BadOption(`body_patch ${patch}`);
  return Object.keys(patch).length === 0 ? null : patch;
}

/** With its scheme: a word alone is more likely a mistake than the name of a host. */
function proxyOf(values: OptionValues): string | null {
  const written = textOf(values, "proxy");
  if (written === "") return null;
  const isUrl = written.length <= MAX_PROXY_LENGTH && /^[a-z0-9+.-]+:\/\//i.test(written);
  if (isUrl && parseProxyUrl(written) !== null) return written;
  throw new BadOption("proxy is not a URL such as http://proxy:3128 or socks5://proxy:1080");
}

/** null: not set. 0 and less mean no limit, as for `timeout`. */
function countOf(values: OptionValues, column: OptionColumn): number | null {
  const written = textOf(values, column);
  if (written === "") return null;
  const count = Number(written);
  if (!Number.isFinite(count)) throw new BadOption(`${column} is not a number`);
  return count < 1 ? null : Math.floor(count);
}

function partsOf(values: OptionValues, column: OptionColumn, separator: string): string[] {
  return textOf(values, column).split(separator).map((part) => part.trim()).filter((part) => part !== "");
}

function textOf(values: OptionValues, column: OptionColumn): string {
  return String(values[column] ?? "").trim();
}
