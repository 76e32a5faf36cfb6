/**
 * The JSON API below `/admin/api`, and the older Go program's `/admin/upstreams`.
 *
 * Owns the paths; inputs are checked by schemas.ts, everything else is the service's. Runs behind the login.
 */
import { type Context, Hono } from "hono";
import { RouterError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import type { AdminEnv } from "./env.ts";
import { goRoutes } from "./go_alias.ts";
import { bodyOf, parameterOf, queryOf } from "./input.ts";
import { openApiDocument } from "./openapi.ts";
import * as schemas from "./schemas.ts";
import type { AdminService, UpstreamView } from "../../control/admin_service.ts";
import type { DaySpan } from "../../control/cost_spans.ts";
import { costCsv } from "../../control/cost_table.ts";
import { BYTE_ORDER_MARK } from "../../control/csv_cell.ts";
import { noSuchUpstream } from "../../control/upstreams.ts";
import { recordRoutes } from "./record_routes.ts";
import { EventStreams } from "./streams.ts";

export interface ApiDeps {
  readonly service: AdminService;
  readonly clock: Clock;
  /** Of the program. */
  readonly version: string;
  /** Aborts when the server stops, which ends every event stream. */
  readonly ending: AbortSignal;
}

/** To be mounted at `/admin`. */
export function apiRoutes(deps: ApiDeps): Hono<AdminEnv> {
  const { service } = deps;
  const api = new Hono<AdminEnv>();
  let document: ReturnType<typeof openApiDocument> | null = null;
  api.get("/openapi.json", (c) => c.json(document ??= openApiDocument(deps.version)));
  upstreamRoutes(api, service);
  api.get("/models", async (c) => c.json(await service.models(queryOf(c, schemas.modelQuery).search ?? "")));
  api.get("/tokens", async (c) => c.json(await service.tokens()));
  api.post("/tokens", async (c) => {
    const { name, value, force = false, ...rules } = await bodyOf(c, schemas.newToken);
    const chosen = value === undefined ? null : { value, isShortAllowed: force };
    return c.json(await service.addToken({ ...given(rules), name }, chosen), 201);
  });
  api.patch("/tokens/:name", async (c) => {
    const changes = given(await bodyOf(c, schemas.tokenChanges));
    return c.json(await service.editToken(c.req.param("name"), changes));
  });
  api.post("/tokens/:name/rotate", async (c) => c.json(await service.rotateToken(c.req.param("name"))));
  api.get("/tokens/:name/spending", async (c) => c.json(await service.tokenSpending(c.req.param("name"))));
  api.delete("/tokens/:name", async (c) => {
    await service.removeToken(c.req.param("name"));
    return c.body(null, 204);
  });
  recordRoutes(api, service);
  api.get("/stats", async (c) => c.json(await service.stats(spanOf(queryOf(c, schemas.statsQuery)))));
  api.get("/usage", async (c) => c.json(await service.usage(spanOf(queryOf(c, schemas.statsQuery)))));
  costRoutes(api, service);
  api.get("/status", async (c) => c.json({ ...await service.status(), refused: service.refused() }));
  api.put("/policy", async (c) => {
    const { policy } = await bodyOf(c, schemas.policy);
    const { isPolicyFixed, ...status } = await service.setPolicy(policy);
    return c.json({ policy: status.policy, isPolicyFixed });
  });
  api.post("/channels/:name/test", async (c) => c.json(await service.testChannel(c.req.param("name"))));
  api.get("/settings", (c) => c.json(service.settings()));
  streamRoutes(api, deps);
  api.all("*", (c) => {
    throw new RouterError(
      404,
      "not_found",
      `Nothing is here: ${c.req.method} ${c.req.path}; see /admin/api/openapi.json`,
    );
  });
  return new Hono<AdminEnv>().route("/api", api).route("/", goRoutes(service));
}

function spanOf<Range extends string>(
  { range, since, until }: {
    readonly range: Range;
    readonly since?: number | undefined;
    readonly until?: number | undefined;
  },
): Range | DaySpan {
  if (since === undefined) return range;
  return { sinceMs: since, untilMs: until ?? Number.MAX_SAFE_INTEGER };
}

function costRoutes(api: Hono<AdminEnv>, service: AdminService): void {
  api.get("/costs", async (c) => c.json(await service.costs(spanOf(queryOf(c, schemas.costsQuery)))));
  api.get("/costs/export", async (c) => {
    const { by, ...span } = queryOf(c, schemas.costsFileQuery);
    const lines = costCsv(await service.costs(spanOf(span)), by);
    c.header("content-type", "text/csv; charset=utf-8");
    c.header("content-disposition", `attachment; filename="costs-by-${by}.csv"`);
    return c.body(`${BYTE_ORDER_MARK}${lines.join("\r\n")}\r\n`);
  });
}

function upstreamRoutes(api: Hono<AdminEnv>, service: AdminService): void {
  const idOf = (c: Context<AdminEnv>): number => parameterOf(c, "id", schemas.rowId);
  api.get("/upstreams", async (c) => c.json((await service.upstreams()).map(asAnswer)));
  api.post("/upstreams", async (c) => {
    const input = await bodyOf(c, schemas.newUpstream, withKey);
    return c.json(asAnswer(await service.addUpstream(given(input))), 201);
  });
  api.get("/upstreams/:id", async (c) => c.json(asAnswer(await oneOf(service, idOf(c)))));
  api.patch("/upstreams/:id", async (c) => {
    const { addKeys = [], removeKeys = [], ...changes } = await bodyOf(c, schemas.upstreamEdit, withKey);
    const edit = { ...given(changes), addKeys, removeKeys: removeKeys.map(String) };
    return c.json(asAnswer(await service.editUpstream(idOf(c), edit)));
  });
  api.delete("/upstreams/:id", async (c) => {
    await service.removeUpstream(idOf(c));
    return c.body(null, 204);
  });
  api.post("/upstreams/:id/move", async (c) => {
    const { place } = await bodyOf(c, schemas.place);
    await service.moveUpstream(idOf(c), place);
    return c.json((await service.upstreams()).map(asAnswer));
  });
  api.post("/upstreams/:id/test", async (c) => c.json(await service.testUpstream(idOf(c))));
}

/** `state` is what programs read before there was `condition`. */
function asAnswer({ state, breaker, ...rest }: UpstreamView) {
  return { ...rest, condition: state, state: breaker };
}

/**
 * `sk` is the key, too: the database and the Go program call it so; and `keys` are several, in an array. With `key` beside
 * them they are unknown fields.
 */
function withKey(body: unknown): unknown {
  if (typeof body !== "object" || body === null || Object.hasOwn(body, "key")) return body;
  if (Object.hasOwn(body, "keys") && !Object.hasOwn(body, "sk")) {
    const { keys, ...rest } = body as { keys: unknown };
    const isList = Array.isArray(keys) && keys.every((key) => typeof key === "string");
    return { ...rest, key: isList ? keys.join("\n") : keys };
  }
  if (!Object.hasOwn(body, "sk")) return body;
  const { sk: key, ...rest } = body as { sk: unknown };
  return { ...rest, key };
}

async function oneOf(service: AdminService, id: number): Promise<UpstreamView> {
  const found = (await service.upstreams()).find((each) => each.id === id);
  if (found === undefined) throw noSuchUpstream(id);
  return found;
}

function streamRoutes(api: Hono<AdminEnv>, { service, clock, ending }: ApiDeps): void {
  const streams = new EventStreams({ clock, ending });
  api.get("/live", () => {
    const response = streams.open((sink) => {
      sink.send("in_flight", service.live());
      sink.send("waiting", service.waiting());
      return service.subscribe((event) => {
        if (event.type === "finished") return sink.send("finished", event.record);
        sink.send("in_flight", event.requests);
        sink.send("waiting", service.waiting());
      });
    });
    return response ?? nothingToWatch();
  });
  api.get("/live/:requestId", (c) => {
    const requestId = parameterOf(c, "requestId", schemas.recordId);
    const response = streams.open((sink) =>
      service.watch(requestId, ({ type, ...data }) => {
        sink.send(type, data);
        if (type === "ended") sink.end();
      })
    );
    return response ?? nothingToWatch();
  });
}

function nothingToWatch(): never {
  throw new RouterError(
    404,
    "not_found",
    "No request of that id is under way; a finished one is among the records",
  );
}

/** Without the fields that were not given, which must stay as they are. */
function given<Input extends object>(input: Input): Given<Input> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Given<Input>;
}

type Given<Input> = { [Field in keyof Input]: Exclude<Input[Field], undefined> };
