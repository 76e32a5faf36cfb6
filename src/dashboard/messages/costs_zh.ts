/**
 * The Chinese texts about costs: who spent what.
 */
import type { costTexts as english } from "./costs_en.ts";
import type { Messages } from "./en.ts";

export const costTexts: Pick<Messages, keyof typeof english> = {
  navCosts: "费用",
  costsIntro: "请求的已知费用。日期按 UTC 划分，保留 400 天；预算的日期按 --timezone 划分。",
  costRanges: {
    today: "今天",
    "7d": "7 天",
    "30d": "30 天",
    month: "本月",
    last_month: "上月",
    "365d": "一年",
  },
  cost: "费用",
  costShare: "占比",
  costUnpriced: (count) => `${count} 个无价格`,
  costAllPriced: "全部请求",
  costByUpstream: "按上游",
  costByDay: "按天",
  costDay: "日期",
  costUpstream: "上游",
  costNoUpstream: "（无应答）",
  costNone: "这段时间没有请求。",
  costPlotDay: "每天费用（美元）",
  costPlotHour: "每小时费用（美元）",
  costUpstreamHint: "上游的费用包括它的应答和失败的尝试。",
  costCsv: "CSV",
  costCsvOf: (what) => `下载 CSV：${what}`,
  tokensEstimated: (count) => `${count} 为估算`,
  tokenSpentMonth: "30 天费用",
  tokenRecords: "它的全部记录",
  tokenLatest: "最近的请求",
  tokenNoRecords: "没有使用该令牌的请求记录。",
  budgetTitle: "预算",
  budgetNone: "没有预算。",
  budgetOver: (amount) => `超出剩余预算 ${amount}`,
  budgetSpent: (spent, budget) => `${budget} 中的 ${spent}`,
  budgetSince: (day) => `自 ${day} 起`,
  budgetEstimated: (amount) => `其中 ${amount} 为估算`,
};
