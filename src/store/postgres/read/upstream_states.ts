/**
 * Reads what running replicas say of upstreams (`oar.upstream_states`), as ../../config/upstream_states.ts does in SQLite.
 */
import { SHOWN_STATES } from "../../../core/breaker.ts";
import { parseKeyNotes } from "../../../core/key_states.ts";
import type { UpstreamStateNote } from "../../store.ts";
import type { PgStore } from "../query.ts";
import { DEAD_AFTER_SECONDS } from "../replicas.ts";

interface StateRow {
  readonly upstream_id: number;
  readonly state: string;
  readonly until: number | null;
  readonly reason: string | null;
  readonly changed_at: number | null;
  readonly attempts: number | null;
  readonly failed: number | null;
  readonly keys: string | null;
}

/** ECMA-262, section 21.4.1.1: PostgreSQL knows later times. */
const MAX_DATE_MS = 8.64e15;

const LATEST = `SELECT DISTINCT ON (s.upstream_id)
    s.upstream_id, s.state, CASE WHEN isfinite(s.until) THEN s.until END AS until, s.reason,
    CASE WHEN isfinite(s.changed_at) THEN s.changed_at END AS changed_at, s.attempts, s.failed, s.keys
  FROM oar.upstream_states s JOIN oar.instances i ON i.id = s.instance
  WHERE i.heartbeat_at >= now() - make_interval(secs => $1::float8) AND s.state = ANY ($2::text[])
    AND (s.state <> 'closed' OR (s.attempts IS NOT NULL AND s.failed IS NOT NULL) OR s.keys IS NOT NULL)
  ORDER BY s.upstream_id, s.changed_at DESC NULLS LAST, s.instance`;

/** The latest note on each upstream, of replicas that are alive. @throws PgError */
export async function listRemoteUpstreamStates(db: Pick<PgStore, "read">): Promise<UpstreamStateNote[]> {
  const rows = await db.read<StateRow>(LATEST, [DEAD_AFTER_SECONDS, [...SHOWN_STATES]]);
  return rows.flatMap((row) => {
    const state = SHOWN_STATES.find((each) => each === row.state);
    if (state === undefined) return [];
    const { attempts, failed } = row;
    const keys = parseKeyNotes(row.keys);
    if (state === "closed" && keys.length === 0 && (attempts === null || failed === null)) return [];
    return {
      upstreamId: row.upstream_id,
      state,
      untilMs: row.until === null || Math.abs(row.until) > MAX_DATE_MS ? null : row.until,
      reason: row.reason ?? "",
      changedAtMs: row.changed_at ?? 0,
      ...(attempts === null || failed === null ? {} : { failures: { attempts, failed } }),
      ...(keys.length === 0 ? {} : { keys }),
    };
  });
}
