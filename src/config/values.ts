/**
 * The kinds of values of settings; each parses the text that a person typed.
 *
 * Owns the accepted spellings and ranges. A schema's message completes the sentence "expected …".
 */
import { z } from "zod";
import { type Cidr, parseCidr } from "../core/client_ip.ts";
import { HEDGE_DELAY_FORM, type HedgeDelay, parseHedgeDelay } from "../core/hedging.ts";

/** A setting that cannot be used; `message` says what is accepted and holds no secret. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** A schema over typed text; `parse` returns undefined for anything that is not `expected`. */
function fromText<Value>(
  expected: string,
  parse: (text: string) => Value | undefined,
): z.ZodType<Value, string> {
  return z.string({ error: expected }).transform((text, context) => {
    const value = parse(text.trim());
    if (value !== undefined) return value;
    context.addIssue(expected);
    return z.NEVER;
  });
}

/**
 * Go's listen address: `:8888` (every interface, an empty name), `0.0.0.0:8080`, `[::1]:80`, `localhost:0`.
 * Source: https://pkg.go.dev/net#Listen
 */
export function toAddress(): z.ZodType<{ hostname: string; port: number }, string> {
  return fromText("HOST:PORT or :PORT, such as :8888, 127.0.0.1:8080 or [::1]:8080", (text) => {
    const match = /^(?:\[(?<bracketed>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?<plain>[^\s:/[\]]*)):(?<port>\d{1,5})$/
      .exec(text);
    if (match === null) return undefined;
    const port = Number(match.groups?.port);
    if (port > 65_535) return undefined;
    return { hostname: match.groups?.bracketed ?? match.groups?.plain ?? "", port };
  });
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** `10MB`, `64MiB`, `1.5 GiB`, or plain bytes. */
export function toBytes(range: Range & { readonly accepted: string }): z.ZodType<number, string> {
  return fromText(
    `a size ${range.accepted}, such as 10MB, 64MiB or plain bytes`,
    (text) => parseBytes(range, text),
  );
}

/** The same, where `none` means that there is no limit. */
export function toBytesOrNone(
  range: Range & { readonly accepted: string },
): z.ZodType<number | null, string> {
  return fromText(
    `a size ${range.accepted}, such as 500MB or 10GiB, or none`,
    (text) => text.toLowerCase() === "none" ? null : parseBytes(range, text),
  );
}

function parseBytes(range: Range, text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.toLowerCase());
  const unit = UNIT_BYTES[match?.[2] ?? ""];
  if (match === null || unit === undefined) return undefined;
  return within(range, Math.floor(Number(match[1]) * unit));
}

export function toMilliseconds(range: Range): z.ZodType<number, string> {
  return fromText(`a whole number of milliseconds from ${range.min} to ${range.max}`, (text) => {
    return /^\d+$/.test(text) ? within(range, Number(text)) : undefined;
  });
}

/** Typed in seconds, used in milliseconds; decimals are allowed. */
export function toSecondsAsMs(range: Range): z.ZodType<number, string> {
  return fromText(
    `a number of seconds from ${range.min} to ${range.max}`,
    (text) => parseSeconds(range, text),
  );
}

/** The same, where `none` means that there is no limit. */
export function toSecondsAsMsOrNone(range: Range): z.ZodType<number | null, string> {
  return fromText(
    `a number of seconds from ${range.min} to ${range.max}, or none`,
    (text) => text.toLowerCase() === "none" ? null : parseSeconds(range, text),
  );
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3_600, d: 86_400 };

/** `10m`, `60s`, `1.5h`, or plain seconds, used in milliseconds; `off` for never. @param range in seconds */
export function toDurationOrOff({ min, max }: Range): z.ZodType<number | null, string> {
  const expected = `a time from ${min} s to ${max / 86_400} d, such as 60s, 10m or 600, or off`;
  return fromText(expected, (text) => {
    if (["off", "none", "no"].includes(text.toLowerCase())) return null;
    const match = /^(\d{1,9}(?:\.\d{1,3})?) ?([smhd]?)$/.exec(text.toLowerCase());
    if (match === null) return undefined;
    const seconds = within({ min, max }, Number(match[1]) * (UNIT_SECONDS[match[2] ?? ""] ?? 1));
    return seconds === undefined ? undefined : Math.round(seconds * 1000);
  });
}

/** Days, where `none` means that there is no limit; decimals are allowed. */
export function toDaysOrNone(range: Range): z.ZodType<number | null, string> {
  return fromText(`a number of days from ${range.min} to ${range.max}, or none`, (text) => {
    if (text.toLowerCase() === "none") return null;
    return /^\d+(\.\d+)?$/.test(text) ? within(range, Number(text)) : undefined;
  });
}

function parseSeconds(range: Range, text: string): number | undefined {
  if (!/^\d+(\.\d+)?$/.test(text)) return undefined;
  const seconds = within(range, Number(text));
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}

function within({ min, max }: Range, value: number): number | undefined {
  return value >= min && value <= max ? value : undefined;
}

const YES = ["1", "t", "true", "y", "yes", "on"];
const NO = ["0", "f", "false", "n", "no", "off"];

/** What Go's flag package accepts for a switch, plus the words that people write into environment files. */
export function toBoolean(): z.ZodType<boolean, string> {
  return fromText("yes or no (also true or false, 1 or 0, on or off)", (text) => {
    const word = text.toLowerCase();
    if (YES.includes(word)) return true;
    return NO.includes(word) ? false : undefined;
  });
}

/** One of the keys; several keys may mean the same. */
export function toChoice<const Value extends string>(
  choices: Readonly<Record<string, Value>>,
): z.ZodType<Value, string> {
  const words = new Map(Object.entries(choices));
  const schema = fromText(listed([...words.keys()]), (text) => words.get(text.toLowerCase()));
  CHOICES.set(schema, [...new Set(words.values())]);
  return schema;
}

const CHOICES = new WeakMap<z.ZodType, readonly string[]>();

/** The words of a {@link toChoice}, without synonyms; none for any other kind of value. */
export function choicesOf(schema: z.ZodType): readonly string[] {
  const inner = schema instanceof z.ZodNullable ? schema.unwrap() : schema;
  return inner instanceof z.ZodType ? CHOICES.get(inner) ?? [] : [];
}

/** `a, b or c`. */
function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

export function toPath(): z.ZodType<string, string> {
  return z.string().refine((path) => path.trim() !== "" && path !== ":memory:" && !path.includes("\0"), {
    error: "the path of a file",
  });
}

/** The path of a file, or the URL of a PostgreSQL database, which is looked at by whoever connects. */
export function toDatabase(): z.ZodType<string, string> {
  return toPath().refine((text) => !isForeignUrl(text), {
    error: "the path of a SQLite file, or postgres://user@host/database",
  });
}

/** Whether the text is meant to be the URL of a PostgreSQL database, right or wrong; else it is the path of a file. */
export function isPostgresUrl(text: string): boolean {
  return /^postgres(?:ql)?:/i.test(text.slice(0, 16).trimStart());
}

/** A value for a message: somebody may have given the URL of another kind of database, with a password. */
export function withoutCredentials(text: string | null): string | null {
  if (text === null) return null;
  const from = text.indexOf("://") + 3;
  const to = text.lastIndexOf("@");
  const hasPassword = from >= 3 && text.slice(from, Math.max(from, to)).includes(":");
  return hasPassword ? `${text.slice(0, from)}…${text.slice(to)}` : text;
}

/** Of another kind of database: nobody means a file of this name. */
function isForeignUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]{1,20}:\/\//i.test(text) && !isPostgresUrl(text);
}

