/**
 * Two replicas over one PostgreSQL, as processes of their own.
 */
import assert from "node:assert/strict";
import type { PostgresStatus } from "../../../src/control/admin_service.ts";
import { isPgBouncerMissing, isPostgresMissing, PgBouncer, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, type Replica, startReplica } from "../../support/replica.ts";
import { askApi, posted } from "../../support/admin.ts";
import { eventually, runProgram } from "../../support/router.ts";
import { chatReply, FakeUpstream } from "../../support/upstream.ts";

Deno.test("replicas over one PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  const url = plainUrl(postgres);

  await t.step("the first start makes the schema and says the clients' token", async () => {
    const { router } = await startReplica(url);
    try {
      assert.match(router.text, /new database postgres:/);
      assert.match(router.text, /clients must send this token/);
      await eventually(() => /no upstream yet/.exec(router.text), "a warning");
      const again = await startReplica(url);
      assert.doesNotMatch(again.router.text, /clients must send this token/);
      await again.router[Symbol.asyncDispose]();
    } finally {
      await router[Symbol.asyncDispose]();
    }
    await postgres.clear();
  });

  await t.step(
    "a second replica on the same journal is refused, and the journal is free after a kill",
    async () => {
      const { router, directory } = await startReplica(url);
      const args = ["--addr", "127.0.0.1:0", "--database", url, "--journal", `${directory}/db.sqlite`];
      const { code, stderr } = await runProgram(["serve", ...args], { cwd: directory });
      assert.equal(code, 1);
      assert.match(stderr, /is the journal of a replica that is running: name another file with --journal/);
      router.signal("SIGKILL");
      await router.exited();
      const again = await startReplica(url, { directory });
      await again.router[Symbol.asyncDispose]();
      const left = [...Deno.readDirSync(directory)].map(({ name }) => name);
      assert.deepEqual(left.filter((name) => name.includes(".running-")), []);
      await postgres.clear();
    },
  );

  await t.step("one that serves does not say that it waits for PostgreSQL", async () => {
    const { router } = await startReplica(url);
    try {
      await postgres.kill9();
      await eventually(() => /PostgreSQL cannot be used; requests go on/.exec(router.text), "the message");
      assert.doesNotMatch(router.text, /waiting for PostgreSQL/);
    } finally {
      await postgres.start();
      await router[Symbol.asyncDispose]();
    }
    await postgres.clear();
  });

  await t.step(
    "a transaction of psql that holds upstreams and tokens keeps no replica from starting",
    async () => {
      const first = await startReplica(url);
      await first.router[Symbol.asyncDispose]();
      const held = postgres.psql(
        "BEGIN; UPDATE oar.config_kvs SET value = value; SELECT pg_sleep(60); COMMIT",
      )
        .catch(() => {});
      const sleeping = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
      await eventually(
        async () => await postgres.psql(`SELECT count(*) ${sleeping}`) === "1" ? true : null,
        "the transaction",
      );
      const { router } = await startReplica(url, first);
      await router[Symbol.asyncDispose]();
      await postgres.psql(`SELECT pg_terminate_backend(pid) ${sleeping}`);
      await held;
      await postgres.clear();
    },
  );

  await t.step("two that start at once make one token, and one upstream out of the environment", async () => {
    await using upstream = new FakeUpstream(chatReply("hello"));
    const env = { OPENAI_API_KEY: "sk-of-the-environment", OPENAI_BASE_URL: upstream.endpoint };
    const both = await Promise.all([0, 1].map(() => startReplica(url, { args: ["--from-env"], env })));
    try {
      const said = (pattern: RegExp) => both.filter(({ router }) => pattern.test(router.text)).length;
      assert.equal(said(/clients must send this token/), 1);
      assert.equal(said(/added upstream 1 .* from OPENAI_API_KEY/), 1);
      assert.equal(await postgres.psql("SELECT count(*) FROM oar.openai_upstreams"), "1");
      const token = /prints again: (\S+)/.exec(both.map(({ router }) => router.text).join())?.[1] ?? "";
      for (const { router } of both) {
        const response = await router.chat({}, { headers: { authorization: `Bearer ${token}` } });
        assert.equal(response.status, 200, await response.text());
        assert.doesNotMatch(router.text, /sk-of-the-environment/);
      }
    } finally {
      for (const { router } of both) await router[Symbol.asyncDispose]();
    }
    await postgres.clear();
  });

  await t.step("both serve the same upstreams, and each shows the records of both", async () => {
    await using upstream = new FakeUpstream(chatReply("hello"));
    const db = await prepareSchema(postgres, [upstream.endpoint]);
    const one = await startReplica(url);
    const two = await startReplica(url);
    try {
      for (const { router } of [one, two, one]) {
        const response = await router.chat();
        assert.equal(response.status, 200);
        await response.body?.cancel();
      }
      const rows = await eventually(async () => {
        const found = await db.read<{ instance: string }>(
          "SELECT instance FROM oar.records WHERE outcome = 'complete'",
          [],
        );
        return found.length === 3 ? found : null;
      }, "three records in PostgreSQL");
      assert.equal(new Set(rows.map(({ instance }) => instance)).size, 2);
      for (const { router } of [one, two]) {
        await withAdmin({ router, directory: "" });
        const { records } = await askApi<{ records: unknown[] }>(router, "/records");
        assert.equal(records.length, 3);
      }
    } finally {
      await one.router[Symbol.asyncDispose]();
      await two.router[Symbol.asyncDispose]();
      await db.close();
    }
    await postgres.clear();
  });
});

