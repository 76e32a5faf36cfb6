/**
 * One token: what it may do, what it has spent of its budget, what it cost by day, and its latest requests.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { CostReport, RecordSummary, TokenSpending, TokenView } from "../../../control/admin_service.ts";
import { NANO_PER_USD } from "../../../core/money.ts";
import { costText, EstimatedTokens } from "../../components/cost.tsx";
import { Layout } from "../../components/layout.tsx";
import { Moment, Notice, OutcomeChip, Recorded } from "../../components/parts.tsx";
import { PlotFigure } from "../../components/plots.tsx";
import { daysQuery } from "../../cost_span.ts";
import type { PageContext } from "../../page_context.ts";
import { recordsPath } from "../../record_query.ts";
import { tokenKey } from "../../token_form.ts";
import { rulesText } from "../../token_rules_text.ts";

export interface TokenPageProps {
  readonly page: PageContext;
  readonly token: TokenView;
  /** null: it is not noted. */
  readonly spending: TokenSpending | null;
  /** Of the last days. */
  readonly costs: CostReport;
  /** The latest of its name. */
  readonly records: readonly RecordSummary[];
}

export function TokenPage({ page, token, spending, costs, records }: TokenPageProps): JSX.Element {
  const { m } = page;
  return (
    <Layout
      page={page}
      title={m.editToken(token.name)}
      current="tokens"
      scripts={["uplot.js", "charts.js"]}
      styles={["uplot.css"]}
    >
      <div class="head">
        <div>
          <h1>
            <Recorded text={m.editToken(token.name)} />
          </h1>
          <p class="muted">
            {m.tokenMay}: <Recorded text={rulesText(m, token)} />
          </p>
        </div>
        <a class="button" href={`/admin/tokens/edit?which=${encodeURIComponent(tokenKey(token))}`}>
          {m.edit}
        </a>
      </div>
      {token.problem === null ? null : (
        <Notice tone="bad">
          {m.tokenRefused} <Recorded text={token.problem} />
        </Notice>
      )}
      {spending === null ? null : <BudgetCard page={page} spending={spending} />}
      <Figures page={page} token={token} costs={costs} />
      <DailyCosts page={page} token={token} costs={costs} />
      <Latest page={page} token={token} records={records} />
    </Layout>
  );
}

function BudgetCard({ page, spending }: { page: PageContext; spending: TokenSpending }): JSX.Element {
  const { m, format } = page;
  const { period, fromDay, budgetNano, spentNano, estimatedNano, overshootNano } = spending;
  const since = fromDay === null ? null : m.budgetSince(fromDay);
  const notes = [
    ...(since === null ? [] : [since]),
    ...(estimatedNano > 0 ? [m.budgetEstimated(format.usd(estimatedNano))] : []),
    ...(overshootNano > 0 ? [m.budgetOver(format.usd(overshootNano))] : []),
  ];
  return (
    <section class="card" aria-labelledby="budget-title">
      <h2 id="budget-title">{m.budgetTitle}</h2>
      {budgetNano === null ? <p>{m.budgetNone}</p> : (
        <>
          <p class="strong">
            {m.budgetSpent(format.usd(spentNano), format.usd(budgetNano))} ({m.budgetPeriods[period]})
          </p>
          <BudgetBar spentNano={spentNano} budgetNano={budgetNano} />
        </>
      )}
      <p class="muted">
        {budgetNano === null ? `${format.usd(spentNano)} · ` : ""}
        {notes.join(" · ")}
      </p>
    </section>
  );
}

/** The text beside it says the same. */
function BudgetBar({ spentNano, budgetNano }: { spentNano: number; budgetNano: number }): JSX.Element {
  const fraction = budgetNano === 0 ? 1 : Math.min(1, Math.max(0, spentNano / budgetNano));
  return (
    <svg class="bar budget-bar" width="100%" height="10" aria-hidden="true">
      <rect class="bar-track" width="100%" height="10" rx="5" />
      <rect
        class={spentNano >= budgetNano ? "bar-fill bar-over" : "bar-fill"}
        width={`${(fraction * 100).toFixed(2)}%`}
        height="10"
        rx="5"
      />
    </svg>
  );
}

