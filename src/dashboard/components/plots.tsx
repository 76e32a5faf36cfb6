/**
 * The statistics as places for plots, and the same figures as a table.
 *
 * The script draws on the canvas; the table is for users without a script or who cannot see it.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Stats } from "../../control/admin_service.ts";
import type { Messages } from "../messages/en.ts";
import type { PageContext } from "../page_context.ts";
import { recordsPath } from "../record_query.ts";
import { spanQuery, stepQuery } from "../stats_span.ts";
import { Cost, EstimatedTokens } from "./cost.tsx";
import { Moment, Recorded } from "./parts.tsx";

type Unit = "rate" | "percent" | "duration" | "count" | "money";

/** One line of a plot; one value for each step, in order. */
export interface Series {
  readonly label: string;
  /** Name of a colour in the style sheet. */
  readonly colour: "accent" | "bad" | "second" | "info" | "fourth" | "fifth" | "ink-soft";
  readonly values: readonly (number | null)[];
}

export interface Plot {
  readonly title: string;
  readonly unit: Unit;
  readonly series: readonly Series[];
  /** Further conditions on the records that a click shows. */
  readonly query?: string;
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
    <div class="plots" data-plot-times={JSON.stringify(times)} data-plot-step={stats.stepMs / 1000}>
      {plots.map((plot) => <PlotFigure page={page} plot={plot} isMain />)}
      {children}
    </div>
  );
}

/** `isMain`: it is no part of a section. */
export function PlotFigure({ page, plot: { title, unit, series, query = "" }, isMain }: {
  page: PageContext;
  plot: Plot;
  isMain?: boolean;
}): JSX.Element {
  return (
    <figure class="card plot">
      <figcaption>
        {isMain ? <h2>{title}</h2> : <h3>{title}</h3>}
        <span class="legend">
          {series.length < 2
            ? null
            : series.map(({ label, colour }) => (
              <span class={`legend-item legend-${colour}`}>
                <Recorded text={label} />
              </span>
            ))}
        </span>
      </figcaption>
      <div
        class="plot-area"
        data-plot={JSON.stringify({ unit, series, query })}
        data-clipped={page.m.plotClipped}
        aria-hidden="true"
      >
      </div>
      <noscript>
        <p class="muted">{page.m.plotsNeedScript}</p>
      </noscript>
    </figure>
  );
}

/** The unit of request rates, by the length of a step: per second says little over a month. */
export function rateUnit(
  stepMs: number,
): { readonly title: keyof Messages & `plot${string}`; readonly unitMs: number } {
  if (stepMs < 60_000) return { title: "plotRequestsPerSecond", unitMs: 1_000 };
  return stepMs < 3_600_000
    ? { title: "plotRequestsPerMinute", unitMs: 60_000 }
    : { title: "plotRequestsPerHour", unitMs: 3_600_000 };
}

function plotsOf({ m }: PageContext, { points, stepMs }: Stats): Plot[] {
  const { title, unitMs } = rateUnit(stepMs);
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
      query: "failed=yes",
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
              <th scope="col" class="number">{m.cost}</th>
            </tr>
          </thead>
          <tbody>
            {points.map((point) => (
              <tr>
                <td>
                  <a href={recordsPath(stepQuery(point.atMs, stats.stepMs))}>
                    <Moment page={page} atMs={point.atMs} />
                  </a>
                </td>
                <td class="number">{format.count(point.requests)}</td>
                <td class="number">
                  {point.errors === 0
                    ? format.count(0)
                    : (
                      <a href={recordsPath({ ...stepQuery(point.atMs, stats.stepMs), failed: "yes" })}>
                        {format.count(point.errors)}
                      </a>
                    )}
                </td>
                <td class="number">{format.duration(point.p50Ms)}</td>
                <td class="number">{format.duration(point.p95Ms)}</td>
                <td class="number">{format.duration(point.firstTokenP50Ms)}</td>
                <td class="number">
                  {format.short(point.inputTokens + point.outputTokens)}
                  <EstimatedTokens page={page} count={point.estimatedTokens} />
                </td>
                <td class="number">
                  <Cost page={page} figures={point} />
                </td>
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
  const within = spanQuery(stats);
  const answered = stats.upstreams.reduce((sum, { requests }) => sum + requests, 0);
  return (
    <section class="card share" aria-labelledby="share-title">
      <h2 id="share-title">{m.plotShare}</h2>
      {stats.upstreams.length === 0 ? <p class="muted">{m.shareNone}</p> : null}
      <ul>
        {stats.upstreams.map(({ id, name, requests, failures }) => {
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
                <a href={recordsPath({ ...within, upstream: String(id) })}>
                  {m.shareAnswers(format.short(requests), format.percent(fraction))}
                </a>
                {failures === 0
                  ? null
                  : (
                    <a class="bad" href={recordsPath({ ...within, failedOn: String(id) })}>
                      {m.shareFailures(format.short(failures))}
                    </a>
                  )}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
