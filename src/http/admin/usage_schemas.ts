/**
 * What the admin API answers about usage, costs and spending.
 */
import { z } from "zod";
import { COST_RANGES } from "../../control/cost_spans.ts";
import { BUDGET_PERIODS } from "../../core/money.ts";
import { STATS_RANGES } from "./schemas.ts";

const count = z.number();
const maybe = z.number().nullable();
const milliseconds = z.number().describe("milliseconds since the Unix epoch");
const text = z.string();

export const costSums = {
  costNano: count.describe("in 1e-9 US dollars, as far as it is known"),
  unpriced: count.describe("requests whose cost is not known"),
  estimatedTokens: count.describe("of requests whose upstream counted none; not among the other tokens"),
};

export const usageSums = {
  requests: count,
  errors: count,
  inputTokens: count,
  outputTokens: count,
  cachedTokens: count.describe("part of the input"),
  ...costSums,
};

export const tokenSpending = z.object({
  period: z.enum(BUDGET_PERIODS).describe("of its budget; month without one"),
  fromDay: text.describe("the first day of it, in the time zone of budgets; null: since ever"),
  budgetNano: maybe.describe("in 1e-9 US dollars, as all money here; null: it has none"),
  spentNano: count,
  estimatedNano: count.describe("part of it that nobody reported"),
  overshootNano: count.describe("by how much requests have cost more than was left"),
  requests: count,
}).nullable();

const usageFigures = {
  ...usageSums,
  p95Ms: maybe,
  series: z.object({
    requests: z.array(count),
    tokens: z.array(count),
    costNano: z.array(count),
    unpriced: z.array(count),
  }).describe("by step"),
};
const namedUsage = z.object({
  name: z.string().nullable().describe("null: none was named"),
  ...usageFigures,
});
const others = z.object(usageFigures).nullable().describe("all other names together; they have no p95Ms");
const tableOf = <Row extends z.ZodType>(row: Row, order: string) =>
  z.object({ rows: z.array(row).describe(order), others });
const usageTables = (order: string) => ({
  models: tableOf(namedUsage, order),
  clients: tableOf(namedUsage, order),
  upstreams: tableOf(
    namedUsage.extend({ upstreamId: maybe.describe("null: no upstream answered") }),
    `${order}; an upstream's cost is that of its answers and of its failed attempts`,
  ),
});
const usageSpan = {
  fromMs: milliseconds,
  toMs: milliseconds,
  stepMs: count,
  sinceMs: milliseconds.nullable().describe("requests before are not counted; null: all of the range are"),
  steps: z.array(milliseconds),
};

export const usageReport = z.object({
  range: z.enum([...STATS_RANGES, "custom"]),
  ...usageSpan,
  ...usageTables("most requests first, at most 20"),
});

export const costReport = z.object({
  range: z.enum([...COST_RANGES, "custom"]),
  ...usageSpan,
  ...usageTables("most expensive first, at most 100, without p95Ms"),
});
