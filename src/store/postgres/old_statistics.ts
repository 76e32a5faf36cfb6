/**
 * Deletes statistics of times that nobody asks for any more.
 *
 * A replica deletes its own while it lives, and this those of all: a journal that is gone for ever has nobody else.
 */
import { RESOLUTIONS } from "../stats/tally.ts";
import type { PgStore } from "./query.ts";

const TABLES = ["request_stats", "usage_stats"] as const;

/** @throws PgError */
export async function deleteOldStatistics(database: Pick<PgStore, "write">, nowMs: number): Promise<void> {
  for (const table of TABLES) {
    await database.write(async (query) => {
      for (const { stepSeconds, keepSeconds } of RESOLUTIONS) {
        await query(`DELETE FROM oar.${table} WHERE step_seconds = $1 AND at < $2`, [
          stepSeconds,
          Math.floor(nowMs / 1000) - keepSeconds,
        ]);
      }
    });
  }
}
