/**
 * Who gets in, and who may read the files: docs/architecture.md, "Tokens". Prints a table: case, expected,
 * seen.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { TokenChecker } from "../../src/http/auth.ts";
import { FaultTable } from "../support/fault_table.ts";
import { RawClient } from "../support/raw_client.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { FakeUpstream, reply } from "../support/upstream.ts";

const SECOND = "second-token-0123456789";

Deno.test("nobody gets in without a token", async (t) => {
  const table = new FaultTable("access", t);
  await starting(table);
  await entering(table);
  await emptied(table);
  await comparing(table);
  await files(table);
  table.print();
});

async function starting(table: FaultTable): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
    const serve = async (sql: string): Promise<string> => {
      const db = new DatabaseSync(`${directory}/db.sqlite`);
      db.exec(sql);
      db.close();
      const { code, stdout, stderr } = await runProgram(["serve", "--addr", "127.0.0.1:0"], {
        cwd: directory,
      });
      const isRefused = code === 1 && !stdout.includes("listening") && /No client token is set/.test(stderr);
      return isRefused ? "refuses to start" : `code ${code} ${stdout}${stderr}`;
    };
    const set = (value: string) => `UPDATE config_kvs SET value = ${value} WHERE key = 'authorization'`;
    const values: [name: string, sql: string][] = [
      ["token empty", set("''")],
      ["token blank", set("' '")],
      ["token a tab and a line end", set("char(9, 10)")],
      ["token only commas", set("' , ,'")],
    ];
    for (const [name, sql] of values) await table.case(name, "refuses to start", () => serve(sql));

    const open = "starts with a new random token";
    const gone: [name: string, sql: string][] = [
      ["token NULL", set("NULL")],
      ["token soft-deleted", "UPDATE config_kvs SET deleted_at = '2026-01-01' WHERE key = 'authorization'"],
      ["token row missing", "DELETE FROM config_kvs WHERE key = 'authorization'"],
    ];
    for (const [name, sql] of gone) {
      await table.case(name, open, async () => {
        const db = new DatabaseSync(`${directory}/db.sqlite`);
        db.exec(sql);
        db.close();
        await using router = await Router.start({ directory });
        const statuses = [];
        for (const token of ["", ",", "null", TEST_TOKEN]) {
          const response = await router.fetch("/models", { headers: { authorization: `Bearer ${token}` } });
          await response.body?.cancel();
          statuses.push(response.status);
        }
        assert.match(router.text, /clients must send this token.*sk-oar-\S{20,}/);
        return statuses.every((status) => status === 403) ? open : statuses.join(" ");
      });
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function entering(table: FaultTable): Promise<void> {
  await using upstream = new FakeUpstream(reply(200, '{"data":[]}'));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    authorization: `${TEST_TOKEN}, ,${SECOND},`,
  });
  const ask = async (headers: string): Promise<string> => {
    const before = upstream.requests.length;
    using client = await RawClient.connect(router.port);
    await client.send(`GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`);
    const status = (await client.readToEnd()).slice(9, 12);
    return `${status}, ${upstream.requests.length - before} sent on`;
  };
  const yes = "200, 1 sent on";
  const no = "403, 0 sent on";
  const twice = "400, 0 sent on";
  const cases: [name: string, headers: string, expected: string][] = [
    ["Bearer", `Authorization: Bearer ${TEST_TOKEN}\r\n`, yes],
    ["bearer", `Authorization: bearer ${TEST_TOKEN}\r\n`, yes],
    ["second of a list with empty parts", `Authorization: Bearer ${SECOND}\r\n`, yes],
    ["x-api-key", `x-api-key: ${TEST_TOKEN}\r\n`, yes],
    ["api-key", `api-key: ${TEST_TOKEN}\r\n`, yes],
    ["nothing", "", no],
    ["no scheme", `Authorization: ${TEST_TOKEN}\r\n`, no],
    ["Basic", `Authorization: Basic ${btoa(`u:${TEST_TOKEN}`)}\r\n`, no],
    ["empty Bearer", "Authorization: Bearer \r\n", no],
    ["a comma", "Authorization: Bearer ,\r\n", no],
    ["blank x-api-key", "x-api-key:  \r\n", no],
    ["the whole list", `Authorization: Bearer ${TEST_TOKEN}, ,${SECOND},\r\n`, twice],
    ["two Authorization, the right one first", headersOf("Bearer", TEST_TOKEN, "wrong"), twice],
    ["two Authorization, the right one last", headersOf("Bearer", "wrong", TEST_TOKEN), twice],
    ["two Authorization, both right", headersOf("Bearer", TEST_TOKEN, SECOND), twice],
    ["another case of the token", `Authorization: Bearer ${TEST_TOKEN.toUpperCase()}\r\n`, no],
    ["the token and a NUL's escape", `Authorization: Bearer ${TEST_TOKEN}%00\r\n`, no],
    ["SQL in the token", "Authorization: Bearer ' OR '1'='1\r\n", no],
    ["a LIKE pattern", "Authorization: Bearer %\r\n", no],
    ["__proto__", "Authorization: Bearer __proto__\r\n", no],
    ["the token in a cookie", `Cookie: authorization=${TEST_TOKEN}\r\n`, no],
    ["the token in Proxy-Authorization", `Proxy-Authorization: Bearer ${TEST_TOKEN}\r\n`, no],
  ];
  for (const [name, headers, expected] of cases) await table.case(name, expected, () => ask(headers));
  await table.case("the token in the query", no, async () => {
    const response = await fetch(`${router.url}/models?api_key=${TEST_TOKEN}&token=${TEST_TOKEN}`);
    await response.body?.cancel();
    return `${response.status}, 0 sent on`;
  });
}

function headersOf(scheme: string, ...tokens: string[]): string {
  return tokens.map((token) => `Authorization: ${scheme} ${token}\r\n`).join("");
}

async function emptied(table: FaultTable): Promise<void> {
  await using upstream = new FakeUpstream(reply(200, "{}"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const ask = async (token: string): Promise<number> => {
    const response = await router.fetch("/models", { headers: { authorization: `Bearer ${token}` } });
    await response.body?.cancel();
    return response.status;
  };
  const changes: [name: string, sql: string][] = [
    ["emptied", "UPDATE config_kvs SET value = '' WHERE key = 'authorization'"],
    ["blanked", "UPDATE config_kvs SET value = ' , ' WHERE key = 'authorization'"],
    ["set to NULL", "UPDATE config_kvs SET value = NULL WHERE key = 'authorization'"],
    ["deleted", "DELETE FROM config_kvs WHERE key = 'authorization'"],
  ];
  for (const [name, sql] of changes) {
    await table.case(`tokens ${name} in SQL while running`, "403 for everybody", async () => {
      router.execute(sql);
      await eventually(async () => await ask(TEST_TOKEN) === 403 ? true : null, "the change");
      const statuses = [];
      for (const token of ["", " ", ",", "null", "undefined", TEST_TOKEN]) statuses.push(await ask(token));
      router.execute("DELETE FROM config_kvs WHERE key = 'authorization'");
      router.execute("INSERT INTO config_kvs(key, value) VALUES('authorization', ?)", TEST_TOKEN);
      await eventually(async () => await ask(TEST_TOKEN) === 200 ? true : null, "the token");
      return statuses.every((status) => status === 403) ? "403 for everybody" : statuses.join(" ");
    });
  }
  await table.case("--noauth", "a warning in the log", async () => {
    await using open = await Router.start({ args: ["--noauth"] });
    return /WARN.*--noauth: everybody/.test(
        await eventually(() => open.text.includes("--noauth") ? open.text : null, "the warning"),
      )
      ? "a warning in the log"
      : open.text;
  });
}

async function comparing(table: FaultTable): Promise<void> {
  const source = await Deno.readTextFile(new URL("../../src/http/auth.ts", import.meta.url));
  await table.case("comparison of tokens", "timingSafeEqual over digests, every token", () => {
    // The last of two equal tokens wins: the comparison does not stop at the first match.
    const twins = new TokenChecker([{ secret: "same", name: "first" }, { secret: "same", name: "last" }]);
    assert.equal(twins.find("same")?.name, "last");
    assert.equal(twins.find("other"), null);
    const find = /find\(credential[\s\S]*?\n {2}\}/.exec(source)?.[0] ?? "";
    assert.match(find, /timingSafeEqual\(known\.digest, digest\)/);
    assert.doesNotMatch(find, /break|secret/);
    return Promise.resolve("timingSafeEqual over digests, every token");
  });
}

async function files(table: FaultTable): Promise<void> {
  await using upstream = new FakeUpstream(reply(200, '{"data":[]}'));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await (await router.chat()).body?.cancel();
  const modeOf = (name: string) =>
    Promise.resolve(((Deno.statSync(`${router.directory}/${name}`).mode ?? 0) & 0o777).toString(8));
  for (const name of ["db.sqlite", "db.sqlite-wal", "db.sqlite-shm"]) {
    await table.case(`mode of ${name}`, "600", () => modeOf(name));
  }
  await table.case("mode of db.sqlite.before-upgrade", "600", async () => {
    const db = new DatabaseSync(`${router.directory}/old.sqlite`);
    db.exec("CREATE TABLE openai_upstreams(id integer primary key autoincrement, sk text, endpoint text)");
    db.close();
    const { code } = await runProgram(["list", "--database", "old.sqlite"], { cwd: router.directory });
    assert.equal(code, 0);
    return modeOf("old.sqlite.before-upgrade");
  });
  await table.case("mode of an export", "600", async () => {
    await runProgram(["records", "export", "--format", "csv", "--output", "out.csv"], {
      cwd: router.directory,
    });
    return modeOf("out.csv");
  });
}
