/**
 * The routes below `/admin/tokens`.
 */
import { type Context, Hono } from "hono";
import type { AdminEnv } from "../../http/admin/env.ts";
import { formFieldsOf } from "../../http/admin/input.ts";
import { pageContext } from "../page_context.ts";
import { Confirm } from "../views/confirm.tsx";
import { Tokens, type TokensProps } from "../views/tokens.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { problemOf } from "./problem.ts";

type AdminContext = Context<AdminEnv>;

export function tokenRoutes(deps: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  routes.get("/", (c) => list(c, deps));
  routes.post("/", async (c) => {
    const name = await nameOf(c);
    try {
      // No redirect: only this response shows the secret.
      return await list(c, deps, { made: await deps.service.addToken({ name }, null) });
    } catch (error) {
      return await list(c, deps, { problem: problemOf(c, error), name });
    }
  });
  routes.get("/revoke", (c) => confirmRevocation(c, deps, { name: c.req.query("name") ?? "" }));
  routes.post("/revoke", async (c) => {
    const name = await nameOf(c);
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
  shown: Partial<Pick<TokensProps, "made" | "problem" | "name">> = {},
): Promise<Response> {
  return await draw(
    c,
    <Tokens
      page={pageContext(c, now())}
      tokens={await service.tokens()}
      made={null}
      problem={null}
      name=""
      {...shown}
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

async function nameOf(c: AdminContext): Promise<string> {
  const { name } = await formFieldsOf(c);
  return typeof name === "string" ? name.trim() : "";
}
