/**
 * What the doctor says about upstreams that refuse to be asked for the usage of streams. Pure.
 */
import type { Upstream } from "../core/types.ts";
import { targetOf } from "../core/upstream_target.ts";
import { isRefusalOf, type UsageRefusal } from "../core/usage_option.ts";
import type { Finding } from "./finding.ts";

export function usageFindings(
  upstreams: readonly Upstream[],
  { refusals, nowMs }: { readonly refusals: readonly UsageRefusal[]; readonly nowMs: number },
): Finding[] {
  return upstreams.filter(({ isEnabled }) => isEnabled).flatMap((upstream) => {
    const target = targetOf(upstream);
    const isRefused = refusals.some((refusal) =>
      refusal.target === target && isRefusalOf(refusal.refusedAtMs, nowMs)
    );
    if (!isRefused || upstream.billing.usage === "never") return [];
    return [{
      check: "upstream",
      subject: upstream.name,
      level: "ok",
      message: "refuses stream_options: the tokens of streams whose client does not ask are estimated",
      advice: null,
    }];
  });
}
