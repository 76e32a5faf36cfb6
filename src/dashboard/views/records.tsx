/**
 * The list of records: search, filters, and pages that are fetched as one scrolls.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { RecordPage, RecordSummary, TokenView, UpstreamView } from "../../control/admin_service.ts";
import { Icon } from "../components/icons.tsx";
import { Layout } from "../components/layout.tsx";
import {
  type Choice,
  Empty,
  Field,
  Moment,
  Notice,
  OutcomeChip,
  outcomeText,
  Recorded,
  Select,
} from "../components/parts.tsx";
import { firstRequest } from "../curl.ts";
import type { PageContext } from "../page_context.ts";
import {
  QUERY_NAMES,
  type QueryName,
  type ReadQuery,
  type RecordQuery,
  recordsPath,
} from "../record_query.ts";

export interface RecordsProps {
  readonly page: PageContext;
  readonly read: ReadQuery;
  readonly records: RecordPage;
  readonly upstreams: readonly UpstreamView[];
  readonly tokens: readonly TokenView[];
  /** Not the first page. */
  readonly isContinued: boolean;
}

export function Records(props: RecordsProps): JSX.Element {
  const { page, read, isContinued } = props;
  const { m } = page;
  return (
    <Layout page={page} title={m.recordsTitle} current="records" scripts={["records.js"]}>
      <div class="head">
        <h1>{m.recordsTitle}</h1>
        <p class="muted keys">
          <kbd>/</kbd> {m.keysHint} <kbd>j</kbd> <kbd>k</kbd> {m.keysMove} <kbd>Enter</kbd> {m.keysOpen}
        </p>
      </div>
      <FilterForm {...props} />
      <div id="list">
        {read.problems.map((problem) => (
          <Notice tone="bad">
            <Recorded text={problem} />
          </Notice>
        ))}
        <ActiveFilters {...props} />
        {isContinued
          ? (
            <p>
              <a href={recordsPath(read.query)}>{m.newest}</a>
            </p>
          )
          : null}
        <RecordList {...props} />
      </div>
    </Layout>
  );
}

/** The other statuses can be typed into the address; these are what one looks for. */
const STATUSES = ["2", "4", "5", "400", "401", "403", "404", "429", "499", "500", "502", "503", "504"];

function FilterForm({ page, read, upstreams, tokens }: RecordsProps): JSX.Element {
  const { m } = page;
  const { query } = read;
  const any: Choice = { value: "", text: m.any };
  const statuses = [
    ...STATUSES,
    ...(query.status === "" || STATUSES.includes(query.status) ? [] : [query.status]),
  ];
  const hasMore = QUERY_NAMES.some((name) => name !== "q" && query[name] !== "");
  return (
    <form
      class="filters"
      method="get"
      action="/admin/records"
      role="search"
      hx-get="/admin/records"
      hx-target="#list"
      hx-select="#list"
      hx-swap="outerHTML"
      hx-trigger="input changed delay:250ms from:#search, change from:find .more-filters, submit"
      hx-sync="this:replace"
    >
      <div class="search">
        <label for="search" class="visually-hidden">{m.searchLabel}</label>
        <Icon name="search" />
        <input
          id="search"
          type="search"
          name="q"
          value={query.q}
          placeholder={m.searchPlaceholder}
          autocomplete="off"
          spellcheck={false}
        />
        <button type="submit" class="button button-main">{m.search}</button>
      </div>
      <details class="more-filters" open={hasMore}>
        <summary>{m.filters}</summary>
        <div class="fields">
          <Field label={m.filterModel} name="model" value={query.model} placeholder={m.filterModelHint} />
          <Select
            label={m.filterUpstream}
            name="upstream"
            value={query.upstream}
            choices={[any, ...upstreams.map(({ id, name }) => ({ value: String(id), text: name }))]}
          />
          <Select
            label={m.filterStatus}
            name="status"
            value={query.status}
            choices={[
              any,
              ...statuses.map((value) => ({ value, text: value.length === 1 ? `${value}xx` : value })),
            ]}
          />
          <Select
            label={m.filterOutcome}
            name="outcome"
            value={query.outcome}
            choices={[any, ...Object.entries(m.outcomes).map(([value, text]) => ({ value, text }))]}
          />
          <Select
            label={m.filterClient}
            name="client"
            value={query.client}
            choices={[any, ...clientNames(tokens, query.client).map((name) => ({ value: name, text: name }))]}
          />
          <Field label={m.filterSince} name="since" value={query.since} placeholder={m.filterTimeHint} />
          <Field label={m.filterUntil} name="until" value={query.until} placeholder={m.filterTimeHint} />
        </div>
      </details>
    </form>
  );
}

/** The one that is filtered by is there even when its token was revoked. */
function clientNames(tokens: readonly TokenView[], wanted: string): string[] {
  const names = tokens.map(({ name }) => name);
  return wanted === "" || names.includes(wanted) ? names : [...names, wanted];
}

