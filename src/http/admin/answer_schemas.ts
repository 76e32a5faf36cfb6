/**
 * What the admin API answers: one schema for each, for its description. Answers are not checked: the service's types determine
 * them.
 */
import { z } from "zod";
import type { ReplayResult } from "../../control/admin_service.ts";
import { KEY_STATES } from "../../core/key_states.ts";
import { SHOWN_STATES } from "../../core/breaker.ts";
import { CONDITIONS } from "../../core/condition.ts";
import { AUTH_STYLES, ORDER_POLICIES } from "../../core/types.ts";
import { LIMIT_REASONS, type RefusalReason } from "../../core/refusal.ts";
import { shownOptions } from "./option_schemas.ts";
import { shownRules } from "./token_schemas.ts";
import { STATS_RANGES } from "./schemas.ts";
import { costSums, usageSums } from "./usage_schemas.ts";

export { costReport, tokenSpending, usageReport } from "./usage_schemas.ts";

const DIFF_TYPES = [
  "same",
  "removed",
  "added",
] as const satisfies readonly ReplayResult["diff"][number]["type"][];

const REFUSAL_REASONS = [
  "no_token",
  "wrong_token",
  "ended_token",
  "other_site",
] as const satisfies readonly RefusalReason[];

export const recordCount = z.object({
  count: z.number(),
  isComplete: z.boolean().describe("false: it took too long, and there may be more"),
});

const text = z.string();
const authStyle = z.enum(AUTH_STYLES);
const milliseconds = z.number().describe("milliseconds since the Unix epoch");
const count = z.number();
const maybe = z.number().nullable();

export const upstreamView = z.object({
  id: count,
  place: count,
  name: text,
  endpoint: text,
  key: text.describe("masked; of several keys only how many they are"),
  keys: z.array(z.object({
    n: count,
    key: text.describe("masked"),
    state: z.enum(KEY_STATES),
    untilMs: milliseconds.nullable(),
    reason: text.nullable(),
    inFlight: count.describe("requests under way with it"),
  })),
  inFlight: count.describe("requests under way at it, with all of its keys, of this server"),
  limit: maybe.describe("requests at once of all its keys, auto as of now; null: no limit"),
  isEnabled: z.boolean(),
  timeoutSeconds: maybe,
  allow: z.array(text),
  deny: z.array(text),
  modelMap: z.record(z.string(), z.string()),
  authStyle: authStyle.nullable(),
  weight: count,
  ...shownOptions,
  condition: z.enum(CONDITIONS),
  state: z.enum(SHOWN_STATES).describe("what its breaker is in"),
  recent: z.object({
    attempts: count,
    failed: count,
    isDegraded: z.boolean().describe("too many of its latest attempts failed"),
  }),
  openUntilMs: milliseconds.nullable(),
  reason: text.nullable(),
  lastError: z.object({ atMs: milliseconds, errorClass: text, message: text }).nullable(),
  problem: text.nullable().describe("why its row is not used"),
  modelCount: maybe.describe("how many models it lists; null: not known"),
});

export const modelPage = z.object({
  models: z.array(z.object({ model: text, upstreams: z.array(text).describe("names, in order of trial") }))
    .describe("at most 200"),
  count,
});

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
  ...shownRules,
  createdAtMs: milliseconds.nullable().describe("null: unknown"),
  lastUsedMs: milliseconds.nullable().describe("of the name, whichever token had it"),
  ...usageSums,
  countedSinceMs: milliseconds.nullable().describe("null: since ever"),
});
export const tokenSecret = z.object({
  id: z.number().nullable().describe("of its row; null: it is one of the list"),
  name: text,
  secret: text.describe("shown this once"),
});

const usage = z.object({
  inputTokens: maybe,
  outputTokens: maybe,
  cachedTokens: maybe,
  reasoningTokens: maybe,
});
const usageDetails = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])).describe(
  "what prices depend on besides; isEstimated: the counts are our own estimate",
);
const attemptUsage = usage.extend({ details: usageDetails.nullable().optional() });
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
  areTokensEstimated: z.boolean().describe(
    "the counts of usage are our own estimate: the provider gave none",
  ),
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
    affinity: z.string().nullable().describe("owner, session, prefix or broken: what tied it to an upstream"),
    queuedMs: maybe.describe("how long it waited for an upstream with room; null: it did not wait"),
    areTokensEstimated: z.boolean().describe(
      "the counts of usage are our own estimate: the provider gave none",
    ),
    costNano: maybe.describe("in 1e-9 US dollars; null: unknown"),
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
    keyN: maybe.describe("which of several keys was used, from 1"),
    isChanged: z.boolean().describe("its headers or body were changed as the upstream's options say"),
    usage: attemptUsage.nullable().optional().describe(
      "what it used, if its reply is not the client's; null: nothing was reported",
    ),
    costNano: maybe.optional().describe("in 1e-9 US dollars; null: unknown"),
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
  ...costSums,
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
      costNano: costSums.costNano,
    }),
  ),
});

const policyFields = {
  policy: z.enum(ORDER_POLICIES).describe("order of trial in use"),
  isPolicyFixed: z.boolean().describe("this server was started with it, whatever the database says"),
};
export const policyInUse = z.object(policyFields);

export const status = z.object({
  version: z.string(),
  startedAtMs: milliseconds,
  uptimeMs: count,
  database: z.object({ path: z.string(), bytes: maybe }),
  ...policyFields,
  retention: z.object({ keepDays: maybe, keepBodiesDays: maybe, maxDatabaseBytes: maybe }),
  postgres: z.object({
    url: z.string().describe("without anything secret"),
    isUp: z.boolean(),
    problem: text,
    waiting: maybe.describe("records in this server's journal"),
    oldestAgeMs: maybe,
    rejected: maybe.describe("records that PostgreSQL cannot store"),
    replicas: z.array(z.object({
      listen: z.string(),
      version: z.string(),
      startedAtMs: milliseconds,
      silentMs: count,
      waiting: count,
      isThis: z.boolean(),
    })).nullable().describe("null: it cannot be asked"),
  }).nullable().describe("null: records are in the database itself"),
  channels: z.array(z.string()).describe("the alert channels that are configured"),
  refused: z.object({
    lastHour: count.describe("requests of clients that were refused for their token"),
    last: z.object({ address: text, reason: z.enum(REFUSAL_REASONS), atMs: milliseconds }).nullable(),
    limited: z.array(z.object({ client: text, reason: z.enum(LIMIT_REASONS), lastHour: count }))
      .describe("requests refused in the last hour because of a limit of their token"),
  }),
});

export const channelTest = z.object({ isOk: z.boolean(), message: z.string() });

export const setting = z.object({ name: z.string(), value: z.string() });

export const errorEnvelope = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.null(), code: z.string() }),
});
