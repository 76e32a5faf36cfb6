/**
 * Upstreams and settings in PostgreSQL: changes of several replicas and of psql at the same time.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { migrate as migrateSqlite } from "../../../src/store/database/migrations.ts";
import { putConfigRows, readConfigRows } from "../../../src/store/postgres/config/local_rows.ts";
import { RemoteConfig } from "../../../src/store/postgres/config/remote_config.ts";
import { ScratchConfig } from "../../../src/store/postgres/config/scratch_config.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { StoreError } from "../../../src/store/store.ts";
import { isPostgresMissing, openPg, Postgres } from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";

const options = { ignore: isPostgresMissing };

/** Two replicas on one server. */
async function withTwo(
  use: (
    both: readonly [RemoteConfig, RemoteConfig],
    place: { postgres: Postgres; database: PgDatabase },
  ) => Promise<void>,
): Promise<void> {
  await using postgres = await Postgres.start();
  const databases: PgDatabase[] = [openPg(postgres.url()), openPg(postgres.url())];
  const [one, two] = databases;
  assert.ok(one !== undefined && two !== undefined);
  try {
    await migrate(one);
    await use([new RemoteConfig(one, Date.now), new RemoteConfig(two, Date.now)], {
      postgres,
      database: one,
    });
  } finally {
    for (const database of databases) await database.close();
  }
}

function upstream(name: string) {
  return { sk: `sk-${name}-0123456789`, endpoint: `https://${name}.example/v1`, name };
}

async function names(config: RemoteConfig): Promise<(string | null)[]> {
  using scratch = new ScratchConfig({ ...await config.load(), now: Date.now });
  return scratch.store.listUpstreams().map(({ name }) => name);
}

const HUGE = "9223372036854775807";

/** What people can type by hand. */
const TYPED = [
  ["times without end", "created_at, updated_at, deleted_at", "'-infinity', 'infinity', 'infinity'"],
  ["times beyond all calendars", "created_at, deleted_at", "'0044-03-15 BC', '20000-01-01'"],
  ["times beyond what JavaScript has", "deleted_at", "'294276-01-01'"],
  ["huge numbers", "timeout, position, weight, enabled", `${HUGE}, ${HUGE}, -${HUGE}, ${HUGE}`],
  ["a huge id", "id", HUGE],
  ["an id beyond 2^53", "id", "9007199254740994"],
  [
    "nothing in it",
    "endpoint, sk, timeout, position, weight, enabled, created_at",
    "NULL, NULL, NULL, NULL, NULL, NULL, NULL",
  ],
  ["escapes", "name, model_map", String.raw`'\u0000 \ud800 "', '{"\u0000": "\x00"}'`],
] as const;

