/**
 * Live traffic: requests in flight, one reply as it arrives, and requests that have just finished.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { LiveRequest, RecordSummary } from "../../control/admin_service.ts";
import { InFlightList } from "../components/in_flight.tsx";
import { Layout } from "../components/layout.tsx";
import { Chip, Moment, OutcomeChip, Recorded, type Tone } from "../components/parts.tsx";
import type { PageContext } from "../page_context.ts";

export interface LiveProps {
  readonly page: PageContext;
  readonly live: readonly LiveRequest[];
  readonly waiting: number;
  readonly finished: readonly RecordSummary[];
  /** Request id of the reply to watch; null for none. */
  readonly watched: string | null;
}

export function Live({ page, live, waiting, finished, watched }: LiveProps): JSX.Element {
  const { m } = page;
  return (
    <Layout page={page} title={m.liveTitle} current="live" scripts={["live.js"]}>
      <div class="head">
        <div>
          <h1>{m.liveTitle}</h1>
          <p class="muted">{m.liveIntro}</p>
        </div>
        <noscript>
          <p>
            {m.liveNeedsScript} <a href="/admin/live">{m.refresh}</a>
          </p>
        </noscript>
      </div>
      <div class="live-columns">
        <div>
          <section class="card" aria-labelledby="in-flight-title">
            <h2 id="in-flight-title">{m.inFlightTitle}</h2>
            <InFlightList page={page} requests={live} waiting={waiting} watched={watched} />
          </section>
          <section class="card" aria-labelledby="finished-title">
            <div class="head">
              <h2 id="finished-title">{m.liveFinished}</h2>
              <a href="/admin/records">{m.seeAll}</a>
            </div>
            <Finished page={page} finished={finished} />
          </section>
        </div>
        <WatchPane page={page} watched={watched} live={live} />
      </div>
    </Layout>
  );
}

function Finished(
  { page, finished }: { page: PageContext; finished: readonly RecordSummary[] },
): JSX.Element {
  return (
    <div data-finished>
      <ul class="rows" data-finished-list>
        {finished.map((record) => (
          <li class="row row-finished">
            <a class="row-link" href={`/admin/records/${record.id}`}>
              <Moment page={page} atMs={record.createdAtMs} />
            </a>
            <OutcomeChip page={page} status={record.status} outcome={record.outcome} />
            <span class="strong">
              <Recorded text={record.model ?? "–"} />
            </span>
            <span class="muted about">
              <Recorded text={record.upstreamName ?? "–"} />
              {" · "}
              <span class="number">{page.format.duration(record.elapsedMs)}</span>
            </span>
          </li>
        ))}
      </ul>
      <p class="muted" data-finished-none hidden={finished.length > 0}>{page.m.liveFinishedNone}</p>
      <FinishedShapes page={page} />
    </div>
  );
}

/** One template for each way to end: the script only fills in the rest. */
function FinishedShapes({ page }: { page: PageContext }): JSX.Element {
  const outcomes = Object.entries(page.m.outcomes);
  return (
    <>
      {outcomes.map(([outcome, words]) => (
        <template data-finished-row={outcome}>
          <li class="row row-finished row-new">
            <a class="row-link" href="#" data-slot="link">
              <time class="moment" data-slot="time">
                <span class="date"></span> <span class="clock"></span>
              </time>
            </a>
            <Chip tone={shapeTone(outcome)}>
              <span data-slot="status"></span>
              {outcome === "complete" ? null : ` ${words}`}
            </Chip>
            <span class="strong" data-slot="model"></span>
            <span class="muted about">
              <span data-slot="upstream"></span>
              {" · "}
              <span class="number" data-slot="elapsed"></span>
            </span>
          </li>
        </template>
      ))}
    </>
  );
}

function shapeTone(outcome: string): Tone {
  if (outcome === "complete") return "good";
  return outcome === "client_gone" ? "quiet" : "bad";
}

function WatchPane({ page, watched, live }: Pick<LiveProps, "page" | "watched" | "live">): JSX.Element {
  const { m } = page;
  const request = live.find(({ requestId }) => requestId === watched);
  const recordPath = watched === null ? "#" : `/admin/records/${encodeURIComponent(watched)}`;
  const isGone = watched !== null && request === undefined;
  return (
    <section class="card watch" aria-labelledby="watch-title" data-watch={isGone ? "" : watched ?? ""}>
      <div class="head">
        <h2 id="watch-title">
          {m.liveReply}
          <span class="muted" data-slot="watch-name">
            {request === undefined ? null : <Recorded text={request.model ?? request.path} />}
          </span>
        </h2>
        <a href="/admin/live" class="button button-small" data-watch-part="on" hidden={watched === null}>
          {m.liveStopped}
        </a>
      </div>
      <p class="muted" data-watch-part="off" hidden={watched !== null}>{m.livePick}</p>
      <p class="muted" data-watch-part="waiting" hidden={watched === null || isGone}>{m.liveWaiting}</p>
      <p data-watch-part="gone" hidden={!isGone}>
        {m.liveGone} <a href={recordPath} data-slot="record-link">{m.liveOpen}</a>
      </p>
      <details class="reasoning" data-watch-part="reasoning" open hidden>
        <summary>{m.liveReasoning}</summary>
        <div class="text" data-slot="reasoning" dir="auto"></div>
      </details>
      <div class="text watch-text" data-slot="text" dir="auto"></div>
      <div data-slot="tool-calls"></div>
      <template data-tool-call>
        <div class="tool">
          <p class="tool-head">
            <span class="muted">{m.toolCall}</span> <code data-slot="name"></code>
          </p>
          <div class="text mono" data-slot="arguments"></div>
        </div>
      </template>
      <p role="status" class="watch-end">
        <span data-watch-part="ended" hidden>
          {m.liveEnded} <a href={recordPath} data-slot="record-link">{m.liveOpen}</a>
        </span>
      </p>
    </section>
  );
}
