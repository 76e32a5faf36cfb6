/**
 * What the admin API takes: one schema for each input, which checks and describes it.
 *
 * Owns the bounds of every input. What is answered is in answer_schemas.ts.
 */
import { COST_RANGES } from "../../control/cost_spans.ts";
import { COST_KINDS } from "../../control/cost_table.ts";
import { z } from "zod";
import type { StatsRange } from "../../control/admin_service.ts";
import { EXPORT_FORMATS } from "../../control/record_export.ts";
import { parseCountRange, parseDuration } from "../../core/bounds.ts";
import { AUTH_STYLES, ORDER_POLICIES, OUTCOMES } from "../../core/types.ts";
import { MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH } from "../../control/tokens.ts";
import { tokenFields, tokenName } from "./token_schemas.ts";
import { optionFields } from "./option_schemas.ts";
import { MAX_NAME_LENGTH, MAX_TIMEOUT_SECONDS, MAX_WEIGHT } from "../../control/upstream_values.ts";

export const STATS_RANGES = ["15m", "1h", "24h", "7d", "30d"] as const satisfies readonly StatsRange[];

const MAX_TEXT_LENGTH = 4_096;
/** The body's own bound is no larger. */
const MAX_KEYS_LENGTH = 1024 * 1024;
const MAX_PATTERNS = 200;
const MAX_KEYS = 1_000;
const MAX_ALIASES = 1_000;

const text = z.string().max(MAX_TEXT_LENGTH);
const pattern = z.string().min(1).max(200).regex(/^[^,\p{C}]+$/u, "no commas, no control characters");
const authStyle = z.enum(AUTH_STYLES);

const upstreamFields = {
  endpoint: text.min(1).describe("base URL, such as https://api.openai.com/v1"),
  key: z.string().min(1).max(MAX_KEYS_LENGTH).describe(
    'its API key, or several, one a line, or "asis" to forward the client\'s own; `sk` is another name of it, and `keys` ' +
      "takes an array",
  ),
  name: z.string().max(MAX_NAME_LENGTH).nullable().describe("null: the endpoint's host"),
  timeoutSeconds: z.int().min(1).max(MAX_TIMEOUT_SECONDS).nullable().describe(
    "until its response headers; null: by the request",
  ),
  isEnabled: z.boolean(),
  allow: z.array(pattern).max(MAX_PATTERNS).describe("globs on the model; empty: every model"),
  deny: z.array(pattern).max(MAX_PATTERNS),
  modelMap: z.record(z.string().min(1).max(200), z.string().min(1).max(200))
    .refine((map) => Object.keys(map).length <= MAX_ALIASES, `at most ${MAX_ALIASES} aliases`)
    .describe("requested name to the upstream's name"),
  authStyle: authStyle.nullable().describe("null: by its host"),
  weight: z.number().positive().max(MAX_WEIGHT).describe("its share with the policy random"),
  ...optionFields,
};

export const upstreamChanges = z.strictObject(upstreamFields).partial();
export const upstreamEdit = upstreamChanges.extend({
  addKeys: z.array(z.string().min(1).max(MAX_TEXT_LENGTH)).max(MAX_KEYS)
    .describe("keys to add behind those that it has, which stay").optional(),
  removeKeys: z.array(z.union([z.int().min(1).max(MAX_KEYS), z.string().min(1).max(100)])).max(MAX_KEYS)
    .describe("keys to remove, each by its number or masked, as `keys` has them").optional(),
});
export const newUpstream = upstreamChanges.required({ endpoint: true, key: true });

