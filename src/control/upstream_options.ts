/**
 * The options of an upstream, as they are given: limits, and how its requests are changed, chosen and sent.
 *
 * Owns the bounds of every value, the reading of texts, and what is stored of them. Pure; knows no database. What may be
 * seen of them is in upstream_option_view.ts.
 */
import { toBytesOrNone } from "../config/values.ts";
import { type BodyPatch, patchProblem } from "../core/body_patch.ts";
import { cleanText } from "../core/clean_text.ts";
import type { SetHeaders } from "../core/set_headers.ts";
import { KEY_POLICIES, type KeyPolicy, USAGE_CHOICES, type UsageChoice } from "../core/upstream_options.ts";
import {
  MAX_PRICE_FACTOR,
  type OptionColumn,
  type OptionValues,
  readOptions,
} from "../store/config/upstream_options.ts";
import { type ControlError, invalidValue } from "./errors.ts";

export { MAX_PRICE_FACTOR } from "../store/config/upstream_options.ts";

export const MAX_PARALLEL = 1_000_000;
export const MAX_RATE = 1_000_000_000_000;
export const MAX_STREAM_TIMEOUT_SECONDS = 86_400;

/** Fields that are not given stay as they are; null and what is empty mean that the option is not set. */
export interface UpstreamOptionInput {
  readonly keyPolicy?: KeyPolicy | null;
  readonly maxParallel?: number | "auto" | null;
  /** Requests in a minute. */
  readonly rpm?: number | null;
  /** Tokens in a minute. */
  readonly tpm?: number | null;
  /** null as a value: the client's header is left out. */
  readonly setHeaders?: SetHeaders | null;
  readonly bodyPatch?: BodyPatch | null;
  readonly onlyPaths?: readonly string[];
  readonly maxBodyBytes?: number | null;
  readonly streamTimeoutSeconds?: number | null;
  /** Its prices are the list prices times this; null: 1. */
  readonly priceFactor?: number | null;
  readonly errorTexts?: readonly string[];
  readonly proxy?: string | null;
  /** null: as the program's setting says. */
  readonly usage?: UsageChoice | null;
}

export type OptionField = keyof UpstreamOptionInput;

/** Each field's column. */
const COLUMNS: Readonly<Record<OptionField, OptionColumn>> = {
  keyPolicy: "key_policy",
  maxParallel: "max_parallel",
  rpm: "rpm",
  tpm: "tpm",
  setHeaders: "set_headers",
  bodyPatch: "body_patch",
  onlyPaths: "only_paths",
  maxBodyBytes: "max_body",
  streamTimeoutSeconds: "stream_timeout",
  priceFactor: "price_factor",
  errorTexts: "error_text",
  proxy: "proxy",
  usage: "usage_injection",
};
export const OPTION_FIELDS = Object.keys(COLUMNS) as readonly OptionField[];

/**
 * The columns to write for an input; null: it has none of these fields.
 *
 * @throws ControlError `invalid`, never with a value that may be secret
 */
export function toOptionValues(input: UpstreamOptionInput): OptionValues | null {
  const given = OPTION_FIELDS.filter((field) => input[field] !== undefined);
  if (given.length === 0) return null;
  checkNumbers(input);
  checkLists(input);
  // As text, a number that is too large would be null, which removes a member.
  const problem = patchProblem(input.bodyPatch);
  if (problem !== null) throw invalidValue("bodyPatch", problem);
  const values = Object.fromEntries(given.map((field) => [COLUMNS[field], stored(field, input)]));
  for (const field of given) {
    const column = COLUMNS[field];
    const read = readOptions({ [column]: values[column] ?? null });
    // It begins with the name of the column.
    if (typeof read === "string") throw invalidValue(field, read.replace(/^\w+ /, ""));
  }
  return values;
}

