/**
 * The Chinese texts about the options of an upstream: limits, and how its requests are changed, chosen and sent.
 */
import type { Messages } from "./en.ts";
import type { upstreamOptionTexts as english } from "./upstream_options_en.ts";

export const upstreamOptionTexts: Pick<Messages, keyof typeof english> = {
  optionFields: "限额、请求改写、代理",
  fieldMaxParallel: "并发请求数",
  fieldMaxParallelHint: "按每个密钥计：一个数字，或 auto（上游能接受多少就多少）。留空：不限。",
  fieldRpm: "每分钟请求数",
  fieldTpm: "每分钟 token 数",
  fieldRateHint: "按每个密钥计。留空：不限。",
  fieldKeyPolicy: "多个密钥",
  keyPolicyRoundRobin: "轮流使用",
  keyPolicyFill: "先用第一个有余量的",
  fieldSetHeaders: "请求头",
  fieldSetHeadersHint: "每行一个“名称: 值”；“-名称”表示去掉客户端的该请求头。被遮住的值（…）保持不变。",
  fieldBodyPatch: "请求体补丁",
  fieldBodyPatchHint: '对 JSON 请求体的合并补丁（RFC 7396），例如 {"store":false,"seed":null}。',
  fieldOnlyPaths: "仅用于路径",
  fieldOnlyPathsHint: "用逗号分隔的模式，例如 /v1/chat/*, /v1/embeddings。留空：所有路径。",
  fieldMaxBody: "最大请求体",
  fieldMaxBodyHint: "例如 10MB。更大的请求交给其他上游。留空：不限。",
  fieldStreamTimeout: "流式时限（秒）",
  fieldStreamTimeoutHint: "从发出请求到第一段内容。留空：按请求而定。",
  fieldErrorTexts: "错误文本",
  fieldErrorTextsHint: "每行一条，例如 quota exceeded：以这类文本开头的回复视为错误。",
  fieldProxy: "代理",
  fieldProxyHint: "例如 http://user:password@proxy:3128 或 socks5://127.0.0.1:1080。",
  inFlightIs: (count, limit) => limit === null ? `${count} 个正在处理` : `${count}/${limit} 个正在处理`,
  maxParallelIs: (count) => count === "auto" ? "并发自动调节" : `最多 ${count} 个并发`,
  rpmIs: (count) => `每分钟 ${count} 次`,
  tpmIs: (count) => `每分钟 ${count} token`,
  changesRequests: "改写请求",
  onlyPathsIs: (paths) => `仅 ${paths}`,
  maxBodyIs: (size) => `请求体不超过 ${size}`,
  streamTimeoutIs: (seconds) => `流式 ${seconds} 秒内`,
  errorTextsAre: (count) => `${count} 条错误文本`,
  proxyIs: (proxy) => `经由 ${proxy}`,
  attemptChanged: "请求已改写",
};
