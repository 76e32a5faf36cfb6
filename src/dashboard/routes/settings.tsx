/**
 * The routes below `/admin/settings`.
 */
import { type Context, Hono } from "hono";
import { RouterError } from "../../core/errors.ts";
import { ORDER_POLICIES } from "../../core/types.ts";
import type { AdminEnv } from "../../http/admin/env.ts";
import { formFieldsOf } from "../../http/admin/input.ts";
import { pageContext } from "../page_context.ts";
import { preferencesOf, writePreferences } from "../preferences.ts";
import { Settings } from "../views/settings.tsx";
import { draw, type ViewDeps } from "./draw.ts";
import { problemOf } from "./problem.ts";

type AdminContext = Context<AdminEnv>;
type Shown = Partial<Pick<Parameters<typeof Settings>[0], "tested" | "problem">>;

export function settingsRoutes(deps: ViewDeps): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  routes.get("/", (c) => view(c, deps));
  routes.post("/channels/test", async (c) => {
    const { channel } = await formFieldsOf(c);
    const name = typeof channel === "string" ? channel : "";
    try {
      return await view(c, deps, { tested: { channel: name, result: await deps.service.testChannel(name) } });
    } catch (error) {
      return await view(c, deps, { problem: problemOf(c, error) });
    }
  });
  routes.post("/policy", async (c) => {
    const { policy } = await formFieldsOf(c);
    const chosen = ORDER_POLICIES.find((each) => each === policy);
    try {
      if (chosen === undefined) throw new RouterError(400, "invalid_request", "There is no such policy");
      await deps.service.setPolicy(chosen);
    } catch (error) {
      return await view(c, deps, { problem: problemOf(c, error) });
    }
    return c.redirect("/admin/settings?done=policySaved#policy", 303);
  });
  return routes;
}

/** `POST /admin/display`: its cookies belong to the folder of that path, which is that of the whole page. */
export async function saveDisplay(c: AdminContext): Promise<Response> {
  const { theme, language, zone } = await formFieldsOf(c);
  writePreferences(c, preferencesOf({ theme, language, zoneChoice: zone }));
  return c.redirect("/admin/settings?done=displaySaved", 303);
}

async function view(c: AdminContext, { service, now }: ViewDeps, shown: Shown = {}): Promise<Response> {
  return await draw(
    c,
    <Settings
      page={pageContext(c, now())}
      settings={service.settings()}
      status={await service.status()}
      tested={null}
      problem={null}
      {...shown}
    />,
  );
}
