/**
 * The statistics as places for plots, and the same figures as a table.
 *
 * The script draws on the canvas; the table is for users without a script or who cannot see it.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Stats, StatsRange } from "../../control/admin_service.ts";
import type { Messages } from "../messages/en.ts";
import type { PageContext } from "../page_context.ts";
import { Moment, Recorded } from "./parts.tsx";

type Unit = "rate" | "percent" | "duration" | "count";

/** One line of a plot; one value for each step, in order. */
interface Series {
  readonly label: string;
  /** Name of a colour in the style sheet. */
  readonly colour: "accent" | "bad" | "second";
  readonly values: readonly (number | null)[];
}

interface Plot {
  readonly title: string;
  readonly unit: Unit;
  readonly series: readonly Series[];
}

/** `children` fill the last cell of the grid. */
export function Plots({ page, stats, children }: {
  page: PageContext;
  stats: Stats;
  children: Child;
}): JSX.Element {
  const plots = plotsOf(page, stats);
  const times = stats.points.map(({ atMs }) => atMs / 1000);
  return (
    <div class="plots" data-plot-times={JSON.stringify(times)}>
      {plots.map(({ title, unit, series }) => (
        <figure class="card plot">
          <figcaption>
            <h2>{title}</h2>
            <span class="legend">
              {series.length < 2
                ? null
                : series.map(({ label, colour }) => (
                  <span class={`legend-item legend-${colour}`}>{label}</span>
                ))}
            </span>
          </figcaption>
          <div class="plot-area" data-plot={JSON.stringify({ unit, series })} aria-hidden="true"></div>
          <noscript>
            <p class="muted">{page.m.plotsNeedScript}</p>
          </noscript>
        </figure>
      ))}
      {children}
    </div>
  );
}

/** The unit of request rates: per second says little over a month. */
const RATE_UNITS = {
  "15m": { title: "plotRequestsPerSecond", unitMs: 1_000 },
  "24h": { title: "plotRequestsPerMinute", unitMs: 60_000 },
  "30d": { title: "plotRequestsPerHour", unitMs: 3_600_000 },
} as const satisfies Record<StatsRange, { title: keyof Messages; unitMs: number }>;

function plotsOf({ m }: PageContext, { range, points, stepMs }: Stats): Plot[] {
  const { title, unitMs } = RATE_UNITS[range];
  const perUnit = (count: number) => count / (stepMs / unitMs);
  const perMinute = (count: number) => count / (stepMs / 60_000);
  return [
    {
      title: m[title],
      unit: "rate",
      series: [
        { label: m.seriesRequests, colour: "accent", values: points.map((each) => perUnit(each.requests)) },
        { label: m.seriesErrors, colour: "bad", values: points.map((each) => perUnit(each.errors)) },
      ],
    },
    {
      title: m.plotErrors,
      unit: "percent",
      series: [{
        label: m.seriesErrors,
        colour: "bad",
        values: points.map(({ errors, requests }) => requests === 0 ? null : errors / requests),
      }],
    },
    {
      title: m.plotLatency,
      unit: "duration",
      series: [
        { label: m.seriesMedian, colour: "accent", values: points.map(({ p50Ms }) => p50Ms) },
        { label: m.seriesP95, colour: "second", values: points.map(({ p95Ms }) => p95Ms) },
      ],
    },
    {
      title: m.plotFirstToken,
      unit: "duration",
      series: [
        { label: m.seriesMedian, colour: "accent", values: points.map((each) => each.firstTokenP50Ms) },
        { label: m.seriesP95, colour: "second", values: points.map((each) => each.firstTokenP95Ms) },
      ],
    },
    {
      title: m.plotTokens,
      unit: "count",
      series: [
        { label: m.seriesInput, colour: "second", values: points.map((each) => perMinute(each.inputTokens)) },
        {
          label: m.seriesOutput,
          colour: "accent",
          values: points.map((each) => perMinute(each.outputTokens)),
        },
      ],
    },
  ];
}

/** Steps in which something happened, newest first. */
export function Figures({ page, stats }: { page: PageContext; stats: Stats }): JSX.Element {
  const { m, format } = page;
  const points = stats.points.filter(({ requests }) => requests > 0).toReversed();
  return (
    <details class="figures">
      <summary>{m.figures}</summary>
      <div class="scroll" tabindex={0} role="region" aria-label={m.figures}>
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">{m.figuresTime}</th>
              <th scope="col" class="number">{m.tileRequests}</th>
              <th scope="col" class="number">{m.seriesErrors}</th>
              <th scope="col" class="number">{m.tileLatency}</th>
              <th scope="col" class="number">{m.seriesP95}</th>
              <th scope="col" class="number">{m.tileFirstToken}</th>
              <th scope="col" class="number">{m.tileTokens}</th>
            </tr>
          </thead>
          <tbody>
            {points.map((point) => (
              <tr>
                <td>
                  <Moment atMs={point.atMs} />
                </td>
                <td class="number">{format.count(point.requests)}</td>
                <td class="number">{format.count(point.errors)}</td>
                <td class="number">{format.duration(point.p50Ms)}</td>
                <td class="number">{format.duration(point.p95Ms)}</td>
                <td class="number">{format.duration(point.firstTokenP50Ms)}</td>
                <td class="number">{format.short(point.inputTokens + point.outputTokens)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** How many requests each upstream answered, as bars. */
export function UpstreamShare({ page, stats }: { page: PageContext; stats: Stats }): JSX.Element {
  const { m, format } = page;
  const answered = stats.upstreams.reduce((sum, { requests }) => sum + requests, 0);
  return (
    <section class="card share" aria-labelledby="share-title">
      <h2 id="share-title">{m.plotShare}</h2>
      {stats.upstreams.length === 0 ? <p class="muted">{m.shareNone}</p> : null}
      <ul>
        {stats.upstreams.map(({ name, requests, failures }) => {
          const fraction = answered === 0 ? 0 : requests / answered;
          return (
            <li>
              <span class="share-name">
                <Recorded text={name} />
              </span>
              <svg class="bar" width="100%" height="10" aria-hidden="true">
                <rect class="bar-track" width="100%" height="10" rx="5" />
                <rect class="bar-fill" width={`${(fraction * 100).toFixed(2)}%`} height="10" rx="5" />
              </svg>
              <span class="share-text">
                {m.shareAnswers(format.short(requests), format.percent(fraction))}
                {failures === 0 ? null : <span class="bad">{m.shareFailures(format.short(failures))}</span>}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
