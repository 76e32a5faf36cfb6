/**
 * What the overview says of the whole, from the upstreams' states and the figures of the range. Pure.
 */
import { failedPercent, type FailureCount, isTooMany } from "../core/failure_window.ts";
import type { Stats, UpstreamView } from "../control/admin_service.ts";
import type { PageContext } from "./page_context.ts";

/** An upstream that is not in order. */
export interface Culprit {
  readonly upstream: UpstreamView;
  /** How much failed; null: it is held back. */
  readonly count: { readonly percent: number; readonly attempts: number } | null;
}

export interface Judgement {
  readonly tone: "good" | "warn" | "bad" | "info";
  readonly title: string;
  readonly detail: string;
  readonly culprits: readonly Culprit[];
}

/** Above this error rate something is wrong, even when all upstreams are in order. */
const TOO_MANY_ERRORS = 0.05;

export function judge(
  { m, format }: Pick<PageContext, "m" | "format">,
  { total, upstreams: shares }: Pick<Stats, "total" | "upstreams">,
  upstreams: readonly UpstreamView[],
): Judgement {
  const say = (tone: Judgement["tone"], title: string, detail: string): Judgement => ({
    ...{ tone, title, detail, culprits },
  });
  const used = upstreams.filter(({ state }) => state !== "disabled" && state !== "skipped");
  const culprits = used.flatMap((upstream): Culprit[] => {
    const count = failuresOf(upstream, shares);
    if (count !== null) return [{ upstream, count }];
    return upstream.state === "ok" || upstream.state === "untested" ? [] : [{ upstream, count: null }];
  });
  const others = used.filter((upstream) => !culprits.some((culprit) => culprit.upstream === upstream));
  const well = others.filter(({ state }) => state === "ok").length;
  const untested = others.length - well;
  if (upstreams.length === 0) return say("info", m.noUpstreams, m.noUpstreamsDetail);
  if (used.length === 0 || (culprits.length > 0 && well === 0)) {
    return say(
      "bad",
      m.failing,
      culprits.some(({ count }) => count === null) ? m.failingDetail : m.nobodyElse,
    );
  }
  const errorRate = total.requests === 0 ? 0 : total.errors / total.requests;
  if (errorRate > TOO_MANY_ERRORS) {
    return say("bad", m.errorsRising, m.errorsRisingDetail(format.percent(errorRate)));
  }
  if (culprits.length > 0) return say("warn", m.degraded, m.othersAnswer(well));
  if (well === 0) return say("info", m.untested, m.untestedDetail);
  const rest = untested === 0 ? "" : ` ${m.someUntested(untested)}`;
  return total.requests === 0
    ? say("good", m.idle, m.idleDetail + rest)
    : say("good", m.healthy, m.healthyDetail(well) + rest);
}

/** Too many failures in the range, or just now; null: not so many. */
export function failuresOf(
  { id, recent }: Pick<UpstreamView, "id" | "recent">,
  shares: Stats["upstreams"],
): Culprit["count"] {
  const share = shares.find((each) => each.id === id);
  const inRange = { attempts: share?.attempts ?? 0, failed: share?.failures ?? 0 };
  const count: FailureCount | null = isTooMany(inRange) ? inRange : recent.isDegraded ? recent : null;
  return count === null ? null : { percent: failedPercent(count), attempts: count.attempts };
}