interface CostsProps {
  readonly page: PageContext;
  readonly token: TokenView;
  readonly costs: CostReport;
}

/** null: it has cost nothing, or less than many others. */
function rowOf({ token, costs }: CostsProps): CostReport["clients"]["rows"][number] | null {
  return costs.clients.rows.find(({ name }) => name === token.name) ?? null;
}

function Figures(props: CostsProps): JSX.Element {
  const { page, token, costs } = props;
  const { m, format } = page;
  const row = rowOf(props);
  return (
    <dl class="tiles cost-tiles">
      <div class="tile">
        <dt>{m.tokenSpentMonth}</dt>
        <dd>
          <a class="tile-value" href={recordsPath({ client: token.name, ...daysQuery(costs) })}>
            {costText(page, row ?? { costNano: 0, unpriced: 0 })}
          </a>
          <span class="tile-note">
            {row === null || row.unpriced === 0 ? null : m.costUnpriced(format.short(row.unpriced))}
          </span>
        </dd>
      </div>
      <div class="tile">
        <dt>{m.tileRequests}</dt>
        <dd>
          <a class="tile-value" href={recordsPath({ client: token.name })}>{format.short(token.requests)}</a>
          <span class="tile-note">{m.errorsOf(format.short(token.errors))}</span>
        </dd>
      </div>
      <div class="tile">
        <dt>{m.tokenSpent}</dt>
        <dd>
          <span class="tile-value">{format.short(token.inputTokens + token.outputTokens)}</span>
          <span class="tile-note">
            {m.tokensInOut(format.short(token.inputTokens), format.short(token.outputTokens))}
            <EstimatedTokens page={page} count={token.estimatedTokens} />
          </span>
        </dd>
      </div>
    </dl>
  );
}

function DailyCosts(props: CostsProps): JSX.Element | null {
  const { page: { m }, page, costs } = props;
  const row = rowOf(props);
  if (row === null || row.costNano === 0) return null;
  const values = row.series.costNano.map((nano) => nano / NANO_PER_USD);
  return (
    <div
      class="plots cost-plots"
      data-plot-times={JSON.stringify(costs.steps.map((atMs) => atMs / 1000))}
      data-plot-step={costs.stepMs / 1000}
    >
      <PlotFigure
        page={page}
        plot={{
          title: m.costPlotDay,
          unit: "money",
          series: [{ label: m.cost, colour: "accent", values }],
          query: new URLSearchParams({ client: row.name ?? "" }).toString(),
        }}
        isMain
      />
    </div>
  );
}

function Latest({ page, token, records }: Pick<TokenPageProps, "page" | "token" | "records">): JSX.Element {
  const { m, format } = page;
  return (
    <section class="usage" aria-labelledby="latest-title">
      <div class="head">
        <h2 id="latest-title">{m.tokenLatest}</h2>
        <a href={recordsPath({ client: token.name })}>{m.tokenRecords}</a>
      </div>
      {records.length === 0
        ? <p class="muted">{m.tokenNoRecords}</p>
        : (
          <div class="card scroll usage-figures" tabindex={0} role="region" aria-labelledby="latest-title">
            <table class="plain usage-table">
              <thead>
                <tr>
                  <th scope="col">{m.figuresTime}</th>
                  <th scope="col">{m.usageModel}</th>
                  <th scope="col">{m.filterOutcome}</th>
                  <th scope="col">{m.costUpstream}</th>
                  <th scope="col" class="number">{m.usageInput}</th>
                  <th scope="col" class="number">{m.usageOutput}</th>
                </tr>
              </thead>
              <tbody>
                {records.map((record) => (
                  <tr>
                    <th scope="row">
                      <a href={`/admin/records/${record.id}`}>
                        <Moment page={page} atMs={record.createdAtMs} />
                      </a>
                    </th>
                    <td>
                      <Recorded text={record.model ?? "–"} />
                    </td>
                    <td>
                      <OutcomeChip page={page} status={record.status} outcome={record.outcome} />
                    </td>
                    <td>
                      <Recorded text={record.upstreamName ?? "–"} />
                    </td>
                    <td class="number">{format.short(record.usage.inputTokens)}</td>
                    <td class="number">{format.short(record.usage.outputTokens)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  );
}
