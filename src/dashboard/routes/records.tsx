/**
 * The routes below `/admin/records`.
 */
import { type Context, Hono } from "hono";
import type { RecordDetail } from "../../control/admin_service.ts";
import { RouterError } from "../../core/errors.ts";
import type { AdminEnv } from "../../http/admin/env.ts";
import { formFieldsOf } from "../../http/admin/input.ts";
import { CutText } from "../components/cut_text.tsx";
import { RichText } from "../components/rich_text.tsx";
import { foldedTurns, TurnRange } from "../components/turns.tsx";
import { pageContext } from "../page_context.ts";
import { readQuery, recordsPath } from "../record_query.ts";
import { conversationOf, findImage, findText } from "../record_texts.ts";
import { Confirm } from "../views/confirm.tsx";
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
  routes.get("/:id/image/:key/:number{\\d{1,4}}?", async (c) => image(c, deps, await find(c)));
  routes.get("/:id/delete", async (c) => confirmDeletion(c, deps, { id: (await find(c)).record.id }));
  routes.post("/:id/delete", async (c) => remove(c, deps, await find(c)));
  routes.get("/:id/text/:key", async (c) => wholeText(c, deps, await find(c)));
  routes.get("/:id/turns", async (c) => middleTurns(c, deps, await find(c)));
  routes.post("/:id/replay", async (c) => replay(c, deps, await find(c)));
  return routes;
}

async function list(c: AdminContext, { service, now }: ViewDeps): Promise<Response> {
  const page = pageContext(c, now());
  const parameters = new URL(c.req.url).searchParams;
  const upstreams = await service.upstreams();
  const read = readQuery(parameters, { m: page.m, nowMs: now(), zone: page.zone, upstreams });
  const before = /^\d{1,15}$/.exec(parameters.get("before") ?? "")?.[0];
  const path = recordsPath(read.query, before === undefined ? {} : { before });
  // A form sends its empty fields too; the URL that people see leaves them out.
  if (page.isPartial) {
    if (before === undefined) c.header("hx-push-url", path);
  } else if ([...parameters.values()].includes("")) return c.redirect(path, 303);
  const { filter } = read;
  const [records, count, tokens] = await Promise.all([
    service.records({
      limit: PAGE_LENGTH,
      filter,
      ...(before === undefined ? {} : { beforeId: Number(before) }),
    }),
    before === undefined ? service.countRecords(filter) : null,
    service.tokens(),
  ]);
  return draw(
    c,
    <Records
      page={page}
      read={read}
      records={records}
      count={count}
      upstreams={upstreams}
      tokens={tokens}
      isContinued={before !== undefined}
    />,
  );
}

async function recordView(
  c: AdminContext,
  { service, now }: ViewDeps,
  shown: Pick<RecordProps, "detail" | "replay" | "problem">,
): Promise<Response> {
  const page = pageContext(c, now());
  const upstreams = await service.upstreams();
  const { query, filter } = readQuery(new URL(c.req.url).searchParams, {
    m: page.m,
    nowMs: now(),
    zone: page.zone,
    upstreams,
  });
  return await draw(
    c,
    <RecordView
      page={page}
      upstreams={upstreams}
      query={query}
      neighbours={await service.neighbours({ id: shown.detail.record.id, filter })}
      wholeKey={c.req.query("show") ?? null}
      areAllTurnsShown={c.req.query("turns") === "all"}
      {...shown}
    />,
  );
}

/** A picture of the record; its type is that of its bytes, and a browser does nothing else with it. */
function image(c: AdminContext, { now }: ViewDeps, { record }: RecordDetail): Response {
  const number = c.req.param("number");
  const found = findImage(record, c.req.param("key") ?? "", number === undefined ? null : Number(number));
  if (found === null) throw new RouterError(404, "not_found", pageContext(c, now()).m.notFoundText);
  c.header("content-type", found.type);
  c.header("content-disposition", "inline");
  return c.body(found.bytes);
}

function confirmDeletion(
  c: AdminContext,
  { now }: ViewDeps,
  { id, problem = null }: { id: number; problem?: string | null },
): Answer {
  const page = pageContext(c, now());
  return draw(
    c,
    <Confirm
      page={page}
      current="records"
      title={page.m.deleteRecordTitle(id)}
      text={page.m.deleteRecordText}
      action={`/admin/records/${id}/delete`}
      button={page.m.deleteRecord}
      back={`/admin/records/${id}`}
      problem={problem}
    />,
  );
}

async function remove(c: AdminContext, deps: ViewDeps, { record: { id } }: RecordDetail): Promise<Response> {
  try {
    await deps.service.deleteRecord(id);
  } catch (error) {
    return await confirmDeletion(c, deps, { id, problem: problemOf(c, error) });
  }
  return c.redirect("/admin/records?done=recordDeleted", 303);
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
  if (c.req.query("plain") === "1") return c.text(text);
  const whole = { page, recordId: record.id, textKey: key, text, limit: 0, isWhole: true };
  const isMono = c.req.query("mono") === "1";
  return c.html(c.req.query("md") === "1" ? <RichText {...whole} /> : <CutText {...whole} isMono={isMono} />);
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