/** Waits until the journal has the page's token. */
async function withAdmin({ router }: Replica): Promise<void> {
  await eventually(
    () => router.query("SELECT 1 FROM config_kvs WHERE key = 'admin'")[0] ?? null,
    "admin token",
  );
}

Deno.test("the page of one replica works for all", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using other = new FakeUpstream(chatReply("another"));
  const db = await prepareSchema(postgres, [upstream.endpoint]);
  const one = await startReplica(plainUrl(postgres));
  const two = await startReplica(plainUrl(postgres), { args: ["--durability", "remote"] });
  const recordIds = async () =>
    (await db.read<{ id: number }>("SELECT id FROM oar.records", [])).map(({ id }) => id);
  try {
    await withAdmin(one);
    await withAdmin(two);

    await t.step("its status shows both, and nothing secret", async () => {
      const { postgres: shown } = await eventually(async () => {
        const status = await askApi<{ postgres: PostgresStatus }>(one.router, "/status");
        return status.postgres.replicas?.length === 2 ? status : null;
      }, "two replicas");
      assert.equal(shown.isUp, true);
      assert.equal(shown.replicas?.filter(({ isThis }) => isThis).length, 1);
      assert.match(await (await one.router.fetch("/metrics")).text(), /^openai_api_route_postgres_up 1$/m);
    });

    await t.step("an upstream that is added there is used by the other", async () => {
      await askApi(one.router, "/upstreams", {
        ...posted({ name: "another", endpoint: other.endpoint, key: "sk-another-0123456789" }),
        status: 201,
      });
      await postgres.psql("UPDATE oar.openai_upstreams SET enabled = 0 WHERE name <> 'another'");
      await eventually(async () => await saying(two) === "another" || null, "the upstream that was added");
    });

    await t.step("with --durability remote a reply ends when PostgreSQL has its record", async () => {
      const before = (await recordIds()).length;
      await (await two.router.chat()).text();
      const isLate = await two.router.metric("record_ack_late_total") > 0;
      if (!isLate) assert.ok((await recordIds()).length > before);
    });

    await t.step("a record is deleted", async () => {
      const [id = 0] = await recordIds();
      await askApi(one.router, `/records/${id}`, { method: "DELETE", status: 204 });
      assert.ok(!(await recordIds()).includes(id));
      for (const table of ["record_texts", "record_search", "attempts"]) {
        assert.equal(await postgres.psql(`SELECT count(*) FROM oar.${table} WHERE record_id = ${id}`), "0");
      }
      await askApi(two.router, `/records/${id}`, { status: 404 });
    });

    await t.step("an upstream that has answered one has answered for all", async () => {
      await eventually(
        async () => Number(await postgres.psql("SELECT count(*) FROM oar.upstream_checks")) > 0 || null,
        "a check in PostgreSQL",
      );
    });
  } finally {
    await one.router[Symbol.asyncDispose]();
    await two.router[Symbol.asyncDispose]();
    await db.close();
  }
});

