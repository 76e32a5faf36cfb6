/**
 * Who spent what: costs by client, model, upstream and day, for a choice of days.
 *
 * Names are text of clients: they are cut, made harmless and isolated.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { CostReport } from "../../control/admin_service.ts";
import { COST_RANGES } from "../../control/cost_spans.ts";
import { type CostFigures, type CostKind, costRows, costTotal } from "../../control/cost_table.ts";
import { DAY_MS } from "../../core/units.ts";
import { cutText } from "../../core/cut_text.ts";
import { NANO_PER_USD } from "../../core/money.ts";
import { Cost, costText, EstimatedTokens } from "../components/cost.tsx";
import { Layout } from "../components/layout.tsx";
import { Moment, Recorded } from "../components/parts.tsx";
import { PlotFigure } from "../components/plots.tsx";
import { type Dimension, headOf, linesOf, nameOf, rowQuery, tableOf, titleOf } from "../components/usage.tsx";
import { costSpanQuery, daysQuery, type ReadCostSpan, utcDay } from "../cost_span.ts";
import type { PageContext } from "../page_context.ts";
import { recordsPath } from "../record_query.ts";
import { stepQuery } from "../stats_span.ts";

const MAX_SHOWN_NAME = 80;

export interface CostsProps {
  readonly page: PageContext;
  readonly costs: CostReport;
  readonly custom: ReadCostSpan["custom"];
  /** Why what was typed is not shown. */
  readonly problem: string | null;
}

export function Costs({ page, costs, custom, problem }: CostsProps): JSX.Element {
  const { m } = page;
  const total = costTotal(costs);
  return (
    <Layout
      page={page}
      title={m.navCosts}
      current="costs"
      problem={problem}
      scripts={["uplot.js", "charts.js"]}
      styles={["uplot.css"]}
    >
      <div class="head">
        <div>
          <h1>{m.navCosts}</h1>
          <p class="muted">{m.costsIntro}</p>
        </div>
        <DayChoice page={page} costs={costs} custom={custom} />
      </div>
      <Totals page={page} costs={costs} total={total} />
      {costs.sinceMs === null ? null : (
        <p class="muted">
          {m.usageSince} <Moment page={page} atMs={costs.sinceMs} />
        </p>
      )}
      {total.requests === 0 ? <p class="muted">{m.costNone}</p> : (
        <>
          <CostSection page={page} costs={costs} total={total} dimension="client" />
          <CostSection page={page} costs={costs} total={total} dimension="model" />
          <CostSection page={page} costs={costs} total={total} dimension="upstream" />
          <DaySection page={page} costs={costs} />
        </>
      )}
    </Layout>
  );
}

function DayChoice(
  { page: { m }, costs, custom }: Pick<CostsProps, "page" | "costs" | "custom">,
): JSX.Element {
  return (
    <div class="ranges cost-ranges">
      <nav class="segments" aria-label={m.range}>
        {COST_RANGES.map((range) => (
          <a href={`/admin/costs?range=${range}`} aria-current={range === costs.range ? "true" : undefined}>
            {m.costRanges[range]}
          </a>
        ))}
      </nav>
      <details class="custom-range" open={custom !== null}>
        <summary>{m.rangeCustom}</summary>
        <form method="get" action="/admin/costs">
          <label>
            {m.filterSince}
            <input type="date" name="since" value={custom?.since || utcDay(costs.fromMs)} required />
          </label>
          <label>
            {m.filterUntil}
            <input type="date" name="until" value={custom?.until || utcDay(costs.toMs - 1)} />
          </label>
          <button type="submit" class="button button-small">{m.show}</button>
          <span class="hint">{m.timesIn} UTC</span>
        </form>
      </details>
    </div>
  );
}

interface TotalProps {
  readonly page: PageContext;
  readonly costs: CostReport;
  readonly total: CostFigures;
}

function Totals({ page, costs, total }: TotalProps): JSX.Element {
  const { m, format } = page;
  const [input, output] = [total.inputTokens ?? 0, total.outputTokens ?? 0];
  return (
    <dl class="tiles cost-tiles">
      <div class="tile">
        <dt>{m.cost}</dt>
        <dd>
          <span class="tile-value">{costText(page, total)}</span>
          <span class="tile-note">
            {utcDay(costs.fromMs)} – {utcDay(costs.toMs - 1)}
          </span>
        </dd>
      </div>
      <div class="tile">
        <dt>{m.tileRequests}</dt>
        <dd>
          <a class="tile-value" href={recordsPath(daysQuery(costs))}>{format.short(total.requests)}</a>
          <span class="tile-note">
            {total.unpriced === 0 ? null : m.costUnpriced(format.short(total.unpriced))}
          </span>
        </dd>
      </div>
      <div class="tile">
        <dt>{m.tileTokens}</dt>
        <dd>
          <span class="tile-value">{format.short(input + output)}</span>
          <span class="tile-note">
            {m.tokensInOut(format.short(input), format.short(output))}
            <EstimatedTokens page={page} count={total.estimatedTokens ?? 0} />
          </span>
        </dd>
      </div>
    </dl>
  );
}

