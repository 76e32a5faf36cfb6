/**
 * Searching and filtering the list: the form, and the active filters.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { TokenView } from "../../../control/admin_service.ts";
import { Icon } from "../../components/icons.tsx";
import { type Choice, Field, outcomeText, Recorded, Select } from "../../components/parts.tsx";
import { QUERY_NAMES, type QueryName, type RecordQuery, recordsPath } from "../../record_query.ts";
import type { Zone } from "../../../core/zones.ts";
import type { RecordsProps } from "./props.ts";

export function FilterForm({ page, read, upstreams, tokens }: RecordsProps): JSX.Element {
  const { m } = page;
  const { query } = read;
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
        <FilterFields page={page} query={query} upstreams={upstreams} tokens={tokens} />
      </details>
    </form>
  );
}

/** The statuses that people look for; others can be typed into the URL. */
const STATUSES = ["2", "4", "5", "400", "401", "403", "404", "429", "499", "500", "502", "503", "504"];

function FilterFields(
  { page, query, upstreams, tokens }: Pick<RecordsProps, "page" | "upstreams" | "tokens"> & {
    query: RecordQuery;
  },
): JSX.Element {
  const { m } = page;
  const any: Choice = { value: "", text: m.any };
  return (
    <div class="fields">
      <Field label={m.filterModel} name="model" value={query.model} placeholder={m.filterModelHint} />
      <UpstreamFilters page={page} query={query} upstreams={upstreams} />
      <Field
        label={m.filterAttempts}
        name="attempts"
        value={query.attempts}
        placeholder={m.filterAttemptsHint}
      />
      <Field
        label={m.filterSlowerThan}
        name="slowerThan"
        value={query.slowerThan}
        placeholder={m.filterSlowerThanHint}
      />
      <Select
        label={m.filterFailed}
        name="failed"
        value={query.failed === "" ? "" : "yes"}
        choices={[any, { value: "yes", text: m.filterFailedOnly }]}
      />
      <Select
        label={m.filterStatus}
        name="status"
        value={query.status}
        choices={[
          any,
          ...statusesWith(query.status).map((value) => ({
            value,
            text: value.length === 1 ? `${value}xx` : value,
          })),
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
      {query.without === "" ? null : <input type="hidden" name="without" value={query.without} />}
      <TimeFields page={page} query={query} />
    </div>
  );
}

/** Includes the one in the URL. */
function statusesWith(status: string): readonly string[] {
  return status === "" || STATUSES.includes(status) ? STATUSES : [...STATUSES, status];
}

function TimeFields({ page: { m, zone }, query }: Pick<RecordsProps, "page"> & {
  query: RecordQuery;
}): JSX.Element {
  return (
    <>
      <Field label={m.filterSince} name="since" value={query.since} placeholder={m.filterTimeHint} />
      <Field label={m.filterUntil} name="until" value={query.until} placeholder={m.filterTimeHint} />
      <p class="hint zone-note">
        {m.timesIn} <span data-zone-name>{zone.name}</span>
      </p>
    </>
  );
}

const UPSTREAM_FILTERS = [
  ["upstream", "filterUpstream"],
  ["tried", "filterTried"],
  ["failedOn", "filterFailedOn"],
] as const;

type Upstreams = RecordsProps["upstreams"];

function UpstreamFilters({ page: { m }, query, upstreams }: Pick<RecordsProps, "page" | "upstreams"> & {
  query: RecordQuery;
}): JSX.Element {
  return (
    <>
      {UPSTREAM_FILTERS.map(([name, label]) => (
        <Select
          label={m[label]}
          name={name}
          value={idOf(query[name], upstreams)}
          choices={[{ value: "", text: m.any }, ...upstreamChoices(upstreams, query[name])]}
        />
      ))}
    </>
  );
}

/** A name in the URL stands for its id. */
function idOf(which: string, upstreams: Upstreams): string {
  return String(upstreams.find(({ name }) => name === which)?.id ?? which);
}

/** Includes the selected one even when it was removed. */
function upstreamChoices(upstreams: Upstreams, which: string): Choice[] {
  const choices = upstreams.map(({ id, name }) => ({ value: String(id), text: name }));
  const value = idOf(which, upstreams);
  const isThere = which === "" || choices.some((choice) => choice.value === value);
  return isThere ? choices : [...choices, { value, text: `#${value}` }];
}

/** Includes the selected client even when its token was revoked. */
function clientNames(tokens: readonly TokenView[], wanted: string): string[] {
  const names = tokens.map(({ name }) => name);
  return wanted === "" || names.includes(wanted) ? names : [...names, wanted];
}

export function ActiveFilters({ page, read, upstreams }: RecordsProps): JSX.Element | null {
  const { m } = page;
  const active = QUERY_NAMES.filter((name) => read.query[name] !== "");
  if (active.length === 0) return null;
  const labels: Readonly<Record<QueryName, string>> = {
    q: m.search,
    model: m.filterModel,
    upstream: m.filterUpstream,
    tried: m.filterTried,
    failedOn: m.filterFailedOn,
    attempts: m.filterAttempts,
    slowerThan: m.filterSlowerThan,
    failed: m.filterFailed,
    status: m.filterStatus,
    outcome: m.filterOutcome,
    client: m.filterClient,
    without: m.filterWithout,
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
  switch (name) {
    case "upstream":
    case "tried":
    case "failedOn":
      return upstreams.find((each) => String(each.id) === idOf(value, upstreams))?.name ?? `#${value}`;
    case "outcome":
      return outcomeText(page.m, value);
    case "failed":
      return page.m.filterFailedOnly;
    case "without":
      return value === "client" ? page.m.filterWithoutClient : page.m.filterWithoutModel;
    case "status":
      return value.length === 1 ? `${value}xx` : value;
    case "since":
    case "until":
      return shownMoment(value, page.zone);
    default:
      return value;
  }
}

/** Links of the page name a moment in UTC. */
function shownMoment(text: string, zone: Zone): string {
  const ms = /Z$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? text : zone.format(ms);
}
