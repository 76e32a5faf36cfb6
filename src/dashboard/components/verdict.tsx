/**
 * The banner of the overview: whether everything is in order, and who is not.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Stats, UpstreamView } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";
import { recordsPath } from "../record_query.ts";
import { spanQuery } from "../stats_span.ts";
import { type Culprit, judge } from "../verdict.ts";
import { Recorded, stateText } from "./parts.tsx";

/** Who is named; the others are counted. */
const MAX_NAMED = 3;

interface VerdictProps {
  readonly page: PageContext;
  readonly stats: Stats;
  readonly upstreams: readonly UpstreamView[];
}

export function Verdict({ page, stats, upstreams }: VerdictProps): JSX.Element {
  const { m } = page;
  const { tone, title, detail, culprits } = judge(page, stats, upstreams);
  return (
    <div class={`verdict verdict-${tone}`}>
      <span class="verdict-dot" aria-hidden="true"></span>
      <p>
        <strong>{title}</strong> {culprits.slice(0, MAX_NAMED).map((culprit) => (
          <>
            <CulpritText page={page} stats={stats} culprit={culprit} />
            {" "}
          </>
        ))}
        {culprits.length > MAX_NAMED ? `${m.andMore(culprits.length - MAX_NAMED)} ` : null}
        <span>{detail}</span>
      </p>
      {upstreams.length > 0
        ? null
        : <a class="button button-main" href="/admin/upstreams">{m.addUpstream}</a>}
    </div>
  );
}

function CulpritText({ page, stats, culprit: { upstream, count } }: Omit<VerdictProps, "upstreams"> & {
  culprit: Culprit;
}): JSX.Element {
  const { m, format } = page;
  if (count === null) {
    return (
      <a href={`/admin/upstreams#upstream-${upstream.id}`}>
        <Recorded text={upstream.name} /> {stateText(m, upstream.state)}
      </a>
    );
  }
  return (
    <a href={recordsPath({ ...spanQuery(stats), failedOn: String(upstream.id) })}>
      <Recorded text={upstream.name} /> {m.failedShare(count.percent, format.short(count.attempts))}
    </a>
  );
}