export function toCount(range: Range): z.ZodType<number, string> {
  return fromText(`a whole number from ${range.min} to ${range.max}`, (text) => {
    return /^\d+$/.test(text) ? within(range, Number(text)) : undefined;
  });
}

export function toPercent(): z.ZodType<number, string> {
  const range = { min: 0, max: 100 };
  return fromText("a percentage from 0 to 100", (text) => {
    return /^\d+(\.\d+)?%?$/.test(text) ? within(range, Number.parseFloat(text)) : undefined;
  });
}

export function toHedgeDelay(): z.ZodType<HedgeDelay, string> {
  return fromText(HEDGE_DELAY_FORM, parseHedgeDelay);
}

/** Comma-separated words of an API, such as error codes; `none` or nothing for none. */
export function toLabels(): z.ZodType<ReadonlySet<string>, string> {
  return fromText("words such as content_filter,content_policy_violation or none", (text) => {
    const lower = text.toLowerCase();
    const labels = lower === "none" ? [] : lower.split(",").map((label) => label.trim());
    const given = labels.filter((label) => label !== "");
    return given.every((label) => /^[\x21-\x7e]{1,128}$/.test(label)) ? new Set(given) : undefined;
  });
}

/** The path of a file, or `none`. */
export function toPathOrNone(): z.ZodType<string | null, string> {
  return fromText("the path of a file, or none", (text) => {
    if (text.toLowerCase() === "none") return null;
    return text === "" || text.includes("\0") ? undefined : text;
  });
}

/** A whole number, where `none` means that there is no limit. */
export function toCountOrNone(range: Range): z.ZodType<number | null, string> {
  return fromText(`a whole number from ${range.min} to ${range.max}, or none`, (text) => {
    if (text.toLowerCase() === "none") return null;
    return /^\d+$/.test(text) ? within(range, Number(text)) : undefined;
  });
}

/** Comma-separated networks in CIDR notation (RFC 4632), or `none`. */
export function toNetworks(): z.ZodType<readonly Cidr[], string> {
  return fromText("networks such as 10.0.0.0/8,::1 or none", (text) => {
    if (text.toLowerCase() === "none") return [];
    const networks = text.split(",").map(parseCidr);
    return networks.every((network) => network !== null) ? networks : undefined;
  });
}

/** The `Origin` of an application that is not a web site, such as `app://obsidian.md`. */
const OTHER_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._~:[\]-]+$/;

/**
 * Comma-separated origins as browsers write them, or `none`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6454#section-6.2
 */
export function toOrigins(): z.ZodType<readonly string[], string> {
  return fromText("origins such as http://localhost:3000,https://chat.example.com or none", (text) => {
    if (text.toLowerCase() === "none") return [];
    const origins = text.split(",").map(parseOrigin);
    return origins.every((origin) => origin !== null) ? origins : undefined;
  });
}

/** null: the text is not an origin, or has more parts than one. */
function parseOrigin(text: string): string | null {
  const bare = text.trim().toLowerCase().replace(/\/$/, "");
  const url = URL.parse(bare);
  if (url === null || !OTHER_ORIGIN.test(bare)) return null;
  const isWeb = url.protocol === "http:" || url.protocol === "https:";
  return isWeb ? url.origin : bare;
}
