/**
 * The rows of the list, and the link that loads older ones on scrolling.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { RecordSummary } from "../../../control/admin_service.ts";
import { Empty, Moment, OutcomeLines, Recorded } from "../../components/parts.tsx";
import { firstRequest } from "../../curl.ts";
import type { PageContext } from "../../page_context.ts";
import { QUERY_NAMES, recordPath, type RecordQuery, recordsPath } from "../../record_query.ts";
import type { RecordsProps } from "./props.ts";

export function RecordList(props: RecordsProps): JSX.Element {
  const { page, records, read, isContinued } = props;
  const { m } = page;
  // An empty page is not the end: one page scans a limited number of records, and older ones may still match.
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
        {records.records.map((record) => <RecordRow page={page} record={record} query={read.query} />)}
        <OlderRow page={page} query={read.query} nextBeforeId={records.nextBeforeId} />
      </tbody>
    </table>
  );
}

function RecordRow({ page, record, query }: {
  page: PageContext;
  record: RecordSummary;
  query: RecordQuery;
}): JSX.Element {
  const { m, format } = page;
  const { usage } = record;
  const hasTokens = usage.inputTokens !== null || usage.outputTokens !== null;
  const about = record.areTokensEstimated ? "~" : "";
  const attempts = record.attemptCount ?? 1;
  return (
    <tr class="record" data-record={record.id}>
      <td class="cell-time">
        <a class="row-link" href={recordPath(record.id, query)}>
          <Moment page={page} atMs={record.createdAtMs} />
        </a>
      </td>
      <td class="cell-status">
        <OutcomeLines page={page} status={record.status} outcome={record.outcome} />
      </td>
      <td class="cell-model">
        <span class="line">
          <Recorded text={record.model ?? "–"} />
        </span>
        <span class="line second">
          <Recorded text={record.client ?? ""} />
        </span>
      </td>
      <TextsCell page={page} record={record} />
      <td class="cell-upstream">
        <span class="line">
          <Recorded text={record.upstreamName ?? "–"} />
        </span>
        {attempts > 1
          ? (
            <a class="line second attempt-count" href={recordsPath(query, { attempts: ">1" })}>
              {m.attemptsCount(attempts)}
            </a>
          )
          : null}
      </td>
      <td class="cell-took number">
        <span class="line">{format.duration(record.elapsedMs)}</span>
        {hasTokens
          ? (
            <span class="line second">
              {`${about}${format.short(usage.inputTokens)} → ${about}${format.short(usage.outputTokens)}`}
            </span>
          )
          : null}
      </td>
    </tr>
  );
}

function TextsCell({ page, record }: { page: PageContext; record: RecordSummary }): JSX.Element {
  return (
    <td class="cell-reply">
      {record.prompt === "" ? null : (
        <div class="prompt-start line" dir="auto">
          <Recorded text={record.prompt} />
        </div>
      )}
      <div class="reply-start" dir="auto">
        <ReplyStart page={page} record={record} />
      </div>
    </td>
  );
}

function ReplyStart({ page, record }: { page: PageContext; record: RecordSummary }): JSX.Element {
  if (record.hit.length === 0) return <Recorded text={record.reply} />;
  return (
    <bdi>
      {record.hitIn === "request" ? <span class="hit-where">{page.m.hitInRequest}</span> : null}
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

/** A link to the next page, which htmx follows when it becomes visible and replaces with the next rows. */
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
      <pre class="code" tabindex={0} data-address>{firstRequest(page.origin)}</pre>
      <p class="muted">{m.curlNote}</p>
    </Empty>
  );
}
