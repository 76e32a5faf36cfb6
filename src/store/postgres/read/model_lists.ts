/**
 * The models that upstreams list, as replicas have put them into PostgreSQL: names only.
 */
import type { ListedUpstream } from "../../../core/model_catalog.ts";
import { listedUpstream, type ListRow } from "../../config/upstream_models.ts";
import type { PgStore } from "../query.ts";

const SELECT =
  `SELECT upstream_id AS "upstreamId", target, asked_at AS "askedAtMs", listed_at AS "listedAtMs", problem,
  coalesce((SELECT array_to_json(array_agg(model ORDER BY n)) FROM oar.upstream_models AS each
    WHERE each.upstream_id = lists.upstream_id)::text, '[]') AS models
  FROM oar.upstream_model_lists AS lists ORDER BY upstream_id`;

/** @throws PgError */
export async function listRemoteModelLists(database: Pick<PgStore, "read">): Promise<ListedUpstream[]> {
  const rows = await database.read<ListRow & { readonly models: string }>(SELECT);
  return rows.map(({ models, ...row }) => {
    const names = JSON.parse(models) as readonly string[];
    return listedUpstream(row, names.map((id) => ({ id, raw: null })));
  });
}
