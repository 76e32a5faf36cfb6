/**
 * The requests in flight, as a list that the page's script keeps up to date, and the template of one row.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { LiveRequest } from "../../control/admin_service.ts";
import { assetPath } from "../assets.ts";
import type { PageContext } from "../page_context.ts";
import { Recorded } from "./parts.tsx";

interface InFlightProps {
  readonly page: PageContext;
  readonly requests: readonly LiveRequest[];
  /** How many wait for an upstream that has room. */
  readonly waiting: number;
  /** Request id of the reply that is being watched. */
  readonly watched?: string | null;
}

/** `data-live` makes the script follow the event stream, `data-live-feed` together with all other tabs. */
export function InFlightList({ page, requests, waiting, watched = null }: InFlightProps): JSX.Element {
  return (
    <div
      class="in-flight"
      data-live="/admin/api/live"
      data-live-feed={assetPath("live_feed.js")}
      data-watched={watched}
      data-waiting={page.m.inFlightWaiting}
    >
      <ul class="rows" data-live-list>
        {requests.map((request) => (
          <InFlightRow page={page} request={request} isWatched={request.requestId === watched} />
        ))}
      </ul>
      <p class="muted" data-live-waiting hidden={waiting === 0}>
        {page.m.inFlightWaitingCount} <span class="number strong" data-slot="waiting-count">{waiting}</span>
      </p>
      <p class="muted" data-live-none hidden={requests.length > 0}>{page.m.inFlightNone}</p>
      <template data-live-row>
        <InFlightRow page={page} request={null} isWatched={false} />
      </template>
    </div>
  );
}

/** Without a request: the empty template. The script finds its slots by `data-slot`. */
function InFlightRow({ page, request, isWatched }: {
  page: PageContext;
  request: LiveRequest | null;
  isWatched: boolean;
}): JSX.Element {
  const { format, m } = page;
  return (
    <li
      class="row row-live"
      data-request={request?.requestId ?? ""}
      data-elapsed={request?.elapsedMs ?? 0}
    >
      <a
        href={request === null ? "#" : watchPath(request.requestId)}
        class="row-link"
        data-slot="link"
        aria-current={isWatched ? "true" : undefined}
      >
        <span class="pulse" aria-hidden="true"></span>
        <span class="strong" data-slot="model">
          {request === null ? null : <Recorded text={request.model ?? request.path} />}
        </span>
        <span class="visually-hidden">{m.watch}</span>
      </a>
      <span class="muted" data-slot="client">
        {!request?.client ? null : <Recorded text={request.client} />}
      </span>
      <span data-slot="upstream">
        {request === null ? null : <Recorded text={placeOf(request, m.inFlightWaiting)} />}
      </span>
      <span class="number muted" data-slot="bytes">
        {request === null ? "" : format.bytes(request.replyBytes)}
      </span>
      <span class="number strong" data-slot="elapsed">
        {request === null ? "" : format.duration(request.elapsedMs)}
      </span>
    </li>
  );
}

/** The upstream that answers; "…" while that is open. */
function placeOf({ upstreamName, waitingMs }: LiveRequest, waiting: string): string {
  return upstreamName ?? (waitingMs === null ? "…" : waiting);
}

export function watchPath(requestId: string): string {
  return `/admin/live?watch=${encodeURIComponent(requestId)}`;
}
