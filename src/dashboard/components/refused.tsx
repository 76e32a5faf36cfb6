/**
 * Says that clients were refused, who came last, and why: a wrong token leaves no record.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { RefusedSummary } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";
import { Moment, Notice, Recorded } from "./parts.tsx";

export function RefusedRequests({ page, refused: { lastHour, last } }: {
  page: PageContext;
  refused: RefusedSummary;
}): JSX.Element | null {
  const { m, format } = page;
  if (last === null) return null;
  return (
    <Notice tone="warn">
      <strong>{m.refusedRequests(format.short(lastHour), lastHour)}</strong>
      {" · "}
      {m.refusedLast} <Recorded text={last.address} /> <Moment page={page} atMs={last.atMs} />
      {": "}
      {m.refusedWhy[last.reason]}
      {last.reason === "other_site" ? null : (
        <>
          <a href="/admin/tokens">{m.navTokens}</a>
        </>
      )}
    </Notice>
  );
}
