/**
 * The addresses below `/admin/records`.
 */
import { type Context, Hono } from "hono";
import { RouterError } from "../core/errors.ts";
import type { AdminEnv } from "../http/admin/env.ts";
import { formFieldsOf } from "../http/admin/input.ts";
import type { RecordDetail } from "../control/admin_service.ts";
import { foldedTurns, TurnRange } from "./components/conversation.tsx";
import { CutText } from "./components/cut_text.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { pageContext } from "./page_context.ts";
import { readQuery, recordsPath } from "./record_query.ts";
import { conversationOf, findText } from "./record_texts.ts";
import { problemOf } from "./problem.ts";
import { type RecordProps, RecordView } from "./views/record.tsx";
import { Records } from "./views/records.tsx";

const PAGE_LENGTH = 50;

export function recordRoutes({ service, now }: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();

  const find = async (c: Context<AdminEnv>): Promise<RecordDetail> => {
    const id = c.req.param("id") ?? "";
    const detail = await service.record(/^\d{1,15}$/.test(id) ? Number(id) : id);
    if (detail !== null) return detail;
    throw new RouterError(404, "not_found", pageContext(c, now()).m.recordNotFound);
  };
  const view = async (
    c: Context<AdminEnv>,
    detail: RecordDetail,
    more: Pick<RecordProps, "replay" | "problem">,
  ): Promise<Response> =>
    await draw(
      c,
      <RecordView
        page={pageContext(c, now())}
        detail={detail}
        upstreams={await service.upstreams()}
        wholeKey={c.req.query("show") ?? null}
        areAllTurnsShown={c.req.query("turns") === "all"}
        {...more}
      />,
    );

  routes.get("/", async (c) => {
    const page = pageContext(c, now());
    const parameters = new URL(c.req.url).searchParams;
    const read = readQuery(parameters, { m: page.m, nowMs: now() });
    const before = /^\d{1,15}$/.exec(parameters.get("before") ?? "")?.[0];
    const path = recordsPath(read.query, before === undefined ? {} : { before });
    // A form sends its empty fields too; the address that people keep has only what matters.
    if (page.isPartial) {
      if (before === undefined) c.header("hx-push-url", path);
    } else if ([...parameters.values()].includes("")) return c.redirect(path, 303);
    const records = await service.records({
      limit: PAGE_LENGTH,
      filter: read.filter,
      ...(before === undefined ? {} : { beforeId: Number(before) }),
    });
    return draw(
      c,
      <Records
        page={page}
        read={read}
        records={records}
        upstreams={await service.upstreams()}
        tokens={await service.tokens()}
        isContinued={before !== undefined}
      />,
    );
  });
  routes.get("/:id", async (c) => view(c, await find(c), { replay: null, problem: null }));
  routes.get(
    "/:id/export",
    (c) => c.redirect(`/admin/api/records/${encodeURIComponent(c.req.param("id"))}/export`),
  );
  routes.get("/:id/request", async (c) => {
    const { record } = await find(c);
    c.header("content-type", "text/plain; charset=utf-8");
    c.header("content-disposition", `attachment; filename="request.json"`);
    return c.body(record.body ?? "");
  });
  routes.get("/:id/text/:key", async (c) => {
    const { record } = await find(c);
    const key = c.req.param("key");
    const text = findText(record, key);
    const page = pageContext(c, now());
    if (text === null) throw new RouterError(404, "not_found", page.m.notFoundText);
    const isMono = c.req.query("mono") === "1";
    return c.html(
      <CutText
        page={page}
        recordId={record.id}
        textKey={key}
        text={text}
        limit={0}
        isMono={isMono}
        isWhole
      />,
    );
  });
  routes.get("/:id/turns", async (c) => {
    const { record } = await find(c);
    const turns = conversationOf(record)?.turns ?? [];
    const [from, to] = foldedTurns(turns.length) ?? [0, 0];
    return c.html(
      <TurnRange
        page={pageContext(c, now())}
        recordId={record.id}
        turns={turns}
        wholeKey={null}
        from={from}
        to={to}
      />,
    );
  });
  routes.post("/:id/replay", async (c) => {
    const detail = await find(c);
    const { upstream } = await formFieldsOf(c);
    const upstreamId = typeof upstream === "string" && /^\d{1,15}$/.test(upstream) ? Number(upstream) : null;
    try {
      const result = await service.replay(detail.record.id, upstreamId);
      return await view(c, detail, { replay: { upstreamId, result }, problem: null });
    } catch (error) {
      return await view(c, detail, { replay: null, problem: problemOf(c, error) });
    }
  });
  return routes;
}
