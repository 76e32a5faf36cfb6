/**
 * The Chinese texts about what a token may do.
 */
import type { Messages } from "./en.ts";
import type { tokenRuleTexts as english } from "./token_rules_en.ts";

export const tokenRuleTexts: Pick<Messages, keyof typeof english> = {
  tokenRules: "限额、预算、模型、到期时间",
  tokenRulesHint: "只要设置了其中任何一项，令牌就只以摘要保存：页面和命令行都无法再次显示它。",
  tokenBudget: "预算（美元）",
  tokenBudgetHint: "例如 20/month；也可用 /day、/week、/total。留空：无预算。",
  tokenExpires: "到期时间",
  tokenExpiresHint: "例如 90d、12h、2027-01-31 或 2027-01-31T08:00:00Z（UTC）。留空：永不过期。",
  tokenLimitHint: "留空：不限。",
  tokenAllow: "模型",
  tokenAllowHint: "用逗号分隔的模式，例如 gpt-4o*, o3。留空：所有模型。",
  tokenDeny: "排除的模型",
  tokenDenyHint: "模式；优先于允许的模型。",
  tokenUpstreams: "上游",
  tokenUpstreamsHint: "名称或编号，用逗号分隔。留空：全部。",
  tokenGate: "流式回复的保留方式",
  tokenGateDefault: "与其他令牌相同",
  tokenGates: { whole: "直到完整", content: "直到出现内容", none: "不保留" },
  tokenState: "状态",
  tokenStates: { active: "可用", disabled: "已停用", expired: "已过期", refused: "无效" },
  tokenUntil: "至",
  tokenMay: "权限",
  tokenMayAll: "全部",
  spentOf: (spent, budget) => `已用 ${spent}，${budget}`,
  budgetIs: (usd, period) => `每${period} $${usd}`,
  budgetTotal: (usd) => `总计 $${usd}`,
  budgetPeriods: { day: "天", week: "周", month: "月", total: "总计" },
  parallelIs: (count) => `最多 ${count} 个并发`,
  onlyUpstreamsIs: (names) => `经由 ${names}`,
  editToken: (name) => `令牌 ${name}`,
  tokenBecomesRow:
    "它不受限制，并且可以再次显示。设置任何规则后，它会变成只以摘要保存的一行：值不变，但无法再次显示，Go 程序也不再接受它。",
  tokenRefused: "其数据行无效：",
  tokenRenameHint: "此前的记录和统计仍属于旧名称。",
  rotate: "更换值",
  rotateTitle: (name) => `为 ${name} 更换值？`,
  rotateText: "仍使用当前值的客户端将在一秒内被拒绝。新值只显示一次。",
};
