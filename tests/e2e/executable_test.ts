/** The executable as downloaded: first use, and failures. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import OpenAI from "openai";
import { makeGoDatabase } from "../fixtures/go/fixture.ts";
import { eventually } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  FakeUpstream,
  hang,
  refusingEndpoint,
  reply,
  silentAfter,
  stream,
} from "../support/upstream.ts";
import { EXECUTABLE, Installation, isExecutableMissing } from "./installation.ts";

const KEY = "sk-upstream-abcdefghijkl";
const TOKEN = /sk-oar-[\w-]{43}/;

function test(name: string, fn: (t: Deno.TestContext) => Promise<void>, isIgnored = false): void {
  Deno.test({ name, fn, ignore: isExecutableMissing || isIgnored });
}

/** Rows of a query on a database, through a separate connection. */
function query({ directory }: Installation, sql: string, file = "db.sqlite"): Record<string, unknown>[] {
  const db = new DatabaseSync(`${directory}/${file}`, { readOnly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

/** The settled records, oldest first. */
function records(installation: Installation): Record<string, unknown>[] {
  return query(installation, "SELECT * FROM records WHERE outcome <> 'in_flight' ORDER BY id");
}

/** As `eventually`, for up to half a minute. */
async function patiently<T>(ask: () => T | null, what: string): Promise<T> {
  for (let turn = 1; turn < 3; turn++) {
    const answer = await eventually(ask, what).catch(() => null);
    if (answer !== null) return answer;
  }
  return await eventually(ask, what);
}

/** Whether a tool is installed and works. */
async function works(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, { args: [...args], ...quiet }).output()).success;
  } catch {
    return false;
  }
}

