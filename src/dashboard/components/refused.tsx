/**
 * Says that clients were refused: who came last, and why, because a wrong token leaves no record; and whose limits were
 * reached.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { RefusedSummary } from "../../control/admin_service.ts";
import type { PageContext } from "../page_context.ts";
import { Moment, Notice, Recorded } from "./parts.tsx";

/** Tokens and reasons that are shown. */
const MAX_SHOWN = 5;

export function RefusedRequests({ page, refused }: {
  page: PageContext;
  refused: RefusedSummary;
}): JSX.Element {
  return (
    <>
      <RefusedClients page={page} refused={refused} />
      <LimitedClients page={page} refused={refused} />
    </>
  );
}

function RefusedClients({ page, refused: { lastHour, last } }: {
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

function LimitedClients({ page, refused: { limited } }: {
  page: PageContext;
  refused: RefusedSummary;
}): JSX.Element | null {
  const { m, format } = page;
  if (limited.length === 0) return null;
  const count = limited.reduce((sum, { lastHour }) => sum + lastHour, 0);
  return (
    <Notice tone="warn">
      <strong>{m.limitedRequests(format.short(count), count)}</strong>
      {limited.slice(0, MAX_SHOWN).map(({ client, reason, lastHour }) => (
        <>
          {" · "}
          <Recorded text={client} />: {m.limitedWhy[reason]} ({format.short(lastHour)})
        </>
      ))}
      {limited.length > MAX_SHOWN ? ` · ${m.andMore(limited.length - MAX_SHOWN)}` : null}
    </Notice>
  );
}
