/**
 * The English texts about what a token may do.
 */
export const tokenRuleTexts = {
  tokenRules: "Limits, budget, models, expiry",
  tokenRulesHint:
    "A token with any of these is kept as a digest only: neither the page nor the command line can show it again.",
  tokenBudget: "Budget (US$)",
  tokenBudgetHint: "Such as 20/month; also /day, /week and /total. Empty: no budget.",
  tokenExpires: "Expires",
  tokenExpiresHint: "Such as 90d, 12h, 2027-01-31 or 2027-01-31T08:00:00Z (UTC). Empty: never.",
  tokenLimitHint: "Empty: no limit.",
  tokenAllow: "Models",
  tokenAllowHint: "Patterns separated by commas, such as gpt-4o*, o3. Empty: every model.",
  tokenDeny: "Not these models",
  tokenDenyHint: "Patterns; they go before those that are allowed.",
  tokenUpstreams: "Upstreams",
  tokenUpstreamsHint: "Names or numbers, separated by commas. Empty: all.",
  tokenGate: "How its streams are held",
  tokenGateDefault: "as all others",
  tokenGates: { whole: "until they are complete", content: "until they show content", none: "not at all" },
  tokenState: "State",
  tokenStates: { active: "active", disabled: "disabled", expired: "expired", refused: "refused" },
  tokenUntil: "until",
  tokenMay: "May",
  tokenMayAll: "everything",
  spentOf: (spent: string, budget: string) => `${spent} of ${budget}`,
  budgetIs: (usd: number, period: string) => `$${usd} per ${period}`,
  budgetTotal: (usd: number) => `$${usd} in total`,
  budgetPeriods: { day: "day", week: "week", month: "month", total: "total" },
  parallelIs: (count: number) => `${count} at once`,
  onlyUpstreamsIs: (names: string) => `by ${names}`,
  editToken: (name: string) => `Token ${name}`,
  tokenBecomesRow:
    "It may do everything, and can be shown. With a rule it becomes a row that is kept as a digest: its value stays the " +
    "same, but it cannot be shown again, and the Go program no longer accepts it.",
  tokenRefused: "Its row is refused:",
  tokenRenameHint: "Records and counts so far stay with the old name.",
  rotate: "New value",
  rotateTitle: (name: string) => `Give ${name} a new value?`,
  rotateText: "Clients that send the value of now are refused within a second. The new one is shown once.",
};