/** Which of two upstreams answers, by what it says. */
async function saying({ router }: Replica): Promise<string> {
  const response = await router.chat();
  return (await response.json()).choices[0].message.content;
}

Deno.test("an edit by psql is used by every replica", { ignore: isPgBouncerMissing }, async (t) => {
  await using postgres = await Postgres.start();
  await using bouncer = await PgBouncer.start(postgres);
  await using red = new FakeUpstream(chatReply("red"));
  await using blue = new FakeUpstream(chatReply("blue"));
  const db = await prepareSchema(postgres, [red.endpoint]);
  const replicas = [await startReplica(plainUrl(postgres)), await startReplica(bouncer.url())];
  const edit = async (endpoint: string, word: string) => {
    await postgres.psql(`UPDATE oar.openai_upstreams SET endpoint = '${endpoint}'`);
    for (const replica of replicas) {
      await eventually(async () => await saying(replica) === word || null, `${word} from each replica`);
    }
  };
  try {
    await t.step("directly, and behind PgBouncer", async () => {
      await edit(blue.endpoint, "blue");
      await edit(red.endpoint, "red");
    });
    await t.step("when no notification comes any more", async () => {
      const listeners = await db.read<{ pid: number }>(
        // A listener asks now and then whether the server still takes writes.
        `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
          AND (query LIKE 'LISTEN%' OR query = 'SHOW transaction_read_only')`,
        [],
      );
      assert.ok(listeners.length > 0);
      for (const { pid } of listeners) Deno.kill(pid, "SIGSTOP");
      try {
        await edit(blue.endpoint, "blue");
      } finally {
        for (const { pid } of listeners) Deno.kill(pid, "SIGCONT");
      }
    });
  } finally {
    for (const { router } of replicas) await router[Symbol.asyncDispose]();
    await db.close();
  }
});

Deno.test("a server with a PostgreSQL that cannot be used", { ignore: isPostgresMissing }, async (t) => {
  await t.step("refuses a database of its own as its journal", async () => {
    const cwd = await Deno.makeTempDir({ prefix: "oar-replica-" });
    await runProgram(["token", "set", "test-token-0123456789"], { cwd });
    const { code, stderr } = await runProgram(
      [
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--database",
        "postgres://a@127.0.0.1:1/x",
        "--journal",
        "db.sqlite",
      ],
      { cwd },
    );
    assert.equal(code, 1);
    assert.match(stderr, /is a database of its own, and no journal/);
    await Deno.remove(cwd, { recursive: true });
  });

  await t.step(
    "ends when it is told to, also where signals are ignored unless they are listened to",
    async () => {
      const cwd = await Deno.makeTempDir({ prefix: "oar-replica-" });
      const main = new URL("../../../main.ts", import.meta.url).pathname;
      const child = new Deno.Command("sh", {
        args: ["-c", `trap '' INT TERM; exec "$@" 2>&1`, "sh", Deno.execPath(), "run", "-A", main, "serve"]
          .concat("--addr", "127.0.0.1:0", "--database", "postgres://a@127.0.0.1:1/x"),
        cwd,
        stdout: "piped",
      }).spawn();
      let said = "";
      let isTold = false;
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        said += part;
        if (isTold || !said.includes("waiting for PostgreSQL")) continue;
        isTold = true;
        child.kill("SIGTERM");
      }
      assert.equal((await child.status).code, 1);
      assert.match(said, /stopped while it waited for PostgreSQL/);
      await Deno.remove(cwd, { recursive: true });
    },
  );

  await t.step("says of a journal that cannot be made that it is the journal", async () => {
    const cwd = await Deno.makeTempDir({ prefix: "oar-replica-" });
    const serve = ["serve", "--addr", "127.0.0.1:0", "--database", "postgres://a@127.0.0.1:1/x", "--journal"];
    for (
      const [journal, expected] of [
        ["none/j.sqlite", /Cannot open journal ".*": its directory does not exist/],
        [".", /Cannot open journal ".*": it is not a file; name a file with --journal/],
      ] as const
    ) {
      const { code, stderr } = await runProgram([...serve, journal], { cwd });
      assert.equal(code, 1);
      assert.match(stderr, expected);
    }
    await Deno.remove(cwd, { recursive: true });
  });
});
