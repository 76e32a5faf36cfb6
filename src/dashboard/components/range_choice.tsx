/**
 * The time that the figures of a view are about.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { Stats } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";
import { type ReadSpan, STATS_RANGES } from "../stats_span.ts";

/** Ranges up to now, and two fields for any other time. */
export function RangeChoice({ page, stats, custom, path }: {
  page: PageContext;
  stats: Stats;
  custom: ReadSpan["custom"];
  /** Of the view. */
  path: string;
}): JSX.Element {
  const { m, zone } = page;
  const typed = (ms: number) => zone.format(ms).slice(0, "2026-11-01 12:00".length).replace(" ", "T");
  return (
    <div class="ranges">
      <nav class="segments" aria-label={m.range}>
        {STATS_RANGES.map((range) => (
          <a href={`${path}?range=${range}`} aria-current={range === stats.range ? "true" : undefined}>
            {m.ranges[range]}
          </a>
        ))}
      </nav>
      <details class="custom-range" open={custom !== null}>
        <summary>{m.rangeCustom}</summary>
        <form method="get" action={path}>
          <label>
            {m.filterSince}
            <input type="datetime-local" name="since" value={custom?.since || typed(stats.fromMs)} required />
          </label>
          <label>
            {m.filterUntil}
            <input type="datetime-local" name="until" value={custom?.until || typed(stats.toMs)} />
          </label>
          <button type="submit" class="button button-small">{m.show}</button>
          <span class="hint">
            {m.timesIn} <span data-zone-name>{zone.name}</span>
          </span>
        </form>
      </details>
    </div>
  );
}
