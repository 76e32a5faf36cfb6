/**
 * The routes below `/admin/upstreams`.
 */
import { type Context, Hono } from "hono";
import type { UpstreamInput, UpstreamView } from "../../control/admin_service.ts";
import { RouterError } from "../../core/errors.ts";
import { refusalOf } from "../../http/admin/refusal.ts";
import type { AdminEnv } from "../../http/admin/env.ts";
import { formFieldsOf } from "../../http/admin/input.ts";
import { pageContext } from "../page_context.ts";
import { readSpan } from "../stats_span.ts";
import { EMPTY_FORM, formOf, readForm, toInput, type UpstreamForm } from "../upstream_form.ts";
import { Confirm } from "../views/confirm.tsx";
import { UpstreamEdit } from "../views/upstreams/edit.tsx";
import type { UpstreamsProps } from "../views/upstreams/props.ts";
import { Upstreams } from "../views/upstreams/upstreams.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { problemOf } from "./problem.ts";

const MAX_SEARCH_LENGTH = 512;

type AdminContext = Context<AdminEnv>;

export function upstreamRoutes(deps: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  const find = async (c: AdminContext): Promise<UpstreamView> => {
    const upstream = (await deps.service.upstreams()).find(({ id }) => String(id) === c.req.param("id"));
    if (upstream !== undefined) return upstream;
    throw new RouterError(404, "not_found", pageContext(c, deps.now()).m.notFoundText);
  };
  routes.get("/", (c) => list(c, deps));
  routes.post("/", (c) => add(c, deps));
  routes.get("/:id{\\d+}", async (c) => {
    const upstream = await find(c);
    return editView(c, deps, { upstream, form: formOf(upstream) });
  });
  routes.post("/:id{\\d+}", async (c) => save(c, deps, await find(c)));
  routes.post("/:id{\\d+}/:action{enable|disable}", async (c) => enable(c, deps, await find(c)));
  routes.post("/:id{\\d+}/move", async (c) => move(c, deps, await find(c)));
  routes.post("/:id{\\d+}/test", async (c) => test(c, deps, await find(c)));
  routes.get("/:id{\\d+}/remove", async (c) => confirmRemoval(c, deps, await find(c)));
  routes.post("/:id{\\d+}/remove", async (c) => remove(c, deps, await find(c)));
  return routes;
}

async function list(
  c: AdminContext,
  { service, now }: ViewDeps,
  shown: Partial<Pick<UpstreamsProps, "tested" | "problem" | "form">> = {},
): Promise<Response> {
  const page = pageContext(c, now());
  const { searchParams } = new URL(c.req.url);
  const { span, custom, problem } = readSpan(searchParams, page, "24h");
  const search = searchParams.get("model")?.slice(0, MAX_SEARCH_LENGTH) ?? "";
  return await draw(
    c,
    <Upstreams
      page={page}
      upstreams={await service.upstreams()}
      stats={await service.stats(span)}
      models={await service.models(search)}
      search={search}
      custom={custom}
      tested={null}
      problem={problem}
      form={EMPTY_FORM}
      {...shown}
    />,
  );
}

async function add(c: AdminContext, deps: ViewDeps): Promise<Response> {
  const form = readForm(await formFieldsOf(c));
  try {
    const { id } = await deps.service.addUpstream(inputOf(c, deps, { form, shown: null }));
    return c.redirect(`/admin/upstreams?done=added#upstream-${id}`, 303);
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error), form });
  }
}

function editView(
  c: AdminContext,
  { now }: ViewDeps,
  { upstream, form, error = null }: { upstream: UpstreamView; form: UpstreamForm; error?: unknown },
): Response | Promise<Response> {
  return draw(
    c,
    <UpstreamEdit
      page={pageContext(c, now())}
      id={upstream.id}
      name={upstream.name}
      form={form}
      problem={error === null ? null : problemOf(c, error)}
      isKeyRequired={refusalOf(error)?.code === "key_required"}
    />,
  );
}

async function save(c: AdminContext, deps: ViewDeps, upstream: UpstreamView): Promise<Response> {
  const form = readForm(await formFieldsOf(c));
  try {
    const shown = readForm({ ...formOf(upstream) });
    await deps.service.editUpstream(upstream.id, inputOf(c, deps, { form, shown }));
  } catch (error) {
    return await editView(c, deps, { upstream, form, error });
  }
  return c.redirect(`/admin/upstreams?done=saved#upstream-${upstream.id}`, 303);
}

/** @throws RouterError (400) when the form is invalid, with the reason */
function inputOf(
  c: AdminContext,
  { now }: ViewDeps,
  { form, shown }: { readonly form: UpstreamForm; readonly shown: UpstreamForm | null },
): UpstreamInput {
  const input = toInput(form, pageContext(c, now()).m, shown);
  if ("problem" in input) throw new RouterError(400, "invalid_request", input.problem);
  return input;
}

async function enable(c: AdminContext, deps: ViewDeps, { id }: UpstreamView): Promise<Response> {
  const isEnabled = c.req.param("action") === "enable";
  try {
    await deps.service.editUpstream(id, { isEnabled });
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error) });
  }
  return c.redirect(`/admin/upstreams?done=${isEnabled ? "enabled" : "disabled"}#upstream-${id}`, 303);
}

async function move(c: AdminContext, deps: ViewDeps, { id }: UpstreamView): Promise<Response> {
  const { place } = await formFieldsOf(c);
  try {
    await deps.service.moveUpstream(id, Number(place));
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error) });
  }
  return c.redirect(`/admin/upstreams?done=moved#upstream-${id}`, 303);
}

async function test(c: AdminContext, deps: ViewDeps, { id }: UpstreamView): Promise<Response> {
  try {
    return await list(c, deps, { tested: { id, result: await deps.service.testUpstream(id) } });
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error) });
  }
}

function confirmRemoval(
  c: AdminContext,
  { now }: ViewDeps,
  { id, name }: UpstreamView,
): Response | Promise<Response> {
  const page = pageContext(c, now());
  return draw(
    c,
    <Confirm
      page={page}
      current="upstreams"
      title={page.m.removeUpstreamTitle(name)}
      text={page.m.removeUpstreamText}
      action={`/admin/upstreams/${id}/remove`}
      button={page.m.remove}
      back={`/admin/upstreams#upstream-${id}`}
    />,
  );
}

async function remove(c: AdminContext, deps: ViewDeps, { id }: UpstreamView): Promise<Response> {
  try {
    await deps.service.removeUpstream(id);
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error) });
  }
  return c.redirect("/admin/upstreams?done=removed", 303);
}