function SectionHead(
  { page: { m }, costs, kind, title }: {
    page: PageContext;
    costs: CostReport;
    kind: CostKind;
    title: string;
  },
): JSX.Element {
  const query = new URLSearchParams({ by: kind, ...costSpanQuery(costs) });
  return (
    <div class="head">
      <h2 id={`costs-${kind}`}>{title}</h2>
      <a href={`/admin/api/costs/export?${query}`} aria-label={m.costCsvOf(title)}>{m.costCsv}</a>
    </div>
  );
}

function CostSection(
  { page, costs, total, dimension }: TotalProps & { readonly dimension: Dimension },
): JSX.Element {
  const { m } = page;
  const { rows, others } = tableOf(costs, dimension);
  const title = titleOf(m, dimension);
  const series = linesOf(
    { page, usage: costs, dimension },
    ({ costNano }) => costNano.map((nano) => nano / NANO_PER_USD),
  );
  return (
    <section class="usage" aria-labelledby={`costs-${dimension}`}>
      <SectionHead page={page} costs={costs} kind={dimension} title={title} />
      {dimension === "upstream" ? <p class="muted">{m.costUpstreamHint}</p> : null}
      {costs.steps.length < 2 || total.costNano === 0 ? null : (
        <div
          class="plots cost-plots"
          data-plot-times={JSON.stringify(costs.steps.map((atMs) => atMs / 1000))}
          data-plot-step={costs.stepMs / 1000}
        >
          <PlotFigure page={page} plot={{ title: `${m.costPlotDay} · ${title}`, unit: "money", series }} />
        </div>
      )}
      <CostTable page={page} kind={dimension} head={headOf(m, dimension)}>
        {rows.map((row) => (
          <CostRow
            page={page}
            name={nameOf(row, { m, dimension })}
            figures={row}
            total={total}
            href={hrefOf(rowQuery(row, { dimension, within: daysQuery(costs) }))}
          />
        ))}
        {others === null
          ? null
          : <CostRow page={page} name={m.usageOthers} figures={others} total={total} href={null} />}
      </CostTable>
    </section>
  );
}

function hrefOf(query: ReturnType<typeof rowQuery>): string | null {
  return query === null ? null : recordsPath(query);
}

/** Newest first, without the days on which nothing happened. */
function DaySection({ page, costs }: { page: PageContext; costs: CostReport }): JSX.Element {
  const { m } = page;
  const total = costTotal(costs);
  const days = costRows(costs, "day").map((row, index) => ({ row, atMs: costs.steps[index] ?? 0 }))
    .filter(({ row }) => row.requests > 0 || row.costNano > 0);
  return (
    <section class="usage" aria-labelledby="costs-day">
      <SectionHead page={page} costs={costs} kind="day" title={m.costByDay} />
      <CostTable page={page} kind="day" head={m.costDay}>
        {days.toReversed().map(({ row, atMs }) => (
          <CostRow
            page={page}
            name={row.name ?? ""}
            figures={row}
            total={total}
            href={recordsPath(stepQuery(atMs, DAY_MS))}
          />
        ))}
      </CostTable>
    </section>
  );
}

function CostTable({ page: { m }, kind, head, children }: {
  page: PageContext;
  kind: CostKind;
  head: string;
  children: Child;
}): JSX.Element {
  return (
    <div class="card scroll usage-figures" tabindex={0} role="region" aria-labelledby={`costs-${kind}`}>
      <table class="plain usage-table cost-table">
        <thead>
          <tr>
            <th scope="col">{head}</th>
            <th scope="col" class="number">{m.cost}</th>
            <th scope="col" class="number">{m.costShare}</th>
            <th scope="col" class="number">{m.tileRequests}</th>
            {kind === "day" ? null : (
              <>
                <th scope="col" class="number">{m.usageInput}</th>
                <th scope="col" class="number">{m.usageOutput}</th>
              </>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

function CostRow({ page, name, figures, total, href }: {
  page: PageContext;
  name: string;
  figures: CostFigures;
  total: CostFigures;
  /** null: there is no filter for the records. */
  href: string | null;
}): JSX.Element {
  const { format } = page;
  const { costNano, requests, inputTokens, outputTokens, estimatedTokens } = figures;
  return (
    <tr>
      <th scope="row" class={href === null ? "muted" : undefined}>
        <Recorded text={cutText(name, MAX_SHOWN_NAME)} />
      </th>
      <td class="number">
        <Cost page={page} figures={figures} />
      </td>
      <td class="number">{format.percent(total.costNano === 0 ? null : costNano / total.costNano)}</td>
      <td class="number">
        {href === null ? format.count(requests) : <a href={href}>{format.count(requests)}</a>}
      </td>
      {inputTokens === null ? null : (
        <>
          <td class="number">{format.short(inputTokens)}</td>
          <td class="number">
            {format.short(outputTokens)}
            <EstimatedTokens page={page} count={estimatedTokens ?? 0} />
          </td>
        </>
      )}
    </tr>
  );
}