Deno.test("upstreams and settings in PostgreSQL", options, async (t) => {
  await withTwo(async ([one, two], { postgres, database }) => {
    const typedStep = async ({ columns, values }: { readonly columns: string; readonly values: string }) => {
      await postgres.psql(
        columns.includes("sk")
          ? `INSERT INTO oar.openai_upstreams(${columns}) VALUES (${values})`
          : `INSERT INTO oar.openai_upstreams(sk, endpoint, ${columns}) VALUES ('sk-typed', 'https://t.example', ${values})`,
      );
      const typed = () =>
        postgres.psql("SELECT * FROM oar.openai_upstreams WHERE sk = 'sk-typed' OR sk IS NULL");
      const before = await typed();
      using local = new DatabaseSync(":memory:");
      migrateSqlite(local);
      const { rows } = await two.load();
      putConfigRows(local, rows);
      assert.equal(putConfigRows(local, rows), false, "the copy is what is there");
      await one.change((store) => store.setConfig("typed", columns));
      assert.equal(await typed(), before);
      const deleted = rows.openai_upstreams.find((row) => row[4] === "sk-typed")?.[3];
      assert.equal(deleted !== null && deleted !== undefined, columns.includes("deleted_at"));
      await postgres.psql("DELETE FROM oar.openai_upstreams WHERE sk = 'sk-typed' OR sk IS NULL");
    };

    await t.step("a change by one is read by the other, and counts the version up", async () => {
      const before = await two.version();
      const { result, version } = await one.change((store) => store.addUpstream(upstream("a")));
      assert.equal(result.id, 1);
      assert.ok(version > before);
      assert.equal(await two.version(), version);
      assert.deepEqual(await names(two), ["a"]);
    });

    await t.step("what changes nothing leaves the version", async () => {
      const before = await one.version();
      await one.change((store) => store.listUpstreams());
      assert.equal(await one.version(), before);
    });

    await t.step("changes of both at once are all there, each once", async () => {
      const added = Array.from({ length: 12 }, (_, at) => `n${at}`);
      await Promise.all(
        added.map((name, at) =>
          (at % 2 === 0 ? one : two).change((store) => store.addUpstream(upstream(name)))
        ),
      );
      assert.deepEqual((await names(one)).toSorted(), ["a", ...added].toSorted());
    });

    await t.step("an edit by psql that comes during a change waits for it, and is not lost", async () => {
      const during = Promise.withResolvers<Promise<string>>();
      const interrupted = new RemoteConfig({
        read: (...call) => database.read(...call),
        write: (body, ...rest) =>
          database.write(async (query) => {
            return await body(async (text, values) => {
              const rows = await query(text, values);
              if (text.startsWith("LOCK")) {
                during.resolve(
                  postgres.psql("UPDATE oar.openai_upstreams SET name = 'by psql' WHERE id = 1"),
                );
              }
              return rows as never;
            });
          }, ...rest),
      }, Date.now);
      await interrupted.change((store) => store.editUpstream(1, { weight: 7, name: "by us" }));
      await (await during.promise);
      const row = await postgres.psql("SELECT name, weight FROM oar.openai_upstreams WHERE id = 1");
      assert.equal(row, "by psql|7");
    });

    await t.step("a transaction of psql that does not end keeps a change off, with what to do", async () => {
      const session = postgres.psql(
        "BEGIN; UPDATE oar.config_kvs SET value = value; SELECT pg_sleep(60); COMMIT",
      );
      await eventually(async () => {
        const waiting = await postgres.psql(
          "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'",
        );
        return Number(waiting) > 1 ? true : null;
      }, "psql's transaction");
      await assert.rejects(
        two.change((store) => store.setConfig("policy", "order")),
        (error) => error instanceof StoreError && error.code === "locked" && /psql/.test(error.message),
      );
      await postgres.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
      );
      await assert.rejects(session);
    });

    await t.step("rows that psql adds get numbers that no other row has, before and after ours", async () => {
      const insert = (name: string) =>
        postgres.psql(
          `INSERT INTO oar.openai_upstreams(sk, endpoint) VALUES ('sk', 'https://${name}.example')`,
        );
      await insert("p1");
      await one.change((store) => store.addUpstream(upstream("after")));
      await insert("p2");
      const ids = await postgres.psql(
        "SELECT count(*), count(DISTINCT id), max(id) FROM oar.openai_upstreams",
      );
      assert.equal(ids, "16|16|16");
    });

    await t.step("rules are the same as ever", async () => {
      await assert.rejects(
        two.change((store) => store.addUpstream(upstream("after"))),
        (error) => error instanceof StoreError && error.code === "duplicate",
      );
    });

    await t.step("two upstreams exchange their keys", async () => {
      await one.change((store) => {
        const [a, b] = [
          store.addUpstream({ sk: "sk-first-01234", endpoint: "https://x.example" }),
          store.addUpstream({
            sk: "sk-second-0123",
            endpoint: "https://x.example",
          }),
        ];
        store.setConfig("pair", `${a.id},${b.id}`);
      });
      await one.change((store) => {
        const [a = 0, b = 0] = (store.getConfig("pair") ?? "").split(",").map(Number);
        store.editUpstream(a, { sk: "sk-between-012" });
        store.editUpstream(b, { sk: "sk-first-01234" });
        store.editUpstream(a, { sk: "sk-second-0123" });
      });
      assert.equal(
        await postgres.psql(
          "SELECT sk FROM oar.openai_upstreams WHERE endpoint = 'https://x.example' ORDER BY id",
        ),
        "sk-second-0123\nsk-first-01234",
      );
    });

    await t.step("a local copy has exactly what is there", async () => {
      using local = new DatabaseSync(":memory:");
      migrateSqlite(local);
      local.exec("INSERT INTO openai_upstreams(sk, endpoint) VALUES ('sk-old', 'https://old.example')");
      const { rows } = await two.load();
      putConfigRows(local, rows);
      assert.deepEqual(readConfigRows(local), rows);
    });

    for (const [what, columns, values] of TYPED) {
      await t.step(
        `a row with ${what} stops nobody, and stays as it was typed`,
        () => typedStep({ columns, values }),
      );
    }

    await t.step("a change that throws writes nothing", async () => {
      const before = await one.version();
      await assert.rejects(
        one.change((store) => {
          store.setConfig("policy", "random");
          throw new Error("no");
        }),
        /^Error: no$/,
      );
      assert.equal(await one.version(), before);
    });
  });
});

Deno.test(
  "tokens of clients are added, edited and removed by several replicas, and typed by psql",
  options,
  () =>
    withTwo(async ([one, two], { postgres }) => {
      const digest = (letter: string) => letter.repeat(64);
      const token = { name: "amy", sha256: digest("a"), hint: "sk-…aaaa", rpm: 60, budgetUsd: "20" };
      const { result: { id } } = await one.change((config) => config.addClientToken(token));
      await two.change((config) => config.editClientToken(id, { rpm: null, gate: "whole", enabled: 0 }));
      const listed = async (config: RemoteConfig) => {
        using scratch = new ScratchConfig({ ...await config.load(), now: Date.now });
        return scratch.store.listClientTokens();
      };
      const [row] = await listed(one);
      assert.deepEqual(
        [row?.name, row?.rpm, row?.budgetUsd, row?.gate, row?.enabled],
        ["amy", null, "20", "whole", 0],
      );
      await assert.rejects(
        two.change((config) => config.addClientToken({ ...token, sha256: digest("b") })),
        (error: unknown) => error instanceof StoreError && error.code === "duplicate",
      );
      await postgres.psql(
        `INSERT INTO oar.client_tokens(name, sha256, expires_at) VALUES ('typed', '${
          digest("c")
        }', 'infinity')`,
      );
      assert.deepEqual((await listed(two)).map(({ name }) => name), ["amy", "typed"]);
      await two.change((config) => config.removeClientToken(id));
      assert.deepEqual((await listed(one)).map(({ name }) => name), ["typed"]);
    }),
);
