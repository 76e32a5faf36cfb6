/**
 * Upstreams that have answered this replica, or refused to be asked for usage, on their way to PostgreSQL, where the others see it.
 */
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import type { PgStore } from "./query.ts";

const PUT = `INSERT INTO oar.upstream_checks (upstream_id, target, checked_at)
  SELECT upstream_id, target, now() FROM unnest($1::bigint[], $2::text[]) AS notes(upstream_id, target)
  ON CONFLICT (upstream_id) DO UPDATE SET target = excluded.target, checked_at = excluded.checked_at,
      usage_refused = CASE WHEN upstream_checks.target = excluded.target THEN upstream_checks.usage_refused END
    WHERE upstream_checks.target <> excluded.target OR upstream_checks.checked_at IS NULL`;

const PUT_REFUSAL = `INSERT INTO oar.upstream_checks (upstream_id, target, usage_refused)
  SELECT upstream_id, target, refused FROM unnest($1::bigint[], $2::text[], $3::bigint[])
    AS notes(upstream_id, target, refused)
  ON CONFLICT (upstream_id) DO UPDATE SET target = excluded.target, usage_refused = excluded.usage_refused,
    checked_at = CASE WHEN upstream_checks.target = excluded.target THEN upstream_checks.checked_at END`;

export class CheckNotes {
  readonly #database: Pick<PgStore, "write">;
  /** By upstream, and by what is said of it. */
  readonly #waiting = new Map<string, UpstreamCheck>();

  constructor(database: Pick<PgStore, "write">) {
    this.#database = database;
  }

  add(check: UpstreamCheck): void {
    this.#waiting.set(keyOf(check), check);
  }

  /** Writes what waits; what cannot be written waits on. @throws PgError */
  async flush(): Promise<void> {
    const checks = [...this.#waiting.values()];
    if (checks.length === 0) return;
    const answered = checks.filter(({ refusedAtMs }) => refusedAtMs === undefined);
    const refused = checks.filter(({ refusedAtMs }) => refusedAtMs !== undefined);
    if (answered.length > 0) await this.#database.write((query) => query(PUT, namesOf(answered)));
    if (refused.length > 0) {
      const times = refused.map(({ refusedAtMs = 0 }) => refusedAtMs);
      await this.#database.write((query) => query(PUT_REFUSAL, [...namesOf(refused), times]));
    }
    for (const check of checks) {
      if (this.#waiting.get(keyOf(check)) === check) this.#waiting.delete(keyOf(check));
    }
  }
}

function keyOf({ upstreamId, refusedAtMs }: UpstreamCheck): string {
  return `${upstreamId} ${refusedAtMs === undefined}`;
}

function namesOf(checks: readonly UpstreamCheck[]): [number[], string[]] {
  return [checks.map(({ upstreamId }) => upstreamId), checks.map(({ target }) => target)];
}
