/**
 * Deletes statistics of times that nobody asks for any more.
 *
 * A replica deletes its own while it lives, and this those of all: a journal that is gone for ever has nobody else.
 */
import { RESOLUTIONS } from "../stats/tally.ts";
import { USAGE_RESOLUTIONS } from "../stats/usage_tally.ts";
import type { PgStore } from "./query.ts";

const KEPT = [["request_stats", RESOLUTIONS], ["usage_stats", USAGE_RESOLUTIONS]] as const;

/** @throws PgError */
export async function deleteOldStatistics(database: Pick<PgStore, "write">, nowMs: number): Promise<void> {
  for (const [table, resolutions] of KEPT) {
    await database.write(async (query) => {
      for (const { stepSeconds, keepSeconds } of resolutions) {
        await query(`DELETE FROM oar.${table} WHERE step_seconds = $1 AND at < $2`, [
          stepSeconds,
          Math.floor(nowMs / 1000) - keepSeconds,
        ]);
      }
    });
  }
}
