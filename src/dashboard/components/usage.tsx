/**
 * Requests by model, by client and by upstream: plots and a table each, and every number leads to its records.
 *
 * Names are text of clients: they are cut, made harmless and isolated. What has no name of its own is not linked.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { UsageReport, UsageTable } from "../../control/admin_service.ts";
import { NANO_PER_USD } from "../../core/money.ts";
import { cutText } from "../../core/cut_text.ts";
import type { PageContext } from "../page_context.ts";
import { type RecordQuery, recordsPath } from "../record_query.ts";
import { spanQuery } from "../stats_span.ts";
import { Cost, EstimatedTokens } from "./cost.tsx";
import { Moment, Recorded } from "./parts.tsx";
import { type Plot, PlotFigure, rateUnit, type Series } from "./plots.tsx";

/** Lines of one plot, besides the others. */
const COLOURS = ["accent", "second", "info", "fourth", "fifth"] as const;
const MAX_SHOWN_NAME = 80;
const MAX_LABEL = 24;

export type Dimension = "model" | "client" | "upstream";
type Report = Pick<UsageReport, "models" | "clients" | "upstreams" | "steps">;
/** `upstreamId` is there if it is a row of upstreams. */
export type Row = UsageTable["rows"][number] & { readonly upstreamId?: number | null };

export function UsageSections({ page, usage }: { page: PageContext; usage: UsageReport }): JSX.Element {
  return (
    <>
      <UsageSection page={page} usage={usage} dimension="model" />
      <UsageSection page={page} usage={usage} dimension="client" />
      <UsageSection page={page} usage={usage} dimension="upstream" />
    </>
  );
}

interface SectionProps {
  readonly page: PageContext;
  readonly usage: UsageReport;
  readonly dimension: Dimension;
}

function UsageSection({ page, usage, dimension }: SectionProps): JSX.Element {
  const { m } = page;
  const table = tableOf(usage, dimension);
  const id = `usage-${dimension}`;
  return (
    <section class="usage" aria-labelledby={id}>
      <div class="head">
        <h2 id={id}>{titleOf(m, dimension)}</h2>
        {usage.range === "custom"
          ? (
            <span class="muted">
              <Moment page={page} atMs={usage.fromMs} /> – <Moment page={page} atMs={usage.toMs} />
            </span>
          )
          : null}
      </div>
      {usage.sinceMs === null ? null : (
        <p class="muted">
          {m.usageSince} <Moment page={page} atMs={usage.sinceMs} />
        </p>
      )}
      {table.rows.length === 0 && table.others === null ? <p class="muted">{m.usageNone}</p> : (
        <>
          <UsagePlots page={page} usage={usage} dimension={dimension} />
          <UsageFigures page={page} usage={usage} dimension={dimension} />
        </>
      )}
    </section>
  );
}

export function titleOf(m: PageContext["m"], dimension: Dimension): string {
  return { model: m.usageByModel, client: m.usageByClient, upstream: m.costByUpstream }[dimension];
}

/** Of its column. */
export function headOf(m: PageContext["m"], dimension: Dimension): string {
  return { model: m.usageModel, client: m.usageClient, upstream: m.costUpstream }[dimension];
}

export function tableOf(
  { models, clients, upstreams }: Report,
  dimension: Dimension,
): { readonly rows: readonly Row[]; readonly others: UsageTable["others"] } {
  return { model: models, client: clients, upstream: upstreams }[dimension];
}

function UsagePlots({ page, usage, dimension }: SectionProps): JSX.Element {
  const { m } = page;
  const { stepMs, steps } = usage;
  const { title, unitMs } = rateUnit(stepMs);
  const perUnit = (count: number) => count / (stepMs / unitMs);
  const perMinute = (count: number) => count / (stepMs / 60_000);
  const usdPerHour = (nano: number) => nano / NANO_PER_USD / (stepMs / 3_600_000);
  const by = titleOf(m, dimension);
  const { rows, others } = tableOf(usage, dimension);
  const hasCosts = [...rows, ...(others === null ? [] : [others])].some(({ costNano }) => costNano > 0);
  const plots: readonly Plot[] = [
    {
      title: `${m[title]} · ${by}`,
      unit: "rate",
      series: linesOf({ page, usage, dimension }, ({ requests }) => requests.map(perUnit)),
    },
    {
      title: `${m.usagePlotTokens} · ${by}`,
      unit: "count",
      series: linesOf({ page, usage, dimension }, ({ tokens }) => tokens.map(perMinute)),
    },
    ...(hasCosts
      ? [{
        title: `${m.costPlotHour} · ${by}`,
        unit: "money" as const,
        series: linesOf({ page, usage, dimension }, ({ costNano }) => costNano.map(usdPerHour)),
      }]
      : []),
  ];
  return (
    <div
      class="plots usage-plots"
      data-plot-times={JSON.stringify(steps.map((atMs) => atMs / 1000))}
      data-plot-step={stepMs / 1000}
    >
      {plots.map((plot) => <PlotFigure page={page} plot={plot} />)}
    </div>
  );
}

