/**
 * The overview: health, traffic and errors at a glance.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type {
  LiveRequest,
  RefusedSummary,
  Stats,
  UpstreamView,
  UsageReport,
} from "../../control/admin_service.ts";
import { costText, EstimatedTokens } from "../components/cost.tsx";
import { InFlightList } from "../components/in_flight.tsx";
import { Layout } from "../components/layout.tsx";
import { Countdown, Recorded, StateChip } from "../components/parts.tsx";
import { RefusedRequests } from "../components/refused.tsx";
import { Figures, Plots, UpstreamShare } from "../components/plots.tsx";
import { RangeChoice } from "../components/range_choice.tsx";
import { UpstreamFigures } from "../components/upstream_figures.tsx";
import { UsageSections } from "../components/usage.tsx";
import { Verdict } from "../components/verdict.tsx";
import { queryText, recordsPath } from "../record_query.ts";
import { spanQuery } from "../stats_span.ts";
import type { PageContext } from "../page_context.ts";

export interface OverviewProps {
  readonly page: PageContext;
  readonly stats: Stats;
  readonly usage: UsageReport;
  readonly upstreams: readonly UpstreamView[];
  readonly live: readonly LiveRequest[];
  readonly waiting: number;
  readonly refused: RefusedSummary;
  /** What was typed for a time of one's own; null with a range up to now. */
  readonly custom: { readonly since: string; readonly until: string } | null;
  /** Why that is not shown. */
  readonly problem: string | null;
}

/** How often the figures are fetched again, by time range. */
const REFRESH: Readonly<Record<Stats["range"], string>> = {
  "15m": "every 10s",
  "1h": "every 30s",
  "24h": "every 60s",
  "7d": "every 300s",
  "30d": "every 300s",
  custom: "every 300s",
};

export function Overview(
  { page, stats, usage, upstreams, live, waiting, refused, custom, problem }: OverviewProps,
): JSX.Element {
  const { m } = page;
  return (
    <Layout
      page={page}
      title={m.navOverview}
      current="overview"
      problem={problem}
      scripts={["uplot.js", "charts.js", "live.js"]}
      styles={["uplot.css"]}
    >
      <div class="head">
        <h1>{m.navOverview}</h1>
        <RangeChoice page={page} stats={stats} custom={custom} path="/admin" />
      </div>
      <div
        id="figures"
        hx-get={`/admin${custom === null ? `?range=${stats.range}` : queryText(custom)}`}
        hx-trigger={`${REFRESH[stats.range]}, oar:back from:body`}
        hx-select="#figures"
        hx-swap="outerHTML"
      >
        <Verdict page={page} stats={stats} upstreams={upstreams} />
        <RefusedRequests page={page} refused={refused} />
        <Tiles page={page} stats={stats} inFlight={live.length} />
        <Plots page={page} stats={stats}>
          <UpstreamShare page={page} stats={stats} />
        </Plots>
        <Figures page={page} stats={stats} />
        <UsageSections page={page} usage={usage} />
        <UpstreamCards page={page} stats={stats} upstreams={upstreams} />
      </div>
      <section class="card" aria-labelledby="in-flight-title">
        <div class="head">
          <h2 id="in-flight-title">{m.inFlightTitle}</h2>
          <a href="/admin/live">{m.navLive}</a>
        </div>
        <InFlightList page={page} requests={live} waiting={waiting} />
      </section>
    </Layout>
  );
}

