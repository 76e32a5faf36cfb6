/**
 * A router with PostgreSQL: the real program in a folder of its own, with its journal there, under the name of a
 * database, so that {@link Router.query} reads it.
 */
import { openPg, type Postgres } from "./postgres.ts";
import { Router, type RouterOptions, TEST_TOKEN } from "./router.ts";
import { migrate } from "../../src/store/postgres/migration.ts";
import type { PgDatabase } from "../../src/store/postgres/pool.ts";

/** A URL of the cluster, as most tests use it. */
export function plainUrl(postgres: Postgres): string {
  return postgres.url({ query: "sslmode=disable" });
}

/** Makes the schema, the token of tests, and an upstream for each endpoint. */
export async function prepareSchema(postgres: Postgres, endpoints: readonly string[]): Promise<PgDatabase> {
  const db = openPg(plainUrl(postgres));
  await migrate(db);
  await db.write(async (query) => {
    await query("INSERT INTO oar.config_kvs (key, value) VALUES ('authorization', $1)", [TEST_TOKEN]);
    for (const [place, endpoint] of endpoints.entries()) {
      await query("INSERT INTO oar.openai_upstreams (sk, endpoint, name) VALUES ($1, $2, $3)", [
        `sk-test-${crypto.randomUUID()}`,
        endpoint,
        `upstream-${place + 1}`,
      ]);
    }
  });
  return db;
}

export interface Replica {
  readonly router: Router;
  readonly directory: string;
}

/** @param options its folder is made when it has none, and stays */
export async function startReplica(
  url: string,
  { directory, args = [], ...options }: RouterOptions = {},
): Promise<Replica> {
  const folder = directory ?? await Deno.makeTempDir({ prefix: "oar-replica-" });
  const router = await Router.start({
    ...options,
    directory: folder,
    args: ["--database", url, "--journal", "db.sqlite", ...args],
  });
  return { router, directory: folder };
}
