/**
 * The Chinese texts about the models of upstreams.
 */
import type { Messages } from "./en.ts";
import type { modelTexts as english } from "./models_en.ts";

export const modelTexts: Pick<Messages, keyof typeof english> = {
  modelsTitle: "模型",
  modelsIntro: "此服务得知的、已启用的上游所列出的模型。",
  modelsSearch: "搜索模型",
  modelsSearchHint: "名字的一部分",
  modelsUpstreams: "列出它的上游，按顺序",
  modelsNone: "没有模型。",
  modelsCount: (_count, shown) => `${shown} 个模型`,
  modelsMore: (shown) => `只显示前 ${shown} 个。`,
};
