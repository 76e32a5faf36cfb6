/**
 * One record, whole: the conversation, the attempts, the facts, the raw texts, and sending it again.
 */
import type { Child } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import type { RecordDetail, ReplayResult, UpstreamView } from "../../control/admin_service.ts";
import { Attempts } from "../components/attempts.tsx";
import { isLong, Reply, Turns } from "../components/conversation.tsx";
import { CutText } from "../components/cut_text.tsx";
import { watchPath } from "../components/in_flight.tsx";
import { Layout } from "../components/layout.tsx";
import {
  CopyButton,
  CsrfField,
  Moment,
  Notice,
  OutcomeChip,
  Recorded,
  Select,
} from "../components/parts.tsx";
import { ReplyDiff } from "../components/reply_diff.tsx";
import { curlCommand } from "../curl.ts";
import type { PageContext } from "../page_context.ts";
import { conversationOf, pretty } from "../record_texts.ts";

export interface RecordProps {
  readonly page: PageContext;
  readonly detail: RecordDetail;
  readonly upstreams: readonly UpstreamView[];
  /** Of a replay that was just made. */
  readonly replay: { readonly upstreamId: number | null; readonly result: ReplayResult } | null;
  readonly problem: string | null;
  /** Key of the text that is wanted whole. */
  readonly wholeKey: string | null;
  readonly areAllTurnsShown: boolean;
}

export const RAW_LIMIT = 6_000;

