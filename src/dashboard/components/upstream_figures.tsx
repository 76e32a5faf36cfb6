/**
 * How the attempts at one upstream went in the chosen time: how many, the share that failed, how long, the last error. Each
 * number leads to its records.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Stats, UpstreamView } from "../../control/admin_service.ts";
import { failedPercent, isTooMany } from "../../core/failure_window.ts";
import type { PageContext } from "../page_context.ts";
import { recordsPath } from "../record_query.ts";
import { spanQuery } from "../stats_span.ts";
import { Moment, Recorded } from "./parts.tsx";

interface FiguresProps {
  readonly page: PageContext;
  readonly stats: Stats;
  readonly upstream: UpstreamView;
}

export function UpstreamFigures({ page, stats, upstream }: FiguresProps): JSX.Element {
  const { m, format } = page;
  const id = String(upstream.id);
  const within = spanQuery(stats);
  const share = stats.upstreams.find((each) => each.id === upstream.id);
  if (share === undefined || share.attempts === 0) return <p class="muted figures-none">{m.noAttempts}</p>;
  const { attempts, failures, p95Ms } = share;
  const count = { attempts, failed: failures };
  return (
    <>
      <p class="muted upstream-figures">
        <a href={recordsPath({ ...within, tried: id })}>{m.attemptsIn(attempts, format.count(attempts))}</a>
        {" · "}
        {failures === 0 ? m.noneFailed : (
          <a
            class={isTooMany(count) ? "warn-text" : undefined}
            href={recordsPath({ ...within, failedOn: id })}
          >
            {m.shareFailed(failedPercent(count), format.count(failures))}
          </a>
        )}
        {p95Ms === null ? null : (
          <>
            {" · "}
            <a href={recordsPath({ ...within, upstream: id, slowerThan: `${Math.floor(p95Ms)}ms` })}>
              {m.p95(format.duration(p95Ms))}
            </a>
          </>
        )}
      </p>
      <LastError page={page} stats={stats} upstream={upstream} />
    </>
  );
}

/** Of the range; a later one is not shown. */
function LastError({ page, stats, upstream: { id, lastError } }: FiguresProps): JSX.Element | null {
  if (lastError === null || lastError.atMs < stats.fromMs || lastError.atMs > stats.toMs) return null;
  return (
    <p class="last-error">
      <a class="muted" href={recordsPath({ ...spanQuery(stats), failedOn: String(id) })}>
        {page.m.lastError} <Moment page={page} atMs={lastError.atMs} />
      </a>
      <span class="clamp">
        <Recorded text={lastError.message} />
      </span>
    </p>
  );
}
