/**
 * PostgreSQL is reached from a thread that may neither read files nor see the environment.
 */
import assert from "node:assert/strict";
import { parsePgUrl } from "../../../src/store/postgres/url.ts";
import { systemPgEnvironment } from "../../../src/store/postgres/environment.ts";
import { type PgReach, type PgTarget, reachOf } from "../../../src/store/postgres/target.ts";
import { isPostgresMissing, Postgres, SECRET_PASSWORD } from "../../support/postgres.ts";
import { within } from "../../support/within.ts";

const MODULE = new URL("../../support/postgres_thread.ts", import.meta.url);

async function askThread(target: PgTarget, reach: PgReach = reachOf(target)): Promise<unknown> {
  const permissions = { ...reach, env: false, sys: false, run: false, ffi: false, import: false } as const;
  const worker = new Worker(MODULE, { type: "module", deno: { permissions } });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(target);
    return await within(10, () => "the thread", promise);
  } finally {
    worker.terminate();
  }
}

Deno.test({
  name: "PostgreSQL: a thread with nothing but the permission to reach the hosts",
  ignore: isPostgresMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    const { root, client } = postgres.authority;
    const tls = `sslmode=verify-full&sslrootcert=${root}`;
    const users: [user: string, query: string, isTls: boolean][] = [
      ["app", "sslmode=disable", false],
      [`secret:${encodeURIComponent(SECRET_PASSWORD)}`, tls, true],
      ["cert", `${tls}&sslcert=${client.cert}&sslkey=${client.key}`, true],
    ];
    for (const [user, query, isTls] of users) {
      for (const host of isTls ? ["localhost"] : ["127.0.0.1", "localhost"]) {
        const target = parsePgUrl(postgres.url({ user, host, query }), systemPgEnvironment({}));
        assert.deepEqual(
          await askThread(target),
          { rows: [{ ssl: isTls }] },
          `${user} ${host}`,
        );
      }
    }
    // A Unix socket is a file.
    const query = `host=${encodeURIComponent(postgres.socketFolder)}&port=${postgres.port}`;
    const target = parsePgUrl(`postgres:///oar?user=app&${query}`, systemPgEnvironment({}));
    assert.deepEqual(await askThread(target), { rows: [{ ssl: false }] });

    const elsewhere = { net: ["127.0.0.1:1"], read: [], write: [] };
    for (const url of [postgres.url(), `postgres:///oar?user=app&${query}`]) {
      const refused = await askThread(parsePgUrl(url, systemPgEnvironment({})), elsewhere);
      assert.match(JSON.stringify(refused), /"error":"PostgreSQL at .*Requires (?:net|read) access/);
    }
  },
});
