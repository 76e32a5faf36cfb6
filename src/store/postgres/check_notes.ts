/**
 * Upstreams that have answered this replica, on their way to PostgreSQL, where the others see it.
 */
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import type { PgStore } from "./query.ts";

const PUT = `INSERT INTO oar.upstream_checks (upstream_id, target, checked_at)
  SELECT upstream_id, target, now() FROM unnest($1::bigint[], $2::text[]) AS notes(upstream_id, target)
  ON CONFLICT (upstream_id) DO UPDATE SET target = excluded.target, checked_at = excluded.checked_at
    WHERE upstream_checks.target <> excluded.target`;

export class CheckNotes {
  readonly #database: Pick<PgStore, "write">;
  /** By upstream. */
  readonly #waiting = new Map<number, UpstreamCheck>();

  constructor(database: Pick<PgStore, "write">) {
    this.#database = database;
  }

  add(check: UpstreamCheck): void {
    this.#waiting.set(check.upstreamId, check);
  }

  /** Writes what waits; what cannot be written waits on. @throws PgError */
  async flush(): Promise<void> {
    const checks = [...this.#waiting.values()];
    if (checks.length === 0) return;
    await this.#database.write((query) =>
      query(PUT, [checks.map(({ upstreamId }) => upstreamId), checks.map(({ target }) => target)])
    );
    for (const check of checks) {
      if (this.#waiting.get(check.upstreamId) === check) this.#waiting.delete(check.upstreamId);
    }
  }
}