test("a first day, from an empty folder to the first record", async (t) => {
  await using installation = await Installation.create();
  await using upstream = new FakeUpstream(stream(chatEvents(["Hello", ", ", "world"])));
  await using server = await installation.start();
  let token = "";

  await t.step("the first start makes a private database, prints the token and the next step", async () => {
    await eventually(() => server.text.includes("add --key") ? true : null, "the next step");
    assert.match(server.text, /^new database \/\S+\/db\.sqlite$/m);
    token = TOKEN.exec(server.text)?.[0] ?? assert.fail(server.text);
    assert.match(server.text, /no upstream yet; add one: openai-api-route add --key KEY --endpoint URL/);
    const { mode } = await Deno.stat(`${installation.directory}/db.sqlite`);
    assert.equal((mode ?? 0) & 0o777, 0o600);
  });

  await t.step("without an upstream, the answer says what to do", async () => {
    const response = await server.chat(token);
    assert.equal(response.status, 503);
    assert.match(await response.text(), /openai-api-route add/);
  });

  await t.step("add and list show the key masked; token show prints the token bare", async () => {
    const added = await installation.succeed(["add", "--key", "-", "--endpoint", upstream.endpoint], {
      stdin: `${KEY}\n`,
    });
    assert.match(added, /added upstream 1/);
    const listed = await installation.succeed(["list"]);
    assert.match(listed, new RegExp(`untested.*${upstream.endpoint}`));
    assert.equal((added + listed).includes(KEY), false);
    assert.equal(await installation.succeed(["token", "show"]), `${token}\n`);
  });

  await t.step(
    "the running server uses the new upstream, and streams through it to the real client",
    async () => {
      const client = new OpenAI({ baseURL: server.url, apiKey: token, maxRetries: 0 });
      const words = await eventually(async () => {
        try {
          const words: string[] = [];
          const chunks = await client.chat.completions.create({
            model: "gpt-4o",
            stream: true,
            messages: [{ role: "user", content: "hello" }],
          });
          for await (const chunk of chunks) words.push(chunk.choices[0]?.delta.content ?? "");
          return words;
        } catch (error) {
          if (error instanceof OpenAI.APIError && error.status === 503) return null;
          throw error;
        }
      }, "the upstream to be used");
      assert.equal(words.join(""), "Hello, world");
      assert.equal(upstream.requests[0]?.headers.get("authorization"), `Bearer ${KEY}`);
    },
  );

  await t.step("the record is there, for any SQLite client and for the records commands", async () => {
    const record = records(installation).at(-1) ?? assert.fail("there is no record");
    assert.equal(record["response"], "Hello, world");
    assert.equal(record["outcome"], "complete");
    assert.equal(record["model"], "gpt-4o");
    assert.equal(record["output_tokens"], 3);
    assert.match(await installation.succeed(["records", "list"]), /gpt-4o/);
    assert.match(await installation.succeed(["records", "show", String(record["id"])]), /Hello, world/);
    const exported = await installation.succeed(["records", "export", "--format", "jsonl"]);
    assert.equal(JSON.parse(exported.trimEnd().split("\n").at(-1) ?? "").response, "Hello, world");
    assert.match(await installation.succeed(["records", "tail"]), /gpt-4o/);
  });

  await t.step("metrics count it", async () => {
    const metrics = await server.metrics();
    assert.match(
      metrics,
      /^openai_api_route_requests_total\{.*model="gpt-4o",status="200",outcome="complete"\} 1$/m,
    );
    assert.match(metrics, /^openai_api_route_build_info\{/m);
  });

  await t.step("an unknown command exits with 2", async () => {
    const { code, stderr } = await installation.run(["lits"]);
    assert.equal(code, 2);
    assert.match(stderr, /unknown command "lits".*list/s);
  });

  await t.step("SIGTERM ends it with 0, and only the database was made", async () => {
    assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
    const names = Array.from(Deno.readDirSync(installation.directory), ({ name }) => name);
    assert.deepEqual(names.filter((name) => !/^db\.sqlite(-wal|-shm)?$/.test(name)), ["openai-api-route"]);
  });
});

const NAMESPACE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$@"'] as const;
const canIsolate = await works(NAMESPACE[0], ...NAMESPACE.slice(1), "true");

test("the first day needs no network but loopback", async () => {
  const [command, ...args] = NAMESPACE;
  const { code, stdout } = await new Deno.Command(command, {
    args: [
      ...args,
      Deno.execPath(),
      "test",
      "-A",
      "--no-check",
      "--cached-only",
      "--filter",
      "/^a first day/",
      new URL(import.meta.url).pathname,
    ],
    env: { OAR_EXECUTABLE: EXECUTABLE, NO_COLOR: "1" },
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(code, 0, text);
  assert.match(text, /^ok \| 1 passed/m);
}, !canIsolate);

test("every command explains itself", async () => {
  await using installation = await Installation.create();
  const help = await installation.succeed(["--help"]);
  assert.match(help, /Start here:/);
  const commands = [...help.matchAll(/^ {2}([a-z]+) .* {2}/gm)].map((match) => match[1] ?? "");
  for (const command of ["serve", "add", "list", "token", "records"]) {
    assert.ok(commands.includes(command), command);
  }
  for (const command of commands) assert.match(await installation.succeed([command, "--help"]), /Usage:/);
  assert.match(await installation.succeed(["--version"]), /^openai-api-route \d+\.\d+\.\d+ \(.+, Deno \d/);
  assert.deepEqual([...Deno.readDirSync(installation.directory)].length, 1);
});

test("SIGKILL loses no reply: what was received is committed, what was under way is kept as crashed", async () => {
  await using installation = await Installation.create();
  await using upstream = new FakeUpstream(chatReply("received to its end"));
  await installation.succeed(["add", "--sk", KEY, "--endpoint", upstream.endpoint]);
  const token = (await installation.succeed(["token", "show"])).trim();
  const server = await installation.start();
  await (await server.chat(token)).text();
  upstream.script = silentAfter(chatEvents(["half", " a reply"]).slice(0, 2));
  const unfinished = await server.chat(token, { stream: true });
  await eventually(() => {
    const sql = "SELECT count(*) AS n FROM records WHERE outcome = 'in_flight' AND response = 'half'";
    return query(installation, sql)[0]?.["n"] === 1 ? true : null;
  }, "the row of the request under way");
  assert.equal((await server.end("SIGKILL")).signal, "SIGKILL");
  await assert.rejects(unfinished.text());

  await using again = await installation.start();
  // Where the dead process cannot be looked up, its missing heartbeat shows it after some seconds.
  const kept = await patiently(() => {
    const rows = records(installation);
    return rows.length === 2 ? rows.map(({ outcome, response }) => ({ outcome, response })) : null;
  }, "the crashed record");
  assert.deepEqual(kept, [
    { outcome: "complete", response: "received to its end" },
    { outcome: "crashed", response: "half" },
  ]);
  upstream.script = chatReply("after the restart");
  const response = await again.chat(token);
  assert.equal(response.status, 200, again.text);
  await response.text();
});

test("the flags of the Go program work as they were typed for it", async () => {
  await using installation = await Installation.create();
  await using upstream = new FakeUpstream(chatReply("for anyone"));
  const added = ["-add", "-sk", KEY, "-endpoint", upstream.endpoint, "-database", "other.sqlite"];
  assert.match(await installation.succeed(added), /added upstream 1/);
  assert.match(
    await installation.succeed(["-list", "-database", "other.sqlite"]),
    new RegExp(upstream.endpoint),
  );
  await using server = await installation.start({
    args: ["-addr", "127.0.0.1:0", "-database", "other.sqlite", "-noauth"],
  });
  const response = await fetch(`${server.url}/chat/completions`, { method: "POST", body: '{"model":"m"}' });
  assert.equal(response.status, 200);
  await response.text();
  const [record] = query(installation, "SELECT response FROM records", "other.sqlite");
  assert.equal(record?.["response"], "for anyone");
});

test("a database of the Go program is copied aside, upgraded, and served", async () => {
  await using installation = await Installation.create();
  await using upstream = new FakeUpstream(chatReply("from the old database"));
  const path = `${installation.directory}/db.sqlite`;
  makeGoDatabase(path);
  const db = new DatabaseSync(path);
  db.exec("UPDATE openai_upstreams SET deleted_at = '2023-12-01 00:00:00+08:00' WHERE id <> 1");
  db.prepare("UPDATE openai_upstreams SET endpoint = ? WHERE id = 1").run(upstream.endpoint);
  db.close();
  await using server = await installation.start();
  assert.match(server.text, /upgraded \/\S+\/db\.sqlite; as it was before: .*db\.sqlite\.before-upgrade/);
  assert.equal(
    (await (await server.chat("woshimima")).json()).choices[0].message.content,
    "from the old database",
  );
  const rows = query(installation, "SELECT id, model, response FROM records ORDER BY id");
  assert.deepEqual(rows.map(({ response }) => response), ["你好！", "", "from the old database"]);
  assert.equal(query(installation, "SELECT * FROM records", "db.sqlite.before-upgrade").length, 2);
  await eventually(() => server.text.includes("published default token") ? true : null, "the warning");
});

test("an upstream that refuses and one that hangs are passed over, and a row typed by hand is used", async () => {
  await using installation = await Installation.create();
  await using hanging = new FakeUpstream(hang);
  await using failing = new FakeUpstream(reply(500, '{"error":{"message":"down"}}'));
  await using good = new FakeUpstream(chatReply("the one that works"));
  await installation.succeed(["add", "--sk", KEY, "--endpoint", refusingEndpoint(), "--name", "refusing"]);
  const timeout = ["--timeout", "1"];
  await installation.succeed([
    "add",
    "--sk",
    KEY,
    "--endpoint",
    hanging.endpoint,
    "--name",
    "hanging",
    ...timeout,
  ]);
  await installation.succeed(["add", "--sk", KEY, "--endpoint", failing.endpoint, "--name", "failing"]);
  const token = (await installation.succeed(["token", "show"])).trim();
  await using server = await installation.start();

  const db = new DatabaseSync(`${installation.directory}/db.sqlite`);
  db.exec("PRAGMA busy_timeout = 5000");
  db.prepare("INSERT INTO openai_upstreams(sk, endpoint, name) VALUES(?, ?, 'good')").run(KEY, good.endpoint);
  db.close();
  await eventually(async () => {
    const names = (await server.metrics()).includes('upstream="good"');
    return names ? true : null;
  }, "the row to be used");
  const response = await server.chat(token);
  assert.equal(response.headers.get("x-oar-upstream"), "good");
  assert.equal(response.headers.get("x-oar-attempts"), "4");
  await response.text();
  const classes = query(installation, "SELECT error_class FROM attempts ORDER BY n");
  assert.deepEqual(classes.map((row) => row["error_class"] ?? ""), [
    "connect_error",
    "timeout",
    "http_status",
    "",
  ]);
});

test("the proxy of the environment is used on the way to an upstream", async () => {
  await using installation = await Installation.create();
  await using proxy = new FakeUpstream(chatReply("through the proxy"));
  await installation.succeed(["add", "--sk", KEY, "--endpoint", "http://upstream.invalid/v1"]);
  const token = (await installation.succeed(["token", "show"])).trim();
  await using server = await installation.start({
    env: { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` },
  });
  assert.equal((await server.chat(token)).status, 200);
  assert.equal(proxy.requests[0]?.target, "http://upstream.invalid/v1/chat/completions");
});

const canTrace = await works("strace", "-o", "/dev/null", "true");

test("it starts no process and loads no code while it serves", async () => {
  await using installation = await Installation.create();
  await using upstream = new FakeUpstream(stream(chatEvents(["traced"])));
  await installation.succeed(["add", "--sk", KEY, "--endpoint", upstream.endpoint]);
  const token = (await installation.succeed(["token", "show"])).trim();
  const log = `${installation.directory}/trace`;
  // With -D, strace is a grandchild: the signal below reaches the executable itself.
  const server = await installation.start({
    through: [
      "/usr/bin/env",
      "strace",
      "-D",
      "-f",
      "-o",
      log,
      "-e",
      "trace=execve,execveat,fork,vfork,open,openat",
    ],
    env: { PATH: Deno.env.get("PATH") ?? "" },
  });
  assert.match(await (await server.chat(token, { stream: true })).text(), /traced/);
  await server.metrics();
  assert.deepEqual(await server.end("SIGTERM"), { code: 0, signal: null });
  const trace = await eventually(async () => {
    const text = await Deno.readTextFile(log);
    return text.includes("+++ exited with 0 +++") ? text : null;
  }, "the end of the trace");
  const started = [...trace.matchAll(/(?:execve(?:at)?|v?fork)\(.*/g)].map(([call]) => call);
  const libraries = new Set(trace.matchAll(/"([^"]*\.so[.\d]*)".* = \d+$/gm).map((match) => match[1] ?? ""));
  console.log(`processes started: ${started.length} (its own)\nlibraries: ${[...libraries].join(" ")}`);
  assert.equal(started.length, 1, started.join("\n"));
  assert.match(started[0] ?? "", /openai-api-route/);
  for (const path of libraries) assert.match(path, /^\/(usr\/)?lib/);
}, !canTrace);

test("its size, its start and its idle memory are what a small server's are", async () => {
  await using installation = await Installation.create();
  await using upstream = new FakeUpstream(chatReply("quick"));
  await installation.succeed(["add", "--sk", KEY, "--endpoint", upstream.endpoint]);
  const token = (await installation.succeed(["token", "show"])).trim();
  const startsMs: number[] = [];
  let idleBytes = 0;
  for (let run = 0; run < 5; run++) {
    const startedMs = performance.now();
    await using server = await installation.start();
    assert.equal((await server.chat(token)).status, 200);
    startsMs.push(performance.now() - startedMs);
    const rss = /^process_resident_memory_bytes (\S+)$/m.exec(await server.metrics())?.[1];
    idleBytes = Math.max(idleBytes, Number(rss));
  }
  const medianMs = startsMs.toSorted((a, b) => a - b)[2] ?? 0;
  const { size } = await Deno.stat(EXECUTABLE);
  console.log(
    `process start to first answered request: ${medianMs.toFixed(0)} ms (median of 5); ` +
      `size ${(size / 1e6).toFixed(1)} MB; idle memory ${(idleBytes / 1e6).toFixed(0)} MB`,
  );
  assert.ok(size < 130e6);
  assert.ok(medianMs < 5_000);
  assert.ok(idleBytes < 250e6);
});
