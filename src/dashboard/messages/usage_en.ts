/**
 * The English texts about usage: by model, by client, by token.
 */
export const usageTexts = {
  usageByModel: "By model",
  usageByClient: "By client",
  usageModel: "Model",
  usageClient: "Client",
  usageNoModel: "(no model)",
  usageNoClient: "(no name)",
  usageOthers: "others",
  usageNone: "No request in this range.",
  usageSince: "Counted since",
  usageInput: "Tokens in",
  usageCached: "of these cached",
  usageOutput: "Tokens out",
  usageP95: "95th percentile",
  usageErrors: "Errors",
  usagePlotTokens: "Tokens per minute",
  tokenCreated: "Added",
  tokenLastUsed: "Last used",
  tokenNever: "never",
  tokenUnknown: "unknown",
  tokenSpent: "Tokens spent",
  tokenCached: (cached: string) => `${cached} of the input cached`,
  tokenSince: "Requests and tokens are counted since",
} as const;
