/**
 * The Chinese texts about usage: by model, by client, by token.
 */
import type { Messages } from "./en.ts";
import type { usageTexts as english } from "./usage_en.ts";

export const usageTexts: Pick<Messages, keyof typeof english> = {
  usageByModel: "按模型",
  usageByClient: "按客户端",
  usageModel: "模型",
  usageClient: "客户端",
  usageNoModel: "（无模型）",
  usageNoClient: "（无名称）",
  usageOthers: "其他",
  usageNone: "这段时间没有请求。",
  usageSince: "统计起始于",
  usageInput: "输入词元",
  usageCached: "其中缓存",
  usageOutput: "输出词元",
  usageP95: "95 百分位",
  usageErrors: "错误",
  usagePlotTokens: "每分钟词元",
  tokenCreated: "添加时间",
  tokenLastUsed: "最近使用",
  tokenNever: "从未",
  tokenUnknown: "未知",
  tokenSpent: "用量（词元）",
  tokenCached: (cached) => `输入中 ${cached} 来自缓存`,
  tokenSince: "请求和词元的统计起始于",
  usageCachedShare: (percent) => `（${percent}%）`,
  factAffinity: "与上游的关联",
  affinities: {
    owner: "含有只有该上游认识的标识",
    session: "属于同一会话",
    prefix: "提示词开头相同",
    broken: "已断开：应答的不是所关联的上游",
  },
};
