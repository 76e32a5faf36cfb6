/**
 * A thread that may do nothing but reach the hosts of a PostgreSQL database: reads one value, and posts it.
 */
import { messageOf } from "../../src/core/errors.ts";
import { PgDatabase } from "../../src/store/postgres/pool.ts";
import type { PgTarget } from "../../src/store/postgres/target.ts";
import { systemClock } from "../../src/server/clock.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<PgTarget>) => void;
  postMessage(answer: unknown): void;
};

scope.onmessage = async ({ data: target }) => {
  const db = new PgDatabase(target, { clock: systemClock });
  try {
    scope.postMessage({ rows: await db.read("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") });
  } catch (error) {
    scope.postMessage({ error: messageOf(error) });
  }
  await db.close();
};