/** Those with rows of their own first, at most five; all others are one line. */
export function linesOf(
  { page: { m }, usage, dimension }: {
    readonly page: PageContext;
    readonly usage: Report;
    readonly dimension: Dimension;
  },
  valuesOf: (series: Row["series"]) => number[],
): Series[] {
  const { rows, others } = tableOf(usage, dimension);
  const lines = rows.slice(0, COLOURS.length).map((row, index): Series => ({
    label: cutText(nameOf(row, { m, dimension }), MAX_LABEL),
    colour: COLOURS[index] ?? "accent",
    values: valuesOf(row.series),
  }));
  const more = [...rows.slice(COLOURS.length), ...(others === null ? [] : [others])];
  if (more.length === 0) return lines;
  const sums = usage.steps.map(() => 0);
  for (const { series } of more) {
    valuesOf(series).forEach((value, step) => sums[step] = (sums[step] ?? 0) + value);
  }
  return [...lines, { label: m.usageOthers, colour: "ink-soft", values: sums }];
}

export function nameOf(
  { name }: Row,
  { m, dimension }: { readonly m: PageContext["m"]; readonly dimension: Dimension },
): string {
  return name ?? { model: m.usageNoModel, client: m.usageNoClient, upstream: m.costNoUpstream }[dimension];
}

/** The records of a row; null: there is no filter for them. */
export function rowQuery(
  { name, upstreamId }: Row,
  { dimension, within }: { readonly dimension: Dimension; readonly within: Partial<RecordQuery> },
): Partial<RecordQuery> | null {
  if (dimension === "upstream") {
    return upstreamId === null || upstreamId === undefined
      ? null
      : { ...within, upstream: String(upstreamId) };
  }
  return { ...within, ...(name === null ? { without: dimension } : { [dimension]: name }) };
}

function UsageFigures({ page, usage, dimension }: SectionProps): JSX.Element {
  const { m } = page;
  const { rows, others } = tableOf(usage, dimension);
  const hasCached = [...rows, ...(others === null ? [] : [others])].some((row) => row.cachedTokens > 0);
  const title = headOf(m, dimension);
  return (
    <div class="card scroll usage-figures" tabindex={0} role="region" aria-labelledby={`usage-${dimension}`}>
      <table class="plain usage-table">
        <thead>
          <tr>
            <th scope="col">{title}</th>
            <th scope="col" class="number">{m.tileRequests}</th>
            <th scope="col" class="number">{m.usageErrors}</th>
            <th scope="col" class="number">{m.usageInput}</th>
            {hasCached ? <th scope="col" class="number">{m.usageCached}</th> : null}
            <th scope="col" class="number">{m.usageOutput}</th>
            <th scope="col" class="number">{m.cost}</th>
            <th scope="col" class="number">{m.usageP95}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <UsageRow
              page={page}
              name={nameOf(row, { m, dimension })}
              figures={row}
              hasCached={hasCached}
              query={rowQuery(row, { dimension, within: spanQuery(usage) })}
            />
          ))}
          {others === null ? null : (
            <UsageRow
              page={page}
              name={m.usageOthers}
              figures={others}
              hasCached={hasCached}
              query={null}
            />
          )}
        </tbody>
      </table>
    </div>
  );
}

/** With its share of the input, which says what caches save. */
function cachedText(
  { format, m }: PageContext,
  { cachedTokens, inputTokens }: Pick<Row, "cachedTokens" | "inputTokens">,
): string {
  const count = format.short(cachedTokens);
  if (inputTokens === 0 || cachedTokens > inputTokens) return count;
  return `${count} ${m.usageCachedShare(Math.round(cachedTokens / inputTokens * 100))}`;
}

function UsageRow({ page, name, figures, hasCached, query }: {
  page: PageContext;
  name: string;
  figures: Omit<Row, "name">;
  hasCached: boolean;
  /** null: there is no filter for them. */
  query: Partial<RecordQuery> | null;
}): JSX.Element {
  const { format } = page;
  const { requests, errors, inputTokens, cachedTokens, outputTokens, estimatedTokens, p95Ms } = figures;
  const number = (text: string, changes: Partial<RecordQuery> = {}, more: Child = null) => (
    <td class="number">
      {query === null ? text : <a href={recordsPath({ ...query, ...changes })}>{text}</a>}
      {more}
    </td>
  );
  return (
    <tr>
      <th scope="row" class={query === null ? "muted" : undefined}>
        <Recorded text={cutText(name, MAX_SHOWN_NAME)} />
      </th>
      {number(format.count(requests))}
      {errors === 0
        ? <td class="number">{format.count(0)}</td>
        : number(format.count(errors), { failed: "yes" })}
      {number(format.short(inputTokens))}
      {hasCached ? number(cachedText(page, { cachedTokens, inputTokens })) : null}
      {number(format.short(outputTokens), {}, <EstimatedTokens page={page} count={estimatedTokens} />)}
      <td class="number">
        <Cost page={page} figures={figures} />
      </td>
      {p95Ms === null
        ? <td class="number">{format.duration(null)}</td>
        : number(format.duration(p95Ms), { slowerThan: `${Math.floor(p95Ms)}ms` })}
    </tr>
  );
}
