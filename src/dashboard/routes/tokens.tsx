/**
 * The routes below `/admin/tokens`.
 */
import { type Context, Hono } from "hono";
import type { TokenView } from "../../control/admin_service.ts";
import { RouterError } from "../../core/errors.ts";
import type { AdminEnv } from "../../http/admin/env.ts";
import { formFieldsOf } from "../../http/admin/input.ts";
import { pageContext } from "../page_context.ts";
import {
  EMPTY_TOKEN_FORM,
  readTokenForm,
  type TokenForm,
  tokenFormOf,
  tokenInput,
  tokenKey,
} from "../token_form.ts";
import { Confirm } from "../views/confirm.tsx";
import { TokenPage } from "../views/tokens/token.tsx";
import { TokenEdit } from "../views/tokens/edit.tsx";
import { Tokens, type TokensProps } from "../views/tokens.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { problemOf } from "./problem.ts";

/** Records that the page of a token shows. */
const LATEST = 10;

type AdminContext = Context<AdminEnv>;

export function tokenRoutes(deps: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  routes.get("/", (c) => list(c, deps));
  routes.post("/", (c) => add(c, deps));
  routes.get("/show", (c) => show(c, deps));
  routes.get("/edit", async (c) => {
    const token = await find(c, deps, c.req.query("which") ?? "");
    return editView(c, deps, { token, form: tokenFormOf(token) });
  });
  routes.post("/edit", (c) => save(c, deps));
  routes.post("/:action{enable|disable}", (c) => enable(c, deps));
  routes.get(
    "/rotate",
    async (c) => confirmRotation(c, deps, await find(c, deps, c.req.query("which") ?? "")),
  );
  routes.post("/rotate", (c) => rotate(c, deps));
  routes.get("/revoke", (c) => confirmRevocation(c, deps, { name: c.req.query("name") ?? "" }));
  routes.post("/revoke", async (c) => {
    const name = await fieldOf(c, "name");
    try {
      await deps.service.removeToken(name);
    } catch (error) {
      return await confirmRevocation(c, deps, { name, problem: problemOf(c, error) });
    }
    return c.redirect("/admin/tokens?done=revoked", 303);
  });
  return routes;
}

async function list(
  c: AdminContext,
  { service, now }: ViewDeps,
  shown: Partial<Pick<TokensProps, "made" | "problem" | "form">> = {},
): Promise<Response> {
  return await draw(
    c,
    <Tokens
      page={pageContext(c, now())}
      tokens={await service.tokens()}
      made={null}
      problem={null}
      form={EMPTY_TOKEN_FORM}
      {...shown}
    />,
  );
}

async function add(c: AdminContext, deps: ViewDeps): Promise<Response> {
  const form = readTokenForm(await formFieldsOf(c));
  try {
    const input = { ...tokenInput(form, EMPTY_TOKEN_FORM, deps.now()), name: form.name };
    // No redirect: only this response shows the secret.
    return await list(c, deps, { made: await deps.service.addToken(input, null) });
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error), form });
  }
}

async function show(c: AdminContext, deps: ViewDeps): Promise<Response> {
  const { service, now } = deps;
  const token = await find(c, deps, c.req.query("which") ?? "");
  const { name } = token;
  const [spending, costs, { records }] = await Promise.all([
    token.id === null ? null : service.tokenSpending(tokenKey(token)),
    service.costs("30d"),
    service.records({ limit: LATEST, filter: { client: name } }),
  ]);
  const shown = { token, spending, costs, records };
  return await draw(c, <TokenPage page={pageContext(c, now())} {...shown} />);
}

/** @throws RouterError 404 */
async function find(c: AdminContext, { service, now }: ViewDeps, which: string): Promise<TokenView> {
  const token = (await service.tokens()).find((each) => tokenKey(each) === which);
  if (token !== undefined) return token;
  throw new RouterError(404, "not_found", pageContext(c, now()).m.notFoundText);
}

function editView(
  c: AdminContext,
  { now }: ViewDeps,
  { token, form, problem = null }: { token: TokenView; form: TokenForm; problem?: string | null },
): Response | Promise<Response> {
  return draw(c, <TokenEdit page={pageContext(c, now())} token={token} form={form} problem={problem} />);
}

async function save(c: AdminContext, deps: ViewDeps): Promise<Response> {
  const fields = await formFieldsOf(c);
  const token = await find(c, deps, textOf(fields["which"]));
  const form = readTokenForm(fields);
  try {
    const input = tokenInput(form, tokenFormOf(token), deps.now());
    if (Object.keys(input).length > 0) await deps.service.editToken(tokenKey(token), input);
  } catch (error) {
    return await editView(c, deps, { token, form, problem: problemOf(c, error) });
  }
  return c.redirect("/admin/tokens?done=tokenSaved", 303);
}

async function enable(c: AdminContext, deps: ViewDeps): Promise<Response> {
  const isEnabled = c.req.param("action") === "enable";
  try {
    await deps.service.editToken(await fieldOf(c, "which"), { isEnabled });
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error) });
  }
  return c.redirect(`/admin/tokens?done=${isEnabled ? "tokenEnabled" : "tokenDisabled"}`, 303);
}

async function rotate(c: AdminContext, deps: ViewDeps): Promise<Response> {
  try {
    return await list(c, deps, { made: await deps.service.rotateToken(await fieldOf(c, "which")) });
  } catch (error) {
    return await list(c, deps, { problem: problemOf(c, error) });
  }
}

function confirmRotation(c: AdminContext, { now }: ViewDeps, token: TokenView): Response | Promise<Response> {
  const page = pageContext(c, now());
  return draw(
    c,
    <Confirm
      page={page}
      current="tokens"
      title={page.m.rotateTitle(token.name)}
      text={page.m.rotateText}
      action="/admin/tokens/rotate"
      fields={{ which: tokenKey(token) }}
      button={page.m.rotate}
      back="/admin/tokens"
    />,
  );
}

async function confirmRevocation(
  c: AdminContext,
  { service, now }: ViewDeps,
  { name, problem = null }: { name: string; problem?: string | null },
): Promise<Response> {
  const page = pageContext(c, now());
  const isLast = (await service.tokens()).length === 1;
  return await draw(
    c,
    <Confirm
      page={page}
      current="tokens"
      title={page.m.revokeTitle(name)}
      text={page.m.revokeText}
      warning={isLast ? page.m.revokeLast : null}
      action="/admin/tokens/revoke"
      fields={{ name }}
      button={page.m.revoke}
      back="/admin/tokens"
      problem={problem}
    />,
  );
}

async function fieldOf(c: AdminContext, name: string): Promise<string> {
  return textOf((await formFieldsOf(c))[name]);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim() : "";
}
