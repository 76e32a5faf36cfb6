/**
 * The addresses below `/admin/tokens`.
 */
import { type Context, Hono } from "hono";
import type { AdminEnv } from "../http/admin/env.ts";
import { formFieldsOf } from "../http/admin/input.ts";
import { draw, type ViewDeps } from "./draw.ts";
import { pageContext } from "./page_context.ts";
import { problemOf } from "./problem.ts";
import { Confirm } from "./views/confirm.tsx";
import { Tokens, type TokensProps } from "./views/tokens.tsx";

export function tokenRoutes({ service, now }: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();

  const view = async (
    c: Context<AdminEnv>,
    { made = null, problem = null, name = "" }: Partial<Pick<TokensProps, "made" | "problem" | "name">> = {},
  ): Promise<Response> =>
    await draw(
      c,
      <Tokens
        page={pageContext(c, now())}
        tokens={await service.tokens()}
        made={made}
        problem={problem}
        name={name}
      />,
    );
  const confirm = async (
    c: Context<AdminEnv>,
    name: string,
    problem: string | null = null,
  ): Promise<Response> => {
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
  };

  routes.get("/", (c) => view(c));
  routes.post("/", async (c) => {
    const name = await nameOf(c);
    try {
      // Not after a redirect: the secret is shown by this answer and by no other.
      return await view(c, { made: await service.addToken(name) });
    } catch (error) {
      return await view(c, { problem: problemOf(c, error), name });
    }
  });
  routes.get("/revoke", (c) => confirm(c, c.req.query("name") ?? ""));
  routes.post("/revoke", async (c) => {
    const name = await nameOf(c);
    try {
      await service.removeToken(name);
    } catch (error) {
      return await confirm(c, name, problemOf(c, error));
    }
    return c.redirect("/admin/tokens?done=revoked", 303);
  });
  return routes;
}

async function nameOf(c: Context<AdminEnv>): Promise<string> {
  const { name } = await formFieldsOf(c);
  return typeof name === "string" ? name.trim() : "";
}
