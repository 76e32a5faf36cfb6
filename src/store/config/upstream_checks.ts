/**
 * Which upstreams have answered a request or a test, and which have refused to be asked for usage.
 *
 * Owns the table `upstream_checks`. A row holds for one endpoint and key: another one has not been tested. The key is not
 * stored again, only a digest of both.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Upstream } from "../../core/types.ts";
import { targetOf } from "../../core/upstream_target.ts";
import type { UsageRefusal } from "../../core/usage_option.ts";
import { toGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";
import { RESOLUTIONS } from "../stats/tally.ts";
import { text } from "../database/values.ts";

/** Of the statistics; the fewest rows. */
const LONGEST_STEP_SECONDS = Math.max(...RESOLUTIONS.map(({ stepSeconds }) => stepSeconds));

export interface UpstreamCheck {
  readonly upstreamId: number;
  /** See core/upstream_target.ts. */
  readonly target: string;
  /** It has refused to be asked for usage then, and whether it has answered is not said. Absent: it has answered. */
  readonly refusedAtMs?: number;
}

export function putUpstreamChecks(db: DatabaseSync, checks: readonly UpstreamCheck[], nowMs: number): void {
  for (const { upstreamId, target, refusedAtMs } of checks) {
    if (refusedAtMs !== undefined) {
      putUsageRefusal(db, { upstreamId, target, refusedAtMs });
      continue;
    }
    prepared(
      db,
      `INSERT INTO upstream_checks(upstream_id, target, checked_at) VALUES (?, ?, ?)
        ON CONFLICT(upstream_id) DO UPDATE SET target = excluded.target, checked_at = excluded.checked_at,
          usage_refused = CASE WHEN target = excluded.target THEN usage_refused END
          WHERE target <> excluded.target OR checked_at IS NULL`,
    ).run(upstreamId, target, toGoTime(nowMs));
  }
}

/** An upstream of which nothing else is known has not been tested. */
function putUsageRefusal(db: DatabaseSync, { upstreamId, target, refusedAtMs }: UsageRefusal): void {
  prepared(
    db,
    `INSERT INTO upstream_checks(upstream_id, target, usage_refused) VALUES (?, ?, ?)
      ON CONFLICT(upstream_id) DO UPDATE SET usage_refused = excluded.usage_refused,
        checked_at = CASE WHEN target = excluded.target THEN checked_at END, target = excluded.target`,
  ).run(upstreamId, target, refusedAtMs);
}

/** Reads databases of older versions, too. */
export function listUsageRefusals(db: DatabaseSync): readonly UsageRefusal[] {
  const column = "SELECT 1 FROM pragma_table_info('upstream_checks') WHERE name = 'usage_refused'";
  if (prepared(db, column).get() === undefined) return [];
  const noted = `SELECT upstream_id, CAST(target AS BLOB) AS target, CAST(usage_refused AS REAL) AS refused
    FROM upstream_checks WHERE usage_refused IS NOT NULL`;
  return prepared(db, noted).all().map((row) => ({
    upstreamId: Number(row["upstream_id"]),
    target: text(row["target"]) ?? "",
    refusedAtMs: Number(row["refused"]),
  }));
}

/** Which upstreams have answered, by id: with which target; null when that is not known. */
export type UpstreamChecks = ReadonlyMap<number, string | null>;

/** Whether the check is one of this endpoint and key. */
export function isCheckOf(
  checks: UpstreamChecks,
  upstream: Pick<Upstream, "id" | "endpoint" | "sk">,
): boolean {
  const target = checks.get(upstream.id);
  return target === null || target === targetOf(upstream);
}

/** What was answered before there were checks is known from the statistics. Reads databases of older versions, too. */
export function listUpstreamChecks(db: DatabaseSync): UpstreamChecks {
  const checks = new Map<number, string | null>();
  const hasTable = prepared(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  if (hasTable.get("request_stats") !== undefined) {
    const used =
      `SELECT DISTINCT upstream_id FROM request_stats WHERE step_seconds = ? AND latencies <> '{}'`;
    for (const row of prepared(db, used).all(LONGEST_STEP_SECONDS)) {
      checks.set(Number(row["upstream_id"]), null);
    }
  }
  if (hasTable.get("upstream_checks") !== undefined) {
    const noted = `SELECT upstream_id, CAST(target AS BLOB) AS target FROM upstream_checks
      WHERE checked_at IS NOT NULL`;
    for (const row of prepared(db, noted).all()) {
      checks.set(Number(row["upstream_id"]), text(row["target"]) ?? "");
    }
  }
  return checks;
}
