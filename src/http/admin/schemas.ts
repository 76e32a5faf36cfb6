/**
 * What the admin API takes and gives: one schema for each, which checks requests and describes both.
 *
 * Owns the bounds of every input. Answers are described, not checked: the service's types determine them.
 */
import { z } from "zod";
import type { ReplayResult, StatsRange } from "../../control/admin_service.ts";
import { EXPORT_FORMATS } from "../../control/record_export.ts";
import { parseCountRange, parseDuration } from "../../core/bounds.ts";
import { SHOWN_STATES } from "../../core/breaker.ts";
import { CONDITIONS } from "../../core/condition.ts";
import { AUTH_STYLES, type OrderPolicy, OUTCOMES } from "../../core/types.ts";
import { MAX_TOKEN_LENGTH, MIN_TOKEN_LENGTH } from "../../control/tokens.ts";
import type { RefusalReason } from "../../core/refusal.ts";
import { MAX_NAME_LENGTH, MAX_TIMEOUT_SECONDS, MAX_WEIGHT } from "../../control/upstream_values.ts";

const STATS_RANGES = ["15m", "1h", "24h", "7d", "30d"] as const satisfies readonly StatsRange[];
const DIFF_TYPES = [
  "same",
  "removed",
  "added",
] as const satisfies readonly ReplayResult["diff"][number]["type"][];

const REFUSAL_REASONS = [
  "no_token",
  "wrong_token",
  "other_site",
] as const satisfies readonly RefusalReason[];

const MAX_TEXT_LENGTH = 4_096;
const MAX_PATTERNS = 200;
const MAX_ALIASES = 1_000;

const text = z.string().max(MAX_TEXT_LENGTH);
const pattern = z.string().min(1).max(200).regex(/^[^,\p{C}]+$/u, "no commas, no control characters");
const authStyle = z.enum(AUTH_STYLES);
const milliseconds = z.number().describe("milliseconds since the Unix epoch");