export function RecordView(props: RecordProps): JSX.Element {
  const { page, detail, problem } = props;
  const { record } = detail;
  const { m } = page;
  return (
    <Layout page={page} title={m.recordTitle(record.id)} current="records" problem={problem}>
      <div class="head">
        <div class="title-line">
          <h1>{m.recordTitle(record.id)}</h1>
          <OutcomeChip page={page} status={record.status} outcome={record.outcome} />
          <span class="muted">
            <Recorded text={record.model ?? ""} /> · <Moment atMs={record.createdAtMs} />
          </span>
        </div>
        <a class="button" href={`/admin/api/records/${record.id}/export`} download>{m.exportJson}</a>
      </div>
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

function Conversation({ page, detail, wholeKey, areAllTurnsShown }: RecordProps): JSX.Element {
  const { record } = detail;
  const { m } = page;
  const conversation = conversationOf(record);
  return (
    <section
      aria-labelledby="conversation-title"
      class={isLong(conversation?.turns ?? []) ? "conversation conversation-long" : "conversation"}
    >
      <h2 id="conversation-title" class="visually-hidden">{m.conversation}</h2>
      {conversation === null
        ? (
          <article class="turn turn-other">
            <h3 class="role">{m.requestSection}</h3>
            {record.body
              ? (
                <CutText
                  page={page}
                  recordId={record.id}
                  textKey="raw-request"
                  text={pretty(record.body)}
                  limit={RAW_LIMIT}
                  isWhole={wholeKey === "raw-request"}
                  isMono
                />
              )
              : <p class="muted">{m.nothing}</p>}
          </article>
        )
        : (
          <Turns
            page={page}
            recordId={record.id}
            turns={conversation.turns}
            wholeKey={wholeKey}
            areAllShown={areAllTurnsShown}
          />
        )}
      <Reply page={page} record={record} wholeKey={wholeKey} />
      {conversation === null || conversation.settings.length + conversation.tools.length === 0
        ? null
        : (
          <div class="request-settings">
            <NamedList title={m.parameters} items={conversation.settings} />
            <NamedList title={m.offeredTools} items={conversation.tools} />
          </div>
        )}
    </section>
  );
}

const MOST_ITEMS = 100;

function NamedList({ title, items }: { title: string; items: readonly string[] }): JSX.Element | null {
  if (items.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul class="words">
        {items.slice(0, MOST_ITEMS).map((item) => (
          <li class="mono">
            <Recorded text={item} />
          </li>
        ))}
        {items.length > MOST_ITEMS ? <li>…</li> : null}
      </ul>
    </div>
  );
}

function Facts({ page, detail: { record, upstreamName } }: {
  page: PageContext;
  detail: RecordDetail;
}): JSX.Element {
  const { m, format } = page;
  const { usage } = record;
  const isOtherModel = record.responseModel !== null && record.responseModel !== record.model;
  return (
    <dl class="facts">
      <Fact label={m.factTime}>
        <Moment atMs={record.createdAtMs} />
      </Fact>
      <Fact label={m.factRequest}>
        <span class="mono">
          <Recorded text={[record.method, record.path].filter(Boolean).join(" ")} />
        </span>
        {record.isStream ? <span class="muted">{m.factStream}</span> : null}
      </Fact>
      <Fact label={m.factModel}>
        {record.model === null ? null : <Recorded text={record.model} />}
        {isOtherModel
          ? (
            <span class="muted">
              <Recorded text={m.factAnsweredAs(record.responseModel ?? "")} />
            </span>
          )
          : null}
      </Fact>
      <Fact label={m.factUpstream}>{upstreamName === null ? null : <Recorded text={upstreamName} />}</Fact>
      <Fact label={m.factTook}>{format.duration(record.elapsedMs)}</Fact>
      <Fact label={m.factFirstByte}>
        {record.firstByteMs === null ? null : format.duration(record.firstByteMs)}
      </Fact>
      <Fact label={m.factFirstToken}>
        {record.firstTokenMs === null ? null : format.duration(record.firstTokenMs)}
      </Fact>
      <Fact label={m.factTokensIn}>
        {usage.inputTokens === null ? null : format.count(usage.inputTokens)}
        {usage.cachedTokens
          ? <span class="muted">{m.factCached(format.count(usage.cachedTokens))}</span>
          : null}
      </Fact>
      <Fact label={m.factTokensOut}>
        {usage.outputTokens === null ? null : format.count(usage.outputTokens)}
        {usage.reasoningTokens
          ? <span class="muted">{m.factReasoning(format.count(usage.reasoningTokens))}</span>
          : null}
      </Fact>
      <Fact label={m.factFinish}>
        {record.finishReason === null ? null : <Recorded text={record.finishReason} />}
      </Fact>
      <Fact label={m.factSizes}>
        {m.factSizesText(format.bytes(record.requestBytes), format.bytes(record.responseBytes))}
      </Fact>
      <Fact label={m.factClient}>{record.client ? <Recorded text={record.client} /> : null}</Fact>
      <Fact label={m.factAuthorization}>
        {record.authorization
          ? (
            <span class="mono">
              <Recorded text={record.authorization} />
            </span>
          )
          : null}
      </Fact>
      <Fact label={m.factAddress}>{record.ip ? <Recorded text={record.ip} /> : null}</Fact>
      <Fact label={m.factAgent}>{record.userAgent ? <Recorded text={record.userAgent} /> : null}</Fact>
      <Fact label={m.factRequestId}>
        {record.requestId === null ? null : (
          <span class="mono">
            <Recorded text={record.requestId} />
          </span>
        )}
      </Fact>
    </dl>
  );
}

/** Nothing where nothing is known. */
function Fact({ label, children }: { label: string; children: Child }): JSX.Element | null {
  const parts = [children].flat().filter((each) => each !== null && each !== undefined);
  if (parts.length === 0) return null;
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Replay({ page, detail, upstreams, replay }: RecordProps): JSX.Element {
  const { m, format } = page;
  const { record } = detail;
  const chosen = replay === null ? record.upstreamId : replay.upstreamId;
  return (
    <section class="card replay" aria-labelledby="replay-title">
      <h2 id="replay-title">{m.replayTitle}</h2>
      <form
        method="post"
        action={`/admin/records/${record.id}/replay#replay-title`}
        hx-post={`/admin/records/${record.id}/replay`}
        hx-target="#replay-result"
        hx-select="#replay-result"
        hx-swap="outerHTML"
        hx-disabled-elt="find button"
        class="line-form"
      >
        <CsrfField page={page} />
        <Select
          label={m.replayTo}
          name="upstream"
          value={String(chosen ?? "")}
          choices={[
            { value: "", text: m.replayUsual },
            ...upstreams.filter(({ problem }) => problem === null)
              .map(({ id, name }) => ({ value: String(id), text: name })),
          ]}
        />
        <button type="submit" class="button">{m.replayButton}</button>
        <p class="hint">{m.replayNote}</p>
      </form>
      <div id="replay-result" aria-live="polite">
        {replay === null ? null : (
          <>
            <h3>{m.replayResult}</h3>
            <p>
              {m.replayed(replay.result.status, format.duration(replay.result.elapsedMs))}{" "}
              {replay.result.requestId === null
                ? null
                : <a href={`/admin/records/${encodeURIComponent(replay.result.requestId)}`}>{m.replayOpen}
                </a>}
            </p>
            <ReplyDiff page={page} diff={replay.result.diff} />
          </>
        )}
      </div>
    </section>
  );
}

function RawTexts({ page, detail: { record }, wholeKey }: RecordProps): JSX.Element {
  const { m } = page;
  const common = { page, recordId: record.id, limit: RAW_LIMIT, isMono: true };
  const curl = curlCommand(record, page.origin);
  return (
    <section class="raw">
      <details class="card">
        <summary>{m.curl}</summary>
        {curl === null ? <p>{m.curlNoBody}</p> : (
          <>
            <p class="muted">
              {m.curlNote} {curl.isFromFile ? m.curlFileNote : null}
            </p>
            <pre class="code" id="curl" tabindex={0}>{curl.text}</pre>
            <CopyButton page={page} target="#curl" />
          </>
        )}
      </details>
      {record.body && conversationOf(record) !== null
        ? (
          <details class="card" open={wholeKey === "raw-request"}>
            <summary>{m.rawRequest}</summary>
            <p>
              <a href={`/admin/records/${record.id}/request`} download>{m.downloadRequest}</a>
            </p>
            <CutText
              {...common}
              textKey="raw-request"
              text={pretty(record.body)}
              isWhole={wholeKey === "raw-request"}
            />
          </details>
        )
        : null}
      {record.response
        ? (
          <details class="card" open={wholeKey === "raw-reply"}>
            <summary>{m.rawReply}</summary>
            <CutText
              {...common}
              textKey="raw-reply"
              text={record.response}
              isWhole={wholeKey === "raw-reply"}
            />
          </details>
        )
        : null}
    </section>
  );
}
