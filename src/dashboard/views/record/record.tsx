/**
 * One record, whole: the conversation, the attempts, the facts, the raw texts, and sending it again.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import { Attempts } from "../../components/attempts.tsx";
import { watchPath } from "../../components/in_flight.tsx";
import { Layout } from "../../components/layout.tsx";
import { Moment, Notice, OutcomeChip, Recorded } from "../../components/parts.tsx";
import { recordPath, recordsPath } from "../../record_query.ts";
import { Conversation } from "./conversation.tsx";
import { Facts } from "./facts.tsx";
import type { RecordProps } from "./props.ts";
import { RawTexts } from "./raw_texts.tsx";
import { Replay } from "./replay.tsx";

export function RecordView(props: RecordProps): JSX.Element {
  const { page, detail, problem } = props;
  const { record } = detail;
  const { m } = page;
  return (
    <Layout
      page={page}
      title={m.recordTitle(record.id)}
      current="records"
      problem={problem}
      scripts={["records.js"]}
    >
      <RecordHead {...props} />
      {record.outcome === "in_flight" && record.requestId !== null
        ? (
          <Notice tone="info">
            {m.stillRunning} <a href={watchPath(record.requestId)}>{m.watchReply}</a>
          </Notice>
        )
        : null}
      {record.error
        ? (
          <Notice tone="bad">
            <Recorded text={record.error} />
          </Notice>
        )
        : null}
      {record.isTruncated ? <Notice tone="warn">{m.notKept}</Notice> : null}
      <div class="record-columns">
        <div class="record-main">
          <Conversation {...props} />
          <Replay {...props} />
          <RawTexts {...props} />
        </div>
        <aside class="record-side">
          <section class="card" aria-labelledby="attempts-title">
            <h2 id="attempts-title">{m.attempts}</h2>
            <Attempts page={page} detail={detail} />
          </section>
          <section class="card" aria-labelledby="facts-title">
            <h2 id="facts-title">{m.details}</h2>
            <Facts page={page} detail={detail} />
          </section>
        </aside>
      </div>
    </Layout>
  );
}

function RecordHead(props: RecordProps): JSX.Element {
  const { page, detail: { record } } = props;
  const { m } = page;
  return (
    <div class="head">
      <div class="title-line">
        <h1>{m.recordTitle(record.id)}</h1>
        <OutcomeChip page={page} status={record.status} outcome={record.outcome} />
        <span class="muted">
          <Recorded text={record.model ?? ""} /> · <Moment page={page} atMs={record.createdAtMs} />
        </span>
      </div>
      <div class="record-actions">
        <Neighbours {...props} />
        <a class="button button-small" href={`/admin/api/records/${record.id}/export`} download>
          {m.exportJson}
        </a>
        <a class="button button-small" href={`/admin/records/${record.id}/delete`}>{m.deleteRecord}</a>
      </div>
    </div>
  );
}

/** To the next records of the list from which this one was opened; `j` and `k` follow them. */
function Neighbours({ page: { m }, query, neighbours: { newerId, olderId } }: RecordProps): JSX.Element {
  const link = (id: number | null, rel: "prev" | "next", text: string): JSX.Element =>
    id === null
      ? <span class="button button-small" aria-disabled="true">{text}</span>
      : <a class="button button-small" rel={rel} href={recordPath(id, query)}>{text}</a>;
  return (
    <nav class="neighbours" aria-label={m.recordsTitle}>
      {link(newerId, "prev", m.newerRecord)}
      <a class="button button-small" href={recordsPath(query)}>{m.backToList}</a>
      {link(olderId, "next", m.olderRecord)}
    </nav>
  );
}