const upstreamFields = {
  endpoint: text.min(1).describe("base URL, such as https://api.openai.com/v1"),
  key: text.min(1).describe(
    'its API key, or "asis" to forward the client\'s own; `sk` is another name of it',
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
};

export const upstreamChanges = z.strictObject(upstreamFields).partial();
export const newUpstream = upstreamChanges.required({ endpoint: true, key: true });

export const place = z.strictObject({ place: z.int().min(1).max(1_000_000).describe("1 is tried first") });
export const newToken = z.strictObject({
  name: z.string().min(1).max(64),
  value: z.string().min(1).max(MAX_TOKEN_LENGTH).optional().describe(
    "the token itself; without it a random one",
  ),
  force: z.boolean().optional().describe(`accept a value of fewer than ${MIN_TOKEN_LENGTH} characters`),
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
export const recordCount = z.object({
  count: z.number(),
  isComplete: z.boolean().describe("false: it took too long, and there may be more"),
});
export const exportQuery = z.strictObject({ format: z.enum(EXPORT_FORMATS), ...recordFilter });

export const statsQuery = z.strictObject({
  range: z.enum(STATS_RANGES).default("15m"),
  since: moment.optional().describe("instead of a range; kept for 31 days"),
  until: moment.optional().describe("default now"),
});

const count = z.number();
const maybe = z.number().nullable();

export const upstreamView = z.object({
  id: count,
  place: count,
  name: text,
  endpoint: text,
  key: text.describe("masked"),
  isEnabled: z.boolean(),
  timeoutSeconds: maybe,
  allow: z.array(text),
  deny: z.array(text),
  modelMap: z.record(z.string(), z.string()),
  authStyle: authStyle.nullable(),
  weight: count,
  state: z.enum(CONDITIONS),
  breaker: z.enum(SHOWN_STATES),
  recent: z.object({
    attempts: count,
    failed: count,
    isDegraded: z.boolean().describe("too many of its latest attempts failed"),
  }),
  openUntilMs: milliseconds.nullable(),
  reason: text.nullable(),
  lastError: z.object({ atMs: milliseconds, errorClass: text, message: text }).nullable(),
  problem: text.nullable().describe("why its row is not used"),
});

const usageSums = {
  requests: count,
  errors: count,
  inputTokens: count,
  outputTokens: count,
  cachedTokens: count.describe("part of the input"),
};

export const upstreamTest = z.object({
  isOk: z.boolean(),
  status: maybe,
  durationMs: count,
  message: text,
  models: z.array(text),
});

export const tokenView = z.object({
  name: text,
  token: text.describe("masked"),
  createdAtMs: milliseconds.nullable().describe("null: unknown"),
  lastUsedMs: milliseconds.nullable().describe("of the name, whichever token had it"),
  ...usageSums,
  countedSinceMs: milliseconds.nullable().describe("null: since ever"),
});
export const tokenSecret = z.object({ name: text, secret: text.describe("shown this once") });

const usage = z.object({
  inputTokens: maybe,
  outputTokens: maybe,
  cachedTokens: maybe,
  reasoningTokens: maybe,
});
const toolCall = z.object({ id: z.string().nullable(), name: z.string(), arguments: z.string() });

const recordSummary = z.object({
  id: count,
  requestId: z.string().nullable(),
  createdAtMs: milliseconds.nullable(),
  model: z.string().nullable(),
  status: maybe,
  outcome: z.string().nullable(),
  upstreamId: maybe,
  upstreamName: z.string().nullable(),
  attemptCount: maybe,
  isStream: z.boolean().nullable(),
  elapsedMs: maybe,
  firstTokenMs: maybe,
  usage,
  client: z.string().nullable(),
  prompt: z.string().describe("beginning of the user's last message"),
  reply: z.string().describe("beginning of the reply, its tool calls or its error"),
  hit: z.array(z.object({ text: z.string(), isHit: z.boolean() })),
  hitIn: z.enum(["reply", "request"]).nullable().describe("what the hit is a passage of"),
});

export const recordPage = z.object({ records: z.array(recordSummary), nextBeforeId: maybe });

export const recordDetail = z.object({
  record: z.object({
    id: count,
    requestId: z.string().nullable(),
    createdAtMs: milliseconds.nullable(),
    ip: z.string().nullable(),
    method: z.string().nullable(),
    path: z.string().nullable(),
    body: z.string().nullable(),
    model: z.string().nullable(),
    isStream: z.boolean().nullable(),
    response: z.string().nullable(),
    reasoning: z.string().nullable(),
    toolCalls: z.array(toolCall),
    responseModel: z.string().nullable(),
    finishReason: z.string().nullable(),
    usage,
    elapsedMs: maybe,
    firstByteMs: maybe,
    firstTokenMs: maybe,
    status: maybe,
    outcome: z.string().nullable(),
    upstreamId: maybe,
    attemptCount: maybe,
    authorization: z.string().nullable().describe("masked"),
    client: z.string().nullable(),
    userAgent: z.string().nullable(),
    requestBytes: maybe,
    responseBytes: maybe,
    error: z.string().nullable(),
    isTruncated: z.boolean(),
    instance: z.string().nullable(),
  }),
  attempts: z.array(z.object({
    index: count,
    upstreamId: count,
    upstreamName: z.string(),
    startedAtMs: milliseconds,
    durationMs: count,
    status: maybe,
    errorClass: z.string().nullable(),
    message: z.string().nullable(),
    partial: z.string().nullable(),
  })),
  upstreamName: z.string().nullable(),
});

export const replayResult = z.object({
  requestId: z.string().nullable(),
  status: count,
  text: z.string(),
  reasoning: z.string(),
  toolCalls: z.array(toolCall),
  elapsedMs: count,
  diff: z.array(z.object({ type: z.enum(DIFF_TYPES), text: z.string() })),
});

const sums = {
  requests: count,
  errors: count,
  p50Ms: maybe,
  p95Ms: maybe,
  firstTokenP50Ms: maybe,
  firstTokenP95Ms: maybe,
  inputTokens: count,
  outputTokens: count,
};

export const stats = z.object({
  range: z.enum([...STATS_RANGES, "custom"]),
  fromMs: milliseconds,
  toMs: milliseconds,
  stepMs: count,
  points: z.array(z.object({ atMs: milliseconds, ...sums })),
  total: z.object(sums),
  upstreams: z.array(
    z.object({
      id: count,
      name: z.string(),
      requests: count,
      failures: count,
      attempts: count,
      p95Ms: maybe,
    }),
  ),
});

const usageFigures = {
  ...usageSums,
  p95Ms: maybe,
  series: z.object({ requests: z.array(count), tokens: z.array(count) }).describe("by step"),
};
const usageTable = z.object({
  rows: z.array(z.object({ name: z.string().nullable().describe("null: none was named"), ...usageFigures }))
    .describe("most requests first, at most 20"),
  others: z.object(usageFigures).nullable().describe("all other names together; they have no p95Ms"),
});

export const usageReport = z.object({
  range: z.enum([...STATS_RANGES, "custom"]),
  fromMs: milliseconds,
  toMs: milliseconds,
  stepMs: count,
  sinceMs: milliseconds.nullable().describe("requests before are not counted; null: all of the range are"),
  steps: z.array(milliseconds),
  models: usageTable,
  clients: usageTable,
});

export const status = z.object({
  version: z.string(),
  startedAtMs: milliseconds,
  uptimeMs: count,
  database: z.object({ path: z.string(), bytes: maybe }),
  policy: z.enum(
    ["order", "random", "round_robin", "least_latency"] as const satisfies readonly OrderPolicy[],
  ),
  retention: z.object({ keepDays: maybe, keepBodiesDays: maybe, maxDatabaseBytes: maybe }),
  channels: z.array(z.string()).describe("the alert channels that are configured"),
  refused: z.object({
    lastHour: count.describe("requests of clients that were refused for their token"),
    last: z.object({ address: text, reason: z.enum(REFUSAL_REASONS), atMs: milliseconds }).nullable(),
  }),
});

export const channelTest = z.object({ isOk: z.boolean(), message: z.string() });

export const setting = z.object({ name: z.string(), value: z.string() });

export const errorEnvelope = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.null(), code: z.string() }),
});