export const place = z.strictObject({ place: z.int().min(1).max(1_000_000).describe("1 is tried first") });
export const policy = z.strictObject({
  policy: z.enum(ORDER_POLICIES).describe(
    "order of trial, for all servers that were started without a policy",
  ),
});
export const tokenChanges = z.strictObject({ name: tokenName, ...tokenFields }).partial();
export const newToken = z.strictObject({
  name: tokenName,
  value: z.string().min(1).max(MAX_TOKEN_LENGTH).optional().describe(
    "the token itself; without it a random one",
  ),
  force: z.boolean().optional().describe(`accept a value of fewer than ${MIN_TOKEN_LENGTH} characters`),
  isHashed: z.boolean().optional().describe(
    "keep its digest only, so that it is never shown again; true as soon as anything below is given",
  ),
  ...z.strictObject(tokenFields).partial().shape,
});
export const replayTarget = z.strictObject({
  upstreamId: z.int().nullable().default(null).describe("null: any, in the usual order"),
});
/** The Go program's: names in any case; other fields are ignored, as it did. */
export const goUpstream = z.object({
  sk: text.min(1),
  endpoint: text.min(1),
  timeout: z.int().min(0).max(MAX_TIMEOUT_SECONDS).optional(),
});

export const rowId = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** A `request_id`, or a row's number. */
export const recordId = z.string().min(1).max(100);

const moment = z.union([
  z.string().regex(/^\d{10,15}$/).transform(Number),
  z.iso.datetime({ offset: true }).transform((iso) => Date.parse(iso)),
  z.iso.date().transform((iso) => Date.parse(iso)),
]).describe("milliseconds since the Unix epoch, or ISO 8601");

const queryNumber = (min: number, max: number) =>
  z.string().regex(/^\d{1,15}$/).transform(Number).pipe(z.int().min(min).max(max));

const upstreamName = z.string().min(1).max(MAX_NAME_LENGTH);

/** Text that a function understands, or refuses with undefined. */
function read<Value>(parse: (text: string) => Value | undefined, problem: string) {
  return z.string().max(100).transform((text, context): Value => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: problem });
    return z.NEVER;
  });
}

const recordFilter = {
  since: moment.optional(),
  until: moment.optional(),
  model: z.string().min(1).max(200).optional().describe("a glob with * and ?"),
  upstream: upstreamName.optional().describe("id or name of the one that answered"),
  tried: upstreamName.optional().describe("id or name of one that was asked, whether it answered or not"),
  failedOn: upstreamName.optional().describe("id or name of one at which an attempt failed"),
  attempts: read(parseCountRange, "write a number, such as 2, >1 or <=3").optional()
    .describe("how many were made: 2, >1, <=3"),
  slowerThan: read(parseDuration, "write a duration, such as 5s, 800ms or 2m").optional()
    .describe("took longer: 5s, 800ms, 2m"),
  failed: z.enum(["yes", "true", "1"]).optional().describe("only requests that count as errors"),
  status: z.string().regex(/^(?:[1-5]xx|[1-9]\d{0,2})$/).transform((status) =>
    Number(status.replace("xx", ""))
  )
    .optional().describe("502, or a class such as 5xx"),
  outcome: z.enum(OUTCOMES).optional(),
  client: z.string().min(1).max(200).optional().describe("name of the client's token"),
  without: z.enum(["model", "client"]).optional().describe("only records that name none"),
  q: z.string().max(1_000).optional().describe('words or their beginnings; "..." for a phrase'),
};

export const recordQuery = z.strictObject({
  limit: queryNumber(1, 200).optional().describe("default 50"),
  before: queryNumber(1, Number.MAX_SAFE_INTEGER).optional().describe("nextBeforeId of the page before"),
  ...recordFilter,
});

export const countQuery = z.strictObject(recordFilter);
export const exportQuery = z.strictObject({ format: z.enum(EXPORT_FORMATS), ...recordFilter });

export const modelQuery = z.strictObject({
  search: z.string().max(512).optional().describe("a part of the name, in any case; default: every model"),
});

export const costsQuery = z.strictObject({
  range: z.enum(COST_RANGES).default("30d").describe("days and months of UTC"),
  since: moment.optional().describe("instead of a range; kept for 400 days"),
  until: moment.optional().describe("default now"),
});
export const costsFileQuery = costsQuery.extend({
  by: z.enum(COST_KINDS).default("client").describe("what a row stands for"),
});

export const statsQuery = z.strictObject({
  range: z.enum(STATS_RANGES).default("15m"),
  since: moment.optional().describe("instead of a range; kept for 31 days"),
  until: moment.optional().describe("default now"),
});
