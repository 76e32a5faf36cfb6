/**
 * The last failed attempt of each upstream, at any replica.
 */
import type { LastFailure } from "../../read/messages.ts";
import { type Row, toAttempt } from "../../read/record_decoding.ts";
import { isBlamed } from "../../read/record_filter.ts";
import type { PgStore } from "../query.ts";
import { numbers, safeTimeText } from "./columns.ts";

/** In the order of the ids; without the upstreams at which none has failed. @throws PgError */
export async function readLastFailures(
  db: Pick<PgStore, "read">,
  upstreamIds: readonly number[],
): Promise<LastFailure[]> {
  const rows = await db.read<Row>(
    `SELECT ${
      numbers(["upstream_id", "n", "status", "duration_ms"], "last")
    }, last.started_at, last.error_class,
        last.error
      FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (id, place) CROSS JOIN LATERAL (
        SELECT a.upstream_id, a.n, a.status, a.duration_ms, ${safeTimeText("a.started_at")} AS started_at,
          a.error_class, a.error
        FROM oar.attempts a
        WHERE a.upstream_id = asked.id AND a.error_class IS NOT NULL AND ${isBlamed("a")}
        ORDER BY a.created_at DESC, a.record_id DESC, a.n DESC LIMIT 1
      ) last ORDER BY asked.place`,
    [upstreamIds.filter(Number.isSafeInteger)],
  );
  return rows.map(toAttempt).map(({ upstreamId, startedAtMs, errorClass, message, status }) => ({
    upstreamId,
    atMs: startedAtMs,
    errorClass: errorClass ?? "",
    message: message ?? (status === null ? "" : `HTTP ${status}`),
  }));
}