function ActiveFilters({ page, read, upstreams }: RecordsProps): JSX.Element | null {
  const { m } = page;
  const active = QUERY_NAMES.filter((name) => read.query[name] !== "");
  if (active.length === 0) return null;
  const labels: Readonly<Record<QueryName, string>> = {
    q: m.search,
    model: m.filterModel,
    upstream: m.filterUpstream,
    status: m.filterStatus,
    outcome: m.filterOutcome,
    client: m.filterClient,
    since: m.filterSince,
    until: m.filterUntil,
  };
  return (
    <ul class="active-filters">
      {active.map((name) => (
        <li>
          <a class="filter-chip" href={recordsPath(read.query, { [name]: "" })}>
            <span class="muted">{labels[name]}</span>{" "}
            <Recorded text={shownValue(name, { page, read, upstreams })} />
            <span class="visually-hidden">{m.removeFilter(labels[name])}</span>
            <Icon name="close" />
          </a>
        </li>
      ))}
      <li>
        <a href="/admin/records">{m.clearAll}</a>
      </li>
    </ul>
  );
}

function shownValue(
  name: QueryName,
  { page, read, upstreams }: Pick<RecordsProps, "page" | "read" | "upstreams">,
): string {
  const value = read.query[name];
  if (name === "upstream") return upstreams.find(({ id }) => String(id) === value)?.name ?? `#${value}`;
  if (name === "outcome") return outcomeText(page.m, value);
  return name === "status" && value.length === 1 ? `${value}xx` : value;
}

function RecordList(props: RecordsProps): JSX.Element {
  const { page, records, read, isContinued } = props;
  const { m } = page;
  // Older ones may match all the same: one page looks at so many records only.
  const isNone = records.records.length === 0 && records.nextBeforeId === null;
  if (isNone && !isContinued) return <NoRecords {...props} />;
  return (
    <table class="records">
      <thead>
        <tr>
          <th scope="col">{m.columnTime}</th>
          <th scope="col">{m.columnStatus}</th>
          <th scope="col">{m.columnModel}, {m.columnClient}</th>
          <th scope="col">{m.columnReply}</th>
          <th scope="col">{m.columnUpstream}</th>
          <th scope="col" class="number">{m.columnTook}, {m.columnTokens}</th>
        </tr>
      </thead>
      <tbody>
        {records.records.map((record) => <RecordRow page={page} record={record} />)}
        <OlderRow page={page} query={read.query} nextBeforeId={records.nextBeforeId} />
      </tbody>
    </table>
  );
}

export function RecordRow({ page, record }: { page: PageContext; record: RecordSummary }): JSX.Element {
  const { m, format } = page;
  const { usage } = record;
  const hasTokens = usage.inputTokens !== null || usage.outputTokens !== null;
  const attempts = record.attemptCount ?? 1;
  return (
    <tr class="record" data-record={record.id}>
      <td class="cell-time">
        <a class="row-link" href={`/admin/records/${record.id}`}>
          <Moment atMs={record.createdAtMs} />
        </a>
      </td>
      <td class="cell-status">
        <OutcomeChip page={page} status={record.status} outcome={record.outcome} />
      </td>
      <td class="cell-model">
        <span class="line">
          <Recorded text={record.model ?? "–"} />
        </span>
        <span class="line second">
          <Recorded text={record.client ?? ""} />
        </span>
      </td>
      <td class="cell-reply">
        <div class="reply-start" dir="auto">
          <ReplyStart record={record} />
        </div>
      </td>
      <td class="cell-upstream">
        <span class="line">
          <Recorded text={record.upstreamName ?? "–"} />
        </span>
        {attempts > 1 ? <span class="line second attempt-count">{m.attemptsCount(attempts)}</span> : null}
      </td>
      <td class="cell-took number">
        <span class="line">{format.duration(record.elapsedMs)}</span>
        {hasTokens
          ? (
            <span class="line second">
              {`${format.short(usage.inputTokens)} → ${format.short(usage.outputTokens)}`}
            </span>
          )
          : null}
      </td>
    </tr>
  );
}

function ReplyStart({ record }: { record: RecordSummary }): JSX.Element {
  if (record.hit.length === 0) return <Recorded text={record.reply} />;
  return (
    <bdi>
      {record.hit.map(({ text, isHit }) =>
        isHit
          ? (
            <mark>
              <Recorded text={text} />
            </mark>
          )
          : <Recorded text={text} />
      )}
    </bdi>
  );
}

/** A link to the next page, which htmx follows when it comes into sight and replaces by the next rows. */
function OlderRow({ page, query, nextBeforeId }: {
  page: PageContext;
  query: RecordQuery;
  nextBeforeId: number | null;
}): JSX.Element {
  const { m } = page;
  if (nextBeforeId === null) {
    return (
      <tr class="list-end">
        <td colspan={6} class="muted">{m.endOfRecords}</td>
      </tr>
    );
  }
  const path = recordsPath(query, { before: String(nextBeforeId) });
  return (
    <tr
      class="list-end"
      hx-get={path}
      hx-trigger="intersect once"
      hx-target="this"
      hx-select="table.records > tbody > tr"
      hx-swap="outerHTML"
    >
      <td colspan={6}>
        <a href={path}>{m.older}</a>
        <span class="htmx-indicator muted">{m.loadingOlder}</span>
      </td>
    </tr>
  );
}

function NoRecords({ page, read }: RecordsProps): JSX.Element {
  const { m } = page;
  if (QUERY_NAMES.some((name) => read.query[name] !== "")) {
    return (
      <Empty title={m.noMatchTitle}>
        <p>{m.noMatchText}</p>
        <p>
          <a class="button" href="/admin/records">{m.clearAll}</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title={m.noRecordsTitle}>
      <p>{m.noRecordsText}</p>
      <pre class="code" tabindex={0}>{firstRequest(page.origin)}</pre>
      <p class="muted">{m.curlNote}</p>
    </Empty>
  );
}