function stored(field: OptionField, input: UpstreamOptionInput): string | number | null {
  switch (field) {
    case "maxParallel":
      return input.maxParallel === null || input.maxParallel === undefined ? null : String(input.maxParallel);
    case "rpm":
    case "tpm":
    case "maxBodyBytes":
    case "streamTimeoutSeconds":
    case "keyPolicy":
    case "usage":
      return input[field] ?? null;
    case "priceFactor": {
      const { priceFactor } = input;
      return priceFactor === null || priceFactor === undefined || priceFactor === 1
        ? null
        : String(priceFactor);
    }
    case "proxy":
      return input.proxy?.trim() || null;
    case "setHeaders":
    case "bodyPatch":
      return jsonOf(input[field]);
    case "onlyPaths":
      return (input.onlyPaths ?? []).map((each) => each.trim()).join(",") || null;
    case "errorTexts":
      return (input.errorTexts ?? []).map((each) => each.trim()).join("\n") || null;
    default:
      return field satisfies never;
  }
}

function jsonOf(object: Readonly<Record<string, unknown>> | null | undefined): string | null {
  return object === null || object === undefined || Object.keys(object).length === 0
    ? null
    : JSON.stringify(object);
}

function checkNumbers(input: UpstreamOptionInput): void {
  const bounds = {
    maxParallel: MAX_PARALLEL,
    rpm: MAX_RATE,
    tpm: MAX_RATE,
    maxBodyBytes: Number.MAX_SAFE_INTEGER,
    streamTimeoutSeconds: MAX_STREAM_TIMEOUT_SECONDS,
  } as const;
  for (const field of ["maxParallel", "rpm", "tpm", "maxBodyBytes", "streamTimeoutSeconds"] as const) {
    const value = input[field];
    if (typeof value === "number") requireCount(field, { value, max: bounds[field] });
  }
  const { priceFactor } = input;
  if (typeof priceFactor !== "number" || isPriceFactor(priceFactor)) return;
  throw invalidValue(
    "priceFactor",
    `must be a number from 0 to ${MAX_PRICE_FACTOR} with six decimals at most`,
  );
}

function isPriceFactor(value: number): boolean {
  return value >= 0 && value <= MAX_PRICE_FACTOR && Number(value.toFixed(6)) === value;
}

function requireCount(field: OptionField, { value, max }: { readonly value: number; readonly max: number }) {
  if (Number.isInteger(value) && value >= 1 && value <= max) return;
  throw invalidValue(field, `must be a whole number from 1 to ${max}, or none`);
}

