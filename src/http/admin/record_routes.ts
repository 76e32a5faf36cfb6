/**
 * The paths of the JSON API below `/admin/api/records`.
 */
import type { Context, Hono } from "hono";
import type { z } from "zod";
import type { AdminService, RecordDetail } from "../../control/admin_service.ts";
import { exportStream } from "../../control/record_export.ts";
import { type RecordConditions, toRecordFilter } from "../../control/record_conditions.ts";
import { noSuchRecord } from "../../control/records.ts";
import { RouterError } from "../../core/errors.ts";
import type { RecordFilter } from "../../store/store.ts";
import type { AdminEnv } from "./env.ts";
import { optionalBodyOf, parameterOf, queryOf } from "./input.ts";
import * as schemas from "./schemas.ts";

const DEFAULT_LIMIT = 50;
/** Rows of one page of an export; their texts have a bound of their own. */
const EXPORT_PAGE_ROWS = 100;
const MAX_EXPORTS = 4;

export function recordRoutes(api: Hono<AdminEnv>, service: AdminService): void {
  api.get("/records", async (c) => {
    const { limit = DEFAULT_LIMIT, before, ...conditions } = queryOf(c, schemas.recordQuery);
    const page = { limit, filter: await filterOf(conditions, service) };
    return c.json(await service.records(before === undefined ? page : { ...page, beforeId: before }));
  });
  api.get("/records/count", async (c) => {
    const conditions = queryOf(c, schemas.countQuery);
    return c.json(await service.countRecords(await filterOf(conditions, service)));
  });
  const exports = new Exports(service);
  api.get("/records/export", async (c) => {
    const { format, ...conditions } = queryOf(c, schemas.exportQuery);
    return exports.open(c, { format, filter: await filterOf(conditions, service) });
  });
  api.get("/records/:id", async (c) => c.json(await detailOf(c, service)));
  api.delete("/records/:id", async (c) => {
    await service.deleteRecord(parameterOf(c, "id", schemas.recordId));
    return c.body(null, 204);
  });
  api.get("/records/:id/export", async (c) => {
    const detail = await detailOf(c, service);
    c.header("content-disposition", `attachment; filename="record-${detail.record.id}.json"`);
    return c.json(detail);
  });
  api.post("/records/:id/replay", async (c) => {
    const { upstreamId } = await optionalBodyOf(c, schemas.replayTarget);
    return c.json(await service.replay(parameterOf(c, "id", schemas.recordId), upstreamId));
  });
}

async function filterOf(conditions: RecordConditions, service: AdminService): Promise<RecordFilter> {
  const { upstream, tried, failedOn } = conditions;
  const isNaming = [upstream, tried, failedOn].some((which) => which !== undefined && !/^\d+$/.test(which));
  return toRecordFilter(conditions, isNaming ? await service.upstreams() : []);
}

async function detailOf(c: Context<AdminEnv>, service: AdminService): Promise<RecordDetail> {
  const detail = await service.record(parameterOf(c, "id", schemas.recordId));
  if (detail === null) throw noSuchRecord();
  return detail;
}

type Format = z.output<typeof schemas.exportQuery>["format"];

const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  csv: "text/csv; charset=utf-8",
  jsonl: "application/jsonl; charset=utf-8",
};

/** Exports that are being read; limits their number. */
class Exports {
  readonly #service: AdminService;
  #count = 0;

  constructor(service: AdminService) {
    this.#service = service;
  }

  /** @throws RouterError 429 when there are too many */
  open(
    c: Context<AdminEnv>,
    { format, filter }: { readonly format: Format; readonly filter: RecordFilter },
  ): Response {
    if (this.#count >= MAX_EXPORTS) {
      throw new RouterError(
        429,
        "too_many_requests",
        `${MAX_EXPORTS} exports are being read already; wait for one to end`,
      );
    }
    c.header("content-type", CONTENT_TYPES[format]);
    c.header("content-disposition", `attachment; filename="records.${format}"`);
    // A HEAD request reads nothing, and so would never end.
    if (c.req.method === "HEAD") return c.body(null);
    this.#count++;
    let isOpen = true;
    const stream = exportStream(format, {
      page: (beforeId) =>
        this.#service.wholeRecords({
          limit: EXPORT_PAGE_ROWS,
          filter,
          ...(beforeId === undefined ? {} : { beforeId }),
        }),
      onEnd: () => {
        if (isOpen) this.#count--;
        isOpen = false;
      },
    });
    return c.body(stream as ReadableStream<Uint8Array<ArrayBuffer>>);
  }
}