function Tiles({ page, stats, inFlight }: {
  page: PageContext;
  stats: Stats;
  inFlight: number;
}): JSX.Element {
  const { m, format } = page;
  const { total } = stats;
  const seconds = (stats.toMs - stats.fromMs) / 1000;
  const errorRate = total.requests === 0 ? null : total.errors / total.requests;
  const within = spanQuery(stats);
  return (
    <dl class="tiles">
      <Tile label={m.tileRequests} value={format.short(total.requests)} href={recordsPath(within)}>
        {rateText(page, total.requests / seconds)}
      </Tile>
      <Tile
        label={m.tileErrors}
        value={format.percent(errorRate)}
        isBad={total.errors > 0}
        href={recordsPath({ ...within, failed: "yes" })}
      >
        {m.errorsOf(format.short(total.errors))}
      </Tile>
      <Tile
        label={m.tileLatency}
        value={format.duration(total.p50Ms)}
        href={total.p95Ms === null
          ? undefined
          : recordsPath({ ...within, slowerThan: `${Math.floor(total.p95Ms)}ms` })}
      >
        {m.p95(format.duration(total.p95Ms))}
      </Tile>
      <Tile label={m.tileFirstToken} value={format.duration(total.firstTokenP50Ms)}>
        {m.p95(format.duration(total.firstTokenP95Ms))}
      </Tile>
      <Tile label={m.tileTokens} value={format.short(total.inputTokens + total.outputTokens)}>
        {m.tokensInOut(format.short(total.inputTokens), format.short(total.outputTokens))}
        <EstimatedTokens page={page} count={total.estimatedTokens} />
      </Tile>
      <Tile label={m.cost} value={costText(page, total)} href="/admin/costs">
        {total.unpriced === 0 ? m.costAllPriced : m.costUnpriced(format.short(total.unpriced))}
      </Tile>
      <Tile label={m.tileInFlight} value={String(inFlight)} slot="in-flight-count" href="/admin/live">
        {m.inFlightHint}
      </Tile>
    </dl>
  );
}

/** In the smallest unit of time in which the rate is not a tiny fraction. */
function rateText({ m, format }: PageContext, perSecond: number): string {
  if (perSecond >= 0.1) return m.perSecond(format.rate(perSecond));
  return perSecond * 60 >= 0.1
    ? m.perMinute(format.rate(perSecond * 60))
    : m.perHour(format.rate(perSecond * 3_600));
}

function Tile({ label, value, isBad, slot, href, children }: {
  label: string;
  value: string;
  isBad?: boolean;
  /** Kept up to date by the script. */
  slot?: string;
  /** The records behind the number. */
  href?: string | undefined;
  children: Child;
}): JSX.Element {
  const className = isBad ? "tile-value bad" : "tile-value";
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>
        {href === undefined
          ? <span class={className} data-slot={slot}>{value}</span>
          : <a class={className} href={href} data-slot={slot}>{value}</a>}
        <span class="tile-note">{children}</span>
      </dd>
    </div>
  );
}

function UpstreamCards({ page, stats, upstreams }: {
  page: PageContext;
  stats: Stats;
  upstreams: readonly UpstreamView[];
}): JSX.Element | null {
  const { m } = page;
  if (upstreams.length === 0) return null;
  return (
    <section aria-labelledby="upstreams-title">
      <div class="head">
        <h2 id="upstreams-title">{m.upstreamCards}</h2>
        <a href="/admin/upstreams">{m.manage}</a>
      </div>
      <ul class="cards">
        {upstreams.map((upstream) => <UpstreamCard page={page} stats={stats} upstream={upstream} />)}
      </ul>
    </section>
  );
}

function UpstreamCard({ page, stats, upstream }: {
  page: PageContext;
  stats: Stats;
  upstream: UpstreamView;
}): JSX.Element {
  const { openUntilMs, problem, reason } = upstream;
  return (
    <li class="card upstream-card">
      <div class="upstream-card-head">
        <a class="strong" href={`/admin/upstreams#upstream-${upstream.id}`}>
          <Recorded text={upstream.name} />
        </a>
        <StateChip page={page} upstream={upstream} shares={stats.upstreams} />
      </div>
      <p class="muted mono ellipsis">
        <Recorded text={upstream.endpoint} />
      </p>
      {problem === null ? null : (
        <p class="bad">
          <Recorded text={problem} />
        </p>
      )}
      {openUntilMs === null ? null : (
        <p>
          {reason === null ? null : (
            <>
              <Recorded text={reason} />
              {" · "}
            </>
          )}
          <Countdown page={page} untilMs={openUntilMs} />
        </p>
      )}
      <UpstreamFigures page={page} stats={stats} upstream={upstream} />
    </li>
  );
}
