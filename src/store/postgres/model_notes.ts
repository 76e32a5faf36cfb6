/**
 * Lists of models on their way to PostgreSQL, where `list --models` and the other replicas' operators see them. The list of
 * the replica that asked last counts.
 */
import type { ListedUpstream } from "../../core/model_catalog.ts";
import { storedProblem } from "../config/upstream_models.ts";
import { type PgQuery, type PgStore, pgTime } from "./query.ts";

const DELETE = [
  "DELETE FROM oar.upstream_models WHERE upstream_id = $1",
  "DELETE FROM oar.upstream_model_lists WHERE upstream_id = $1",
];
const PUT_LIST = `INSERT INTO oar.upstream_model_lists (upstream_id, target, asked_at, listed_at, problem)
  VALUES ($1, $2, $3::timestamptz, $4::timestamptz, $5)`;
const PUT_MODELS = `INSERT INTO oar.upstream_models (upstream_id, n, model, raw)
  SELECT $1::bigint, n, model, raw FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS listed(model, raw, n)`;
/** Two replicas that note the same upstream wait for each other. */
const LOCK = "SELECT pg_advisory_xact_lock(hashtext('oar.upstream_models'), $1::bigint::int)";

export class ModelNotes {
  readonly #database: Pick<PgStore, "write">;
  /** By upstream; null: what is stored is to be deleted. */
  readonly #waiting = new Map<number, ListedUpstream | null>();

  constructor(database: Pick<PgStore, "write">) {
    this.#database = database;
  }

  add(upstreamId: number, asked: ListedUpstream | null): void {
    this.#waiting.set(upstreamId, asked);
  }

  /** Writes what waits; what cannot be written waits on. @throws PgError */
  async flush(): Promise<void> {
    for (const [id, asked] of [...this.#waiting]) {
      await this.#database.write((query) => put(query, id, asked));
      if (this.#waiting.get(id) === asked) this.#waiting.delete(id);
    }
  }
}

async function put(query: PgQuery, id: number, asked: ListedUpstream | null): Promise<void> {
  await query(LOCK, [id]);
  for (const statement of DELETE) await query(statement, [id]);
  if (asked === null) return;
  const { target, askedAtMs, list } = asked;
  const listedAt = list === null ? null : pgTime(list.listedAtMs);
  await query(PUT_LIST, [id, target, pgTime(askedAtMs), listedAt, storedProblem(asked)]);
  if (list === null || list.models.length === 0) return;
  await query(PUT_MODELS, [id, list.models.map((model) => model.id), list.models.map(({ raw }) => raw)]);
}