function checkLists({ onlyPaths = [], errorTexts = [] }: UpstreamOptionInput): void {
  for (const path of onlyPaths.map((each) => each.trim())) {
    if (!/^[/*][^,\s]*$/.test(path) || path !== cleanText(path)) {
      throw invalidValue("onlyPaths", "must be paths with * and ?, such as /v1/chat/*,/v1/embeddings");
    }
  }
  for (const line of errorTexts.map((each) => each.trim())) {
    if (line === "" || line !== cleanText(line)) {
      throw invalidValue("errorTexts", "must be lines of text, such as quota exceeded or *no credit*");
    }
  }
}

/** The options as they are typed on a command line. */
export interface OptionTexts {
  readonly keyPolicy?: string | undefined;
  readonly maxParallel?: string | undefined;
  readonly rpm?: string | undefined;
  readonly tpm?: string | undefined;
  /** `Name: value`. An empty one alone clears all, as do both lists. */
  readonly setHeader?: readonly string[] | undefined;
  /** Names. */
  readonly unsetHeader?: readonly string[] | undefined;
  readonly bodyPatch?: string | undefined;
  readonly onlyPaths?: string | undefined;
  readonly maxBody?: string | undefined;
  readonly streamTimeout?: string | undefined;
  readonly priceFactor?: string | undefined;
  readonly errorText?: readonly string[] | undefined;
  readonly proxy?: string | undefined;
  readonly usage?: string | undefined;
}

/** @throws ControlError `invalid` */
export function readOptionTexts(texts: OptionTexts): UpstreamOptionInput {
  const { keyPolicy, maxParallel, rpm, tpm, bodyPatch, onlyPaths, maxBody, streamTimeout, errorText, proxy } =
    texts;
  const { priceFactor } = texts;
  const setHeaders = readHeaders(texts);
  const { usage } = texts;
  return {
    ...(keyPolicy === undefined
      ? {}
      : { keyPolicy: readChoice("keyPolicy", { text: keyPolicy, choices: KEY_POLICIES }) }),
    ...(usage === undefined ? {} : { usage: readChoice("usage", { text: usage, choices: USAGE_CHOICES }) }),
    ...(maxParallel === undefined ? {} : { maxParallel: readParallel(maxParallel) }),
    ...(rpm === undefined ? {} : { rpm: readCount("rpm", rpm) }),
    ...(tpm === undefined ? {} : { tpm: readCount("tpm", tpm) }),
    ...(setHeaders === null ? {} : { setHeaders }),
    ...(bodyPatch === undefined ? {} : { bodyPatch: readPatch(bodyPatch) }),
    ...(onlyPaths === undefined ? {} : { onlyPaths: partsOf(onlyPaths) }),
    ...(maxBody === undefined ? {} : { maxBodyBytes: readSize(maxBody) }),
    ...(streamTimeout === undefined
      ? {}
      : { streamTimeoutSeconds: readCount("streamTimeoutSeconds", streamTimeout) }),
    ...(priceFactor === undefined ? {} : { priceFactor: readFactor(priceFactor) }),
    ...(errorText === undefined ? {} : { errorTexts: errorText.filter((each) => !isNone(each)) }),
    ...(proxy === undefined ? {} : { proxy: isNone(proxy) ? null : proxy }),
  };
}

function isNone(text: string): boolean {
  return /^(?:none)?$/i.test(text.trim());
}

function partsOf(text: string): string[] {
  return isNone(text) ? [] : text.split(",").map((part) => part.trim());
}

function readChoice<Choice extends string>(
  field: OptionField,
  { text, choices }: { readonly text: string; readonly choices: readonly Choice[] },
): Choice | null {
  if (isNone(text)) return null;
  const choice = choices.find((each) => each === text.trim().toLowerCase());
  if (choice !== undefined) return choice;
  throw unexpected(field, text, choices.join(" or "));
}

function readParallel(text: string): number | "auto" | null {
  return text.trim().toLowerCase() === "auto" ? "auto" : readCount("maxParallel", text);
}

function readCount(field: OptionField, text: string): number | null {
  if (isNone(text)) return null;
  if (/^[1-9]\d{0,14}$/.test(text.trim())) return Number(text);
  const auto = field === "maxParallel" ? ", auto" : "";
  throw unexpected(field, text, `a whole number from 1 on${auto}, or none`);
}

function readFactor(text: string): number | null {
  if (isNone(text)) return null;
  if (/^\d{1,4}(?:\.\d{1,6})?$/.test(text.trim())) return Number(text);
  throw unexpected("priceFactor", text, `a number from 0 to ${MAX_PRICE_FACTOR} such as 0.3, or none`);
}

function readSize(text: string): number | null {
  if (isNone(text)) return null;
  const read = toBytesOrNone({ min: 1, max: Number.MAX_SAFE_INTEGER, accepted: "from 1 byte on" })
    .safeParse(text.trim());
  if (read.success) return read.data;
  throw unexpected("maxBodyBytes", text, "a size such as 10MB, 64MiB or plain bytes, or none");
}

/** As JSON; what is wrong with it is said without it. */
function readPatch(text: string): BodyPatch | null {
  if (isNone(text)) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return Object.fromEntries(Object.entries(value));
    }
  } catch {
    // Said below.
  }
  throw invalidValue("bodyPatch", 'must be a JSON object such as {"temperature":0,"store":null}, or none');
}

/** null: no flag about headers was given. */
function readHeaders({ setHeader, unsetHeader }: OptionTexts): SetHeaders | null {
  if (setHeader === undefined && unsetHeader === undefined) return null;
  const set = (setHeader ?? []).filter((each) => !isNone(each)).map((each): [string, string] => {
    const colon = each.indexOf(":");
    if (colon < 1 || each.slice(colon + 1).trim() === "") {
      throw invalidValue(
        "setHeaders",
        'must be "Name: value", in quotes; --unset-header Name leaves one out',
      );
    }
    return [each.slice(0, colon).trim(), each.slice(colon + 1).trim()];
  });
  const unset = (unsetHeader ?? []).filter((each) => !isNone(each)).map((each) =>
    [each.trim(), null] as const
  );
  return Object.fromEntries([...set, ...unset]);
}

function unexpected(field: OptionField, text: string, expected: string): ControlError {
  return invalidValue(field, `cannot be ${JSON.stringify(text)}: expected ${expected}`);
}
