/**
 * The models that upstreams list.
 *
 * Owns the tables `upstream_model_lists` and `upstream_models`: a cache, of which a server reads its own part when it
 * starts, and which `list --models`, the page and the doctor show. A list holds for one endpoint and key.
 */
import type { DatabaseSync } from "node:sqlite";
import { type ListedUpstream, type ModelList, NO_ENDPOINT } from "../../core/model_catalog.ts";
import type { ListedModel } from "../../core/model_list_text.ts";
import { fromGoTime, toGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { text } from "../database/values.ts";

/** Of a list that has more models than were read; the problem of the latest asking may follow. */
const INCOMPLETE = "incomplete";

/** How the column `problem` says what a list is. */
export function storedProblem({ list, problem }: Pick<ListedUpstream, "list" | "problem">): string | null {
  if (list === null || list.isWhole) return problem;
  return problem === null ? INCOMPLETE : `${INCOMPLETE}: ${problem}`;
}

/** A row of `upstream_model_lists`, times in milliseconds since the Unix epoch. */
export interface ListRow {
  readonly upstreamId: number;
  readonly target: string;
  readonly askedAtMs: number | null;
  /** null: it never gave a list. */
  readonly listedAtMs: number | null;
  readonly problem: string | null;
}

/** The inverse of what is stored. */
export function listedUpstream(row: ListRow, models: readonly ListedModel[]): ListedUpstream {
  const { upstreamId, target, askedAtMs, listedAtMs, problem } = row;
  const isWhole = !(problem?.startsWith(INCOMPLETE) ?? false);
  const list: ModelList | null = listedAtMs === null ? null : { models, isWhole, listedAtMs };
  const stated = isWhole ? problem : problem?.slice(INCOMPLETE.length + 2) || null;
  return { upstreamId, target, askedAtMs: askedAtMs ?? 0, list, problem: stated };
}

/** Replaces what was stored of the upstream. @param asked null: it is gone, or has another endpoint or key */
export function putModelList(db: DatabaseSync, upstreamId: number, asked: ListedUpstream | null): void {
  inTransaction(db, () => {
    prepared(db, "DELETE FROM upstream_models WHERE upstream_id = ?").run(upstreamId);
    prepared(db, "DELETE FROM upstream_model_lists WHERE upstream_id = ?").run(upstreamId);
    if (asked === null) return;
    const { target, askedAtMs, list } = asked;
    prepared(
      db,
      `INSERT INTO upstream_model_lists(upstream_id, target, asked_at, listed_at, problem) VALUES (?, ?, ?, ?, ?)`,
    ).run(
      upstreamId,
      target,
      toGoTime(askedAtMs),
      list === null ? null : toGoTime(list.listedAtMs),
      storedProblem(asked)?.toWellFormed() ?? null,
    );
    const insert = prepared(
      db,
      "INSERT INTO upstream_models(upstream_id, n, model, raw) VALUES (?, ?, ?, ?)",
    );
    list?.models.forEach(({ id, raw }, place) => insert.run(upstreamId, place + 1, id, raw));
  });
}

/**
 * What is stored of all upstreams, by id. Reads databases of older versions, too.
 *
 * @param options without the objects, only the names are read
 */
export function listModelLists(
  db: DatabaseSync,
  { hasObjects }: { readonly hasObjects: boolean },
): ListedUpstream[] {
  const hasTable = prepared(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  if (hasTable.get("upstream_models") === undefined) return [];
  const models = new Map<number, ListedModel[]>();
  const columns = `upstream_id, CAST(model AS BLOB) AS model${
    hasObjects ? ", CAST(raw AS BLOB) AS raw" : ""
  }`;
  for (
    const row of prepared(db, `SELECT ${columns} FROM upstream_models ORDER BY upstream_id, n`).iterate()
  ) {
    const upstreamId = Number(row["upstream_id"]);
    const own = models.get(upstreamId) ?? [];
    models.set(upstreamId, own);
    own.push({ id: text(row["model"]) ?? "", raw: text(row["raw"]) });
  }
  const times = "CAST(asked_at AS BLOB) AS asked_at, CAST(listed_at AS BLOB) AS listed_at";
  const rows = prepared(
    db,
    `SELECT upstream_id, CAST(target AS BLOB) AS target, CAST(problem AS BLOB) AS problem, ${times}
      FROM upstream_model_lists ORDER BY upstream_id`,
  ).all();
  return rows.map((row) => {
    const upstreamId = Number(row["upstream_id"]);
    return listedUpstream({
      upstreamId,
      target: text(row["target"]) ?? "",
      askedAtMs: fromGoTime(text(row["asked_at"]) ?? ""),
      listedAtMs: fromGoTime(text(row["listed_at"]) ?? ""),
      problem: text(row["problem"]),
    }, models.get(upstreamId) ?? []);
  });
}

/** Why there is no list of an upstream's present endpoint and key, for people; null: nobody has asked for it. */
export function modelsProblem(
  lists: readonly ListedUpstream[],
  { id, target }: { readonly id: number; readonly target: string },
): string | null {
  const found = lists.find(({ upstreamId }) => upstreamId === id);
  if (found?.target !== target) return null;
  return found.problem === NO_ENDPOINT ? "it has no list of models" : found.problem;
}

/** The names of an upstream's models, of its present endpoint and key; null: they are not known. */
export function modelNames(
  lists: readonly ListedUpstream[],
  { id, target }: { readonly id: number; readonly target: string },
): readonly string[] | null {
  const found = lists.find(({ upstreamId }) => upstreamId === id);
  if (found?.target !== target || found.list === null) return null;
  return found.list.models.map(({ id: model }) => model);
}
