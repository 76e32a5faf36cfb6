/**
 * The routes below `/admin/records`.
 */
import { type Context, Hono } from "hono";
import type { RecordDetail } from "../../control/admin_service.ts";
import { RouterError } from "../../core/errors.ts";
import type { AdminEnv } from "../../http/admin/env.ts";
import { formFieldsOf } from "../../http/admin/input.ts";
import { CutText } from "../components/cut_text.tsx";
import { foldedTurns, TurnRange } from "../components/turns.tsx";
import { pageContext } from "../page_context.ts";
import { readQuery, recordsPath } from "../record_query.ts";
import { conversationOf, findText } from "../record_texts.ts";
import type { RecordProps } from "../views/record/props.ts";
import { RecordView } from "../views/record/record.tsx";
import { Records } from "../views/records/records.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { problemOf } from "./problem.ts";

type Answer = Response | Promise<Response>;
type AdminContext = Context<AdminEnv>;

const PAGE_LENGTH = 50;
const NOTHING_REPLAYED = { replay: null, problem: null };

export function recordRoutes(deps: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  const find = async (c: AdminContext): Promise<RecordDetail> => {
    const id = c.req.param("id") ?? "";
    const detail = await deps.service.record(/^\d{1,15}$/.test(id) ? Number(id) : id);
    if (detail !== null) return detail;
    throw new RouterError(404, "not_found", pageContext(c, deps.now()).m.recordNotFound);
  };
  routes.get("/", (c) => list(c, deps));
  routes.get("/:id", async (c) => recordView(c, deps, { detail: await find(c), ...NOTHING_REPLAYED }));
  routes.get(
    "/:id/export",
    (c) => c.redirect(`/admin/api/records/${encodeURIComponent(c.req.param("id"))}/export`),
  );
  routes.get("/:id/request", async (c) => requestFile(c, await find(c)));
  routes.get("/:id/text/:key", async (c) => wholeText(c, deps, await find(c)));
  routes.get("/:id/turns", async (c) => middleTurns(c, deps, await find(c)));
  routes.post("/:id/replay", async (c) => replay(c, deps, await find(c)));
  return routes;
}

async function list(c: AdminContext, { service, now }: ViewDeps): Promise<Response> {
  const page = pageContext(c, now());
  const parameters = new URL(c.req.url).searchParams;
  const read = readQuery(parameters, { m: page.m, nowMs: now() });
  const before = /^\d{1,15}$/.exec(parameters.get("before") ?? "")?.[0];
  const path = recordsPath(read.query, before === undefined ? {} : { before });
  // A form sends its empty fields too; the URL that people see leaves them out.
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
}

async function recordView(
  c: AdminContext,
  { service, now }: ViewDeps,
  shown: Pick<RecordProps, "detail" | "replay" | "problem">,
): Promise<Response> {
  return await draw(
    c,
    <RecordView
      page={pageContext(c, now())}
      upstreams={await service.upstreams()}
      wholeKey={c.req.query("show") ?? null}
      areAllTurnsShown={c.req.query("turns") === "all"}
      {...shown}
    />,
  );
}

/** The request's body as a file. */
function requestFile(c: AdminContext, { record }: RecordDetail): Response {
  c.header("content-type", "text/plain; charset=utf-8");
  c.header("content-disposition", `attachment; filename="request.json"`);
  return c.body(record.body ?? "");
}

/** A text that the page shows only in part. */
function wholeText(c: AdminContext, { now }: ViewDeps, { record }: RecordDetail): Answer {
  const key = c.req.param("key") ?? "";
  const text = findText(record, key);
  const page = pageContext(c, now());
  if (text === null) throw new RouterError(404, "not_found", page.m.notFoundText);
  const isMono = c.req.query("mono") === "1";
  return c.html(
    <CutText page={page} recordId={record.id} textKey={key} text={text} limit={0} isMono={isMono} isWhole />,
  );
}

/** The folded turns of a long conversation. */
function middleTurns(c: AdminContext, { now }: ViewDeps, { record }: RecordDetail): Answer {
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
}

async function replay(c: AdminContext, deps: ViewDeps, detail: RecordDetail): Promise<Response> {
  const { upstream } = await formFieldsOf(c);
  const upstreamId = typeof upstream === "string" && /^\d{1,15}$/.test(upstream) ? Number(upstream) : null;
  try {
    const result = await deps.service.replay(detail.record.id, upstreamId);
    return await recordView(c, deps, { detail, replay: { upstreamId, result }, problem: null });
  } catch (error) {
    return await recordView(c, deps, { detail, replay: null, problem: problemOf(c, error) });
  }
}
