/**
 * The addresses below `/admin/upstreams`.
 */
import { type Context, Hono } from "hono";
import { RouterError } from "../core/errors.ts";
import type { AdminEnv } from "../http/admin/env.ts";
import { formFieldsOf } from "../http/admin/input.ts";
import { refusalOf } from "../http/admin/refusal.ts";
import type { UpstreamInput, UpstreamView } from "../control/admin_service.ts";
import { draw, type ViewDeps } from "./draw.ts";
import { pageContext } from "./page_context.ts";
import { problemOf } from "./problem.ts";
import { EMPTY_FORM, formOf, readForm, toInput, type UpstreamForm } from "./upstream_form.ts";
import { Confirm } from "./views/confirm.tsx";
import { UpstreamEdit } from "./views/upstream_edit.tsx";
import { Upstreams, type UpstreamsProps } from "./views/upstreams.tsx";

export function upstreamRoutes({ service, now }: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();

  const view = async (
    c: Context<AdminEnv>,
    { tested = null, problem = null, form = EMPTY_FORM }:
      & Partial<Pick<UpstreamsProps, "tested" | "problem" | "form">>
      & Record<never, never> = {},
  ): Promise<Response> =>
    await draw(
      c,
      <Upstreams
        page={pageContext(c, now())}
        upstreams={await service.upstreams()}
        stats={await service.stats("24h")}
        tested={tested}
        problem={problem}
        form={form}
      />,
    );
  const find = async (c: Context<AdminEnv>): Promise<UpstreamView> => {
    const upstream = (await service.upstreams()).find(({ id }) => String(id) === c.req.param("id"));
    if (upstream !== undefined) return upstream;
    throw new RouterError(404, "not_found", pageContext(c, now()).m.notFoundText);
  };
  const edit = (
    c: Context<AdminEnv>,
    { id, name }: UpstreamView,
    form: UpstreamForm,
    error: unknown = null,
  ) =>
    draw(
      c,
      <UpstreamEdit
        page={pageContext(c, now())}
        id={id}
        name={name}
        form={form}
        problem={error === null ? null : problemOf(c, error)}
        isKeyRequired={refusalOf(error)?.code === "key_required"}
      />,
    );
  /** Understands a form, or says why not. */
  const inputOf = (c: Context<AdminEnv>, form: UpstreamForm): UpstreamInput => {
    const input = toInput(form, pageContext(c, now()).m);
    if ("problem" in input) throw new RouterError(400, "invalid_request", input.problem);
    return input;
  };

  routes.get("/", (c) => view(c));
  routes.post("/", async (c) => {
    const form = readForm(await formFieldsOf(c));
    try {
      const { id } = await service.addUpstream(inputOf(c, form));
      return c.redirect(`/admin/upstreams?done=added#upstream-${id}`, 303);
    } catch (error) {
      return await view(c, { problem: problemOf(c, error), form });
    }
  });
  routes.get("/:id{\\d+}", async (c) => {
    const upstream = await find(c);
    return edit(c, upstream, formOf(upstream));
  });
  routes.post("/:id{\\d+}", async (c) => {
    const upstream = await find(c);
    const form = readForm(await formFieldsOf(c));
    try {
      await service.editUpstream(upstream.id, inputOf(c, form));
    } catch (error) {
      return edit(c, upstream, form, error);
    }
    return c.redirect(`/admin/upstreams?done=saved#upstream-${upstream.id}`, 303);
  });
  routes.post("/:id{\\d+}/:action{enable|disable}", async (c) => {
    const { id } = await find(c);
    const isEnabled = c.req.param("action") === "enable";
    try {
      await service.editUpstream(id, { isEnabled });
    } catch (error) {
      return await view(c, { problem: problemOf(c, error) });
    }
    return c.redirect(`/admin/upstreams?done=${isEnabled ? "enabled" : "disabled"}#upstream-${id}`, 303);
  });
  routes.post("/:id{\\d+}/move", async (c) => {
    const { id } = await find(c);
    const { place } = await formFieldsOf(c);
    try {
      await service.moveUpstream(id, Number(place));
    } catch (error) {
      return await view(c, { problem: problemOf(c, error) });
    }
    return c.redirect(`/admin/upstreams?done=moved#upstream-${id}`, 303);
  });
  routes.post("/:id{\\d+}/test", async (c) => {
    const { id } = await find(c);
    try {
      return await view(c, { tested: { id, result: await service.testUpstream(id) } });
    } catch (error) {
      return await view(c, { problem: problemOf(c, error) });
    }
  });
  routes.get("/:id{\\d+}/remove", async (c) => {
    const { id, name } = await find(c);
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
  });
  routes.post("/:id{\\d+}/remove", async (c) => {
    const { id } = await find(c);
    try {
      await service.removeUpstream(id);
    } catch (error) {
      return await view(c, { problem: problemOf(c, error) });
    }
    return c.redirect("/admin/upstreams?done=removed", 303);
  });
  return routes;
}
