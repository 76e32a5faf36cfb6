/**
 * An upstream with several keys: which key a request gets, what follows when one is throttled, refused or without credit,
 * and what `list`, the API, alerts and metrics say of them.
 */
import assert from "node:assert/strict";
import { adminTokenOf, askApi, posted } from "../support/admin.ts";
import { eventually, Router, type RouterOptions, runProgram, TEST_TOKEN } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  FakeUpstream,
  hang,
  pieces,
  raw,
  type ReceivedRequest,
  refusingEndpoint,
  reply,
  type Script,
  stream,
} from "../support/upstream.ts";

const keyOf = (n: number) => `sk-pool-${n}-abcdefghijklmnop-${n}${n}${n}${n}`;
const KEYS = [1, 2, 3].map(keyOf);
const POOL = KEYS.join("\n");
const OTHER = "other-token-0123456789";
const anError = (more: Record<string, unknown>) => JSON.stringify({ error: { message: "no", ...more } });
const THROTTLED = reply(429, anError({}), { "retry-after": "60" });
const REFUSED = reply(401, anError({}));
const NO_CREDIT = reply(402, anError({}));

/** The number of the key that a request brought. */
function keyIn({ headers }: ReceivedRequest): number {
  return KEYS.indexOf((headers.get("authorization") ?? "").replace("Bearer ", "")) + 1;
}

const good: Script = (request, wire) =>
  (request.text.includes('"stream":true') ? stream(chatEvents(["ok"])) : chatReply("ok"))(request, wire);

/** Answers by key, and well where nothing is said. */
class Pool extends FakeUpstream {
  readonly scripts: Partial<Record<number, Script>> = {};

  constructor() {
    super((request, wire) => (this.scripts[keyIn(request)] ?? good)(request, wire));
  }

  /** The keys of the chats that came since the last call, in order. */
  taken(): string {
    const chats = this.requests.filter(({ method }) => method === "POST");
    const numbers = chats.slice(this.#seen).map(keyIn).join(" ");
    this.#seen = chats.length;
    return numbers;
  }

  #seen = 0;
}

interface Stage extends AsyncDisposable {
  readonly pool: Pool;
  readonly other: FakeUpstream;
  readonly router: Router;
  readonly alerts: readonly Record<string, unknown>[];
}

/** A pool of three keys, and another upstream behind it. */
async function start(
  { isAlone = false, sk = POOL, policy = null, ...options }: RouterOptions & {
    readonly isAlone?: boolean;
    readonly sk?: string;
    readonly policy?: string | null;
  } = {},
): Promise<Stage> {
  const pool = new Pool();
  const other = new FakeUpstream(good);
  const alerts: Record<string, unknown>[] = [];
  const sink = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    alerts.push((await request.json()).alert);
    return new Response("{}");
  });
  const router = await Router.start({
    authorization: `${TEST_TOKEN},${OTHER}`,
    ...options,
    env: { ALERT_WEBHOOK: `http://127.0.0.1:${sink.addr.port}/` },
    upstreams: [
      { endpoint: pool.endpoint, name: "pool", sk },
      ...(isAlone ? [] : [{ endpoint: other.endpoint, name: "other" }]),
    ],
  });
  if (policy !== null) {
    router.execute("UPDATE openai_upstreams SET key_policy = ? WHERE name = 'pool'", policy);
    await settled(router);
  }
  return {
    ...{ pool, other, router, alerts },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await sink.shutdown();
      await pool[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    },
  };
}

/** The server has read a change of the database. */
async function settled(router: Router): Promise<void> {
  await askApi(router, "/upstreams");
}

interface Ask {
  readonly stream?: boolean;
  readonly model?: string;
  readonly token?: string;
}

/** Which upstream answers, after how many attempts, with which status. */
async function ask(router: Router, { token = TEST_TOKEN, ...body }: Ask = {}): Promise<string> {
  const response = await router.chat({ ...body }, { headers: { authorization: `Bearer ${token}` } });
  await response.text().catch(() => {});
  await router.recordOf(response);
  return `${response.headers.get("x-oar-upstream")} ${
    response.headers.get("x-oar-attempts")
  } ${response.status}`;
}

async function listed(
  router: Router,
): Promise<Record<string, unknown> & { keys: Record<string, unknown>[] }> {
  return JSON.parse((await runProgram(["list", "--json"], { cwd: router.directory })).stdout)[0];
}

/** Polls `list` until the states of the keys are these. */
async function keyStates(router: Router, expected: string): Promise<Record<string, unknown>[]> {
  return await eventually(async () => {
    const { keys } = await listed(router);
    return keys.map(({ state }) => state).join(" ") === expected ? keys : null;
  }, `keys ${expected}`);
}

Deno.test("requests take the keys in turn", async () => {
  await using stage = await start();
  for (let n = 0; n < 6; n++) assert.equal(await ask(stage.router), "pool 1 200");
  assert.equal(stage.pool.taken(), "1 2 3 1 2 3");
  const [record] = stage.router.records();
  assert.deepEqual(stage.router.attempts(record?.["id"]).map(({ key_n }) => key_n), [1]);
});

Deno.test("with fill, the first key that is well takes them all", async () => {
  await using stage = await start({ policy: "fill" });
  for (let n = 0; n < 3; n++) await ask(stage.router);
  assert.equal(stage.pool.taken(), "1 1 1");
  stage.pool.scripts[1] = THROTTLED;
  for (let n = 0; n < 3; n++) await ask(stage.router);
  assert.equal(stage.pool.taken(), "1 2 2 2");
});

const TIMELESS = reply(429, anError({}));
const SPOKEN = anError({ type: "rate_limit_error", code: "rate_limit_exceeded" });
const RATES: Readonly<Record<string, { readonly script: Script; readonly stream?: boolean }>> = {
  "with a time": { script: THROTTLED },
  "without a time": { script: TIMELESS },
  "in an event of a stream": { script: stream([`data: ${SPOKEN}\n\n`]), stream: true },
};

Deno.test("a throttled key costs one attempt, and is not asked before its time", async (t) => {
  for (const [name, { script, stream = false }] of Object.entries(RATES)) {
    for (const isAlone of [true, false]) {
      await t.step(`${name}, ${isAlone ? "the only upstream" : "before another one"}`, async () => {
        await using stage = await start({ isAlone });
        const { pool, router } = stage;
        pool.scripts[1] = script;
        assert.equal(await ask(router, { stream }), "pool 2 200");
        assert.equal(pool.taken(), "1 2");
        for (let n = 0; n < 6; n++) assert.equal(await ask(router, { stream }), "pool 1 200");
        assert.equal(pool.taken(), "2 3 2 3 2 3".replace(/^2 3/, "3 2").replace(/2 3 2 3$/, "3 2 3 2"));
        const [key] = await keyStates(router, "throttled ok ok");
        assert.equal(key?.["n"], 1);
        assert.equal(stage.alerts.length, 0, "that is what several keys are for");
        // Another model has a limit of its own.
        pool.scripts[1] = good;
        for (let n = 0; n < 3; n++) await ask(router, { model: "m2", stream });
        assert.ok(pool.taken().includes("1"));
      });
    }
  }
});

Deno.test("when all keys are throttled the next upstream answers, and the client notices nothing", async () => {
  await using stage = await start();
  const { pool, router } = stage;
  for (const n of [1, 2, 3]) pool.scripts[n] = THROTTLED;
  assert.equal(await ask(router), "other 4 200");
  assert.equal(pool.taken(), "1 2 3");
  assert.equal(await ask(router), "other 1 200");
  assert.equal((await listed(router))["condition"], "failing");
});

const LOST: Readonly<
  Record<string, { readonly script: Script; readonly state: string; readonly alert: string }>
> = {
  "a 401": { script: REFUSED, state: "refused", alert: "upstream_key_refused" },
  "a 403": { script: reply(403, anError({})), state: "refused", alert: "upstream_key_refused" },
  "a 402": { script: NO_CREDIT, state: "no_credit", alert: "upstream_key_no_credit" },
  "a 429 without quota": {
    script: reply(429, anError({ code: "insufficient_quota" })),
    state: "no_credit",
    alert: "upstream_key_no_credit",
  },
  "a 400 without quota": {
    script: reply(400, anError({ code: "insufficient_quota" })),
    state: "no_credit",
    alert: "upstream_key_no_credit",
  },
};

Deno.test("a key that is refused or without credit is not asked again, and people are told once", async (t) => {
  for (const [name, { script, state, alert }] of Object.entries(LOST)) {
    await t.step(name, async () => {
      await using stage = await start({ isAlone: true });
      const { pool, router } = stage;
      pool.scripts[2] = script;
      assert.equal(await ask(router), "pool 1 200");
      assert.equal(await ask(router), "pool 2 200");
      for (let n = 0; n < 4; n++) {
        assert.equal(await ask(router, { model: `m${n}`, token: n % 2 ? OTHER : TEST_TOKEN }), "pool 1 200");
      }
      assert.equal(pool.taken().match(/2/g)?.length, 1);
      const [, key] = await keyStates(router, `ok ${state} ok`);
      assert.equal(key?.["key"], "sk-…2222");
      assert.ok(Date.parse(String(key?.["until"])) > Date.now() + 8 * 60_000);
      assert.equal((await listed(router))["condition"], "ok");
      await eventually(() => stage.alerts.length > 0 || null, "the alert");
      assert.deepEqual(
        stage.alerts.map(({ type, upstream, key, masked }) => ({ type, upstream, key, masked })),
        [{ type: alert, upstream: "pool", key: 2, masked: "sk-…2222" }],
      );
      assert.equal(await router.metric(`upstream_keys{upstream="pool",state="${state}"}`), 1);
      assert.equal(await router.metric('upstream_keys{upstream="pool",state="ok"}'), 2);
      const table = (await runProgram(["list"], { cwd: router.directory })).stdout;
      assert.match(table, /3 keys \(1 (?:refused|without credit)\)/);
      await runProgram(["enable", "pool"], { cwd: router.directory });
      await keyStates(router, "ok ok ok");
      pool.scripts[2] = good;
      for (let n = 0; n < 3; n++) await ask(router);
      assert.ok(pool.taken().includes("2"));
    });
  }
});

Deno.test("one client proves a key bad that worked before when another key takes the same request", async () => {
  await using stage = await start({ isAlone: true });
  const { pool, router } = stage;
  for (let n = 0; n < 3; n++) await ask(router);
  pool.scripts[1] = REFUSED;
  assert.equal(await ask(router), "pool 2 200");
  await keyStates(router, "refused ok ok");
});

Deno.test("a client whose requests every key refuses disables none that works for others", async () => {
  await using stage = await start({ isAlone: true });
  const { pool, router } = stage;
  for (let n = 0; n < 3; n++) await ask(router, { token: OTHER });
  for (const n of [1, 2, 3]) pool.scripts[n] = REFUSED;
  assert.equal(await ask(router), "pool 3 401");
  for (const n of [1, 2, 3]) pool.scripts[n] = good;
  for (let n = 0; n < 3; n++) assert.equal(await ask(router, { token: OTHER }), "pool 1 200");
  await keyStates(router, "ok ok ok");
});

Deno.test("when all keys are refused the next upstream answers, people are told, and a key that works again ends it", async () => {
  await using stage = await start();
  const { pool, router } = stage;
  for (const n of [1, 2, 3]) pool.scripts[n] = REFUSED;
  assert.equal(await ask(router), "other 4 200");
  assert.equal(await ask(router), "other 1 200");
  assert.equal(pool.taken(), "1 2 3");
  await keyStates(router, "refused refused refused");
  assert.equal((await listed(router))["condition"], "failing");
  await eventually(() => stage.alerts.some(({ type }) => type === "upstream_down") || null, "the alert");
  assert.equal(stage.alerts.filter(({ type }) => type === "upstream_key_refused").length, 3);
  const ready = await (await fetch(`http://127.0.0.1:${router.port}/readyz`)).text();
  assert.ok(ready.includes("failing"), ready);
});

Deno.test("all without credit are shown so", async () => {
  await using stage = await start();
  for (const n of [1, 2, 3]) stage.pool.scripts[n] = NO_CREDIT;
  assert.equal(await ask(stage.router), "other 4 200");
  await keyStates(stage.router, "no_credit no_credit no_credit");
  assert.equal((await listed(stage.router))["condition"], "no_credit");
});

const NOT_THE_KEY: Readonly<Record<string, Script>> = {
  "a 500": reply(500, anError({})),
  "a 503 with a time": reply(503, anError({}), { "retry-after": "60" }),
  "a 404 for the model": reply(404, anError({ code: "model_not_found" })),
  "a 400": reply(400, anError({})),
  "a connection that ends": raw(""),
  "no HTTP": raw("hello\r\n\r\n"),
};

Deno.test("a failure that is not the key's is not tried with the other keys", async (t) => {
  for (const [name, script] of Object.entries(NOT_THE_KEY)) {
    await t.step(name, async () => {
      await using stage = await start();
      const { pool, router } = stage;
      for (const n of [1, 2, 3]) pool.scripts[n] = script;
      assert.equal(await ask(router), "other 2 200");
      assert.equal(pool.taken(), "1");
      const { keys } = await listed(router);
      assert.deepEqual(keys.map(({ state }) => state), ["ok", "ok", "ok"]);
    });
  }
});

Deno.test("the only upstream's failure reaches the client as it is with one key", async (t) => {
  for (const [name, status] of [["a 400", 400], ["a 404 for the model", 404]] as const) {
    await t.step(name, async () => {
      await using stage = await start({ isAlone: true });
      for (const n of [1, 2, 3]) stage.pool.scripts[n] = NOT_THE_KEY[name];
      assert.equal(await ask(stage.router), `pool 1 ${status}`);
    });
  }
});

Deno.test("a dead host with five keys costs one attempt", async () => {
  await using other = new FakeUpstream(good);
  await using router = await Router.start({
    upstreams: [
      { endpoint: refusingEndpoint(), sk: [1, 2, 3, 4, 5].map(keyOf).join("\n") },
      { endpoint: other.endpoint, name: "other" },
    ],
  });
  assert.equal(await ask(router), "other 2 200");
});

Deno.test("a host that is silent costs one attempt, and one that is the only one is waited for", async () => {
  await using stage = await start({ isAlone: true });
  stage.router.execute("UPDATE openai_upstreams SET timeout = 1");
  await settled(stage.router);
  for (const n of [1, 2, 3]) stage.pool.scripts[n] = hang;
  assert.match(await ask(stage.router), / 1 502$/);
  assert.equal(stage.pool.taken(), "1");
});

Deno.test("of a hundred keys, ten are asked for one request", async () => {
  const keys = Array.from({ length: 100 }, (_each, n) => `sk-many-${n}-abcdefghijklmnop`);
  await using pool = new FakeUpstream(REFUSED);
  await using other = new FakeUpstream(reply(500, anError({})));
  await using router = await Router.start({
    upstreams: [{ endpoint: pool.endpoint, sk: keys.join("\n") }, { endpoint: other.endpoint }],
    args: ["--retry-same", "0"],
  });
  await ask(router);
  assert.equal(pool.requests.length, 10);
  // Three of them before the other upstream.
  const [record] = router.records();
  const order = router.attempts(record?.["id"]).map(({ upstream_id }) => upstream_id).join("");
  assert.equal(order, "1112" + "1".repeat(7));
});

Deno.test("rows typed by hand: line breaks of all sorts, empty lines, repeated keys", async () => {
  await using stage = await start({ sk: `\r\n ${KEYS[0]} \r\n\r\n${KEYS[1]}\n${KEYS[0]}\r${KEYS[2]}\n\n` });
  for (let n = 0; n < 4; n++) assert.equal(await ask(stage.router), "pool 1 200");
  assert.equal(stage.pool.taken(), "1 2 3 1");
  assert.deepEqual((await listed(stage.router)).keys.map(({ key }) => key), [
    "sk-…1111",
    "sk-…2222",
    "sk-…3333",
  ]);
});

Deno.test("keys that are added or removed while the server runs leave the others as they are", async () => {
  await using stage = await start({ isAlone: true, sk: KEYS.slice(0, 2).join("\n") });
  const { pool, router } = stage;
  const edit = async (...args: string[]) => {
    const { code, stderr, stdout } = await runProgram(["edit", "pool", ...args], { cwd: router.directory });
    assert.equal(code, 0, stderr);
    assert.ok(!KEYS.some((key) => stdout.includes(key)));
    await settled(router);
  };
  pool.scripts[1] = REFUSED;
  assert.equal(await ask(router), "pool 2 200");
  await edit("--add-key", keyOf(3));
  await keyStates(router, "refused ok ok");
  for (let n = 0; n < 4; n++) await ask(router);
  assert.equal(pool.taken(), "1 2 3 2 3 2");
  await edit("--remove-key", "2");
  await keyStates(router, "refused ok");
  for (let n = 0; n < 2; n++) await ask(router);
  assert.equal(pool.taken(), "3 3");
  // The number of a key may change, its state does not.
  await edit("--remove-key", "sk-…3333", "--add-key", keyOf(2));
  await edit("--key", `${keyOf(2)}`, "--key", `${keyOf(1)}`);
  await keyStates(router, "ok refused");
  await edit("--remove-key", "2");
  assert.equal((await listed(router))["key"], "sk-…2222");
});

Deno.test("a key may be removed while a request uses it", async () => {
  await using stage = await start({ isAlone: true });
  const { pool, router } = stage;
  const { promise, resolve } = Promise.withResolvers<void>();
  pool.scripts[1] = async (request, wire) => {
    await promise;
    await good(request, wire);
  };
  const asked = ask(router);
  await pool.received(1);
  await runProgram(["edit", "pool", "--remove-key", "1"], { cwd: router.directory });
  await settled(router);
  resolve();
  assert.equal(await asked, "pool 1 200");
  for (let n = 0; n < 2; n++) await ask(router);
  assert.equal(pool.taken().startsWith("1"), true);
  assert.deepEqual((await listed(router)).keys.map(({ state }) => state), ["ok", "ok"]);
});

Deno.test("no key of several is shown anywhere, whichever the upstream quotes", async (t) => {
  const quoted = (n: number) => anError({ message: `Incorrect API key provided: ${keyOf(n)}` });
  const split = (text: string) => [text.slice(0, 60), text.slice(60)];
  const cases: Readonly<Record<string, Script>> = {
    "a 401": reply(401, quoted(2)),
    "a 400 split in two": pieces(split(quoted(3)), 400),
    "an error in a stream": stream([...chatEvents(["a"]).slice(0, 2), `data: ${quoted(3)}\n\n`]),
    "a header": reply(400, anError({}), { "x-key": keyOf(2) }),
    "a whole pool": reply(400, anError({ message: POOL })),
  };
  for (const [name, script] of Object.entries(cases)) {
    await t.step(name, async () => {
      await using stage = await start({ isAlone: true });
      const { router, pool } = stage;
      for (const n of [1, 2, 3]) pool.scripts[n] = script;
      const response = await router.chat({ stream: name.includes("stream") });
      const seen = [await response.text(), JSON.stringify([...response.headers])];
      await router.recordOf(response);
      seen.push(JSON.stringify(router.records()), JSON.stringify(router.query("SELECT * FROM attempts")));
      seen.push(router.text, await router.metrics());
      seen.push(JSON.stringify(router.query("SELECT * FROM upstream_states")), JSON.stringify(stage.alerts));
      for (const path of ["/upstreams", "/status", "/settings"]) {
        seen.push(JSON.stringify(await askApi(router, path)));
      }
      for (const words of [["list"], ["list", "--json"], ["doctor"], ["records"]]) {
        const { stdout, stderr } = await runProgram(words, { cwd: router.directory });
        seen.push(stdout, stderr);
      }
      const page = await fetch(`http://127.0.0.1:${router.port}/admin/upstreams`, {
        headers: { authorization: `Bearer ${adminTokenOf(router)}`, accept: "text/html" },
      });
      seen.push(await page.text());
      for (const key of KEYS) {
        for (const text of seen) assert.ok(!text.includes(key), `${name}: ${text.slice(0, 300)}`);
      }
    });
  }
});

Deno.test("keys are given by file, by pipe and one by one, and each is tested", async () => {
  await using pool = new FakeUpstream((request, wire) =>
    (keyIn(request) === 2 ? REFUSED : reply(200, '{"object":"list","data":[{"id":"m"}]}'))(request, wire)
  );
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  const add = async (name: string, args: readonly string[], stdin?: string) => {
    const path = `${pool.endpoint}/${name}`;
    const { code, stdout, stderr } = await runProgram(
      ["add", ...args, "--endpoint", path, "--name", name],
      { cwd: directory, ...(stdin === undefined ? {} : { stdin }) },
    );
    for (const key of KEYS) assert.ok(!`${stdout}${stderr}`.includes(key));
    return { code, text: `${stdout}${stderr}` };
  };
  try {
    await Deno.writeTextFile(
      `${directory}/keys.txt`,
      `# mine\r\n${KEYS[0]}\r\n\r\n${KEYS[1]}\n${KEYS[2]}\n${KEYS[0]}`,
    );
    const { code, text } = await add("file", ["--key", "@keys.txt"]);
    assert.equal(code, 0, text);
    assert.match(text, /added upstream 1 "file" \S+ \(3 keys\)/);
    assert.match(text, /3 keys: 2 answer, key 2 is refused/);
    assert.equal((await add("pipe", ["--key", "-", "--no-test"], `${POOL}\n`)).code, 0);
    const single = await add("single", ["--no-test", ...KEYS.flatMap((key) => ["--key", key])]);
    assert.equal(single.code, 0, single.text);
    const { stdout } = await runProgram(["list", "--json"], { cwd: directory });
    const upstreams: { keys: { key: string }[]; key: string }[] = JSON.parse(stdout);
    assert.deepEqual(
      upstreams.map(({ key, keys }) => [key, ...keys.map((each) => each.key)]),
      Array(3).fill(["3 keys", "sk-…1111", "sk-…2222", "sk-…3333"]),
    );
    const again = await add("file", ["--key", KEYS.join("\n").split("\n")[0] ?? "", "--key", "@keys.txt"]);
    assert.notEqual(again.code, 0, "the same keys at the same endpoint are a duplicate");
    await Deno.writeTextFile(`${directory}/bad.txt`, `${KEYS[0]}\n${KEYS[1]} and more\n`);
    const bad = await add("bad", ["--key", "@bad.txt"]);
    assert.match(bad.text, /line 2 is no key/);
    assert.match((await add("none", ["--key", "@nowhere.txt"])).text, /there is no such file/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the API and the page take several keys, and ask for them again at another host", async () => {
  await using stage = await start({ isAlone: true });
  const { router } = stage;
  interface View {
    readonly id: number;
    readonly key: string;
    readonly keys: readonly { readonly n: number; readonly key: string; readonly state: string }[];
  }
  const storedOf = (id: number) =>
    router.query("SELECT sk FROM openai_upstreams WHERE id = ?", id)[0]?.["sk"];
  const added = await askApi<View>(router, "/upstreams", {
    ...posted({ endpoint: "https://a.example/v1", keys: [KEYS[0], KEYS[1]] }),
    status: 201,
  });
  assert.equal(storedOf(added.id), `${KEYS[0]}\n${KEYS[1]}`);
  assert.deepEqual(added.keys.map(({ n, key, state }) => [n, key, state]), [[1, "sk-…1111", "ok"], [
    2,
    "sk-…2222",
    "ok",
  ]]);
  const edit = (change: Record<string, unknown>, status = 200) =>
    askApi<View>(router, `/upstreams/${added.id}`, { ...posted(change, "PATCH"), status });
  // What was shown comes back: no change.
  await edit({ key: added.key, name: "renamed" });
  assert.equal(storedOf(added.id), `${KEYS[0]}\n${KEYS[1]}`);
  await edit({ key: `${KEYS[2]}\r\n\r\n${KEYS[0]}\r\n` });
  assert.equal(storedOf(added.id), `${KEYS[2]}\n${KEYS[0]}`);
  await edit({ endpoint: "https://b.example/v1" }, 400);
  assert.equal(storedOf(added.id), `${KEYS[2]}\n${KEYS[0]}`);
  await edit({ endpoint: "https://b.example/v1", keys: KEYS });
  assert.equal(storedOf(added.id), POOL);
  await edit({ keys: [1, 2] }, 400);
  await edit({ keys: [] }, 400);
});

Deno.test("the key that made an id is waited for when it is full, however many others have room", async (t) => {
  const keys = Array.from({ length: 13 }, (_, n) => keyOf(n + 1));
  const keyAt = ({ headers }: ReceivedRequest) =>
    keys.indexOf((headers.get("authorization") ?? "").replace("Bearer ", "")) + 1;
  const files = new Map<string, number>();
  let held = Promise.withResolvers<void>();
  await using pool = new FakeUpstream(async (request, wire) => {
    const [, , collection, id = ""] = request.target.split("/");
    if (collection === "models") return await reply(404, "{}")(request, wire);
    if (collection === "chat") {
      await Promise.race([held.promise, request.closed]);
      return await good(request, wire);
    }
    if (id === "") {
      const made = `file-made-by-${keyAt(request)}`;
      files.set(made, keyAt(request));
      return await reply(200, JSON.stringify({ id: made, object: "file" }))(request, wire);
    }
    const isKnown = files.get(id) === keyAt(request);
    await reply(isKnown ? 200 : 404, isKnown ? JSON.stringify({ id }) : anError({}))(request, wire);
  });
  await using router = await Router.start({
    upstreams: [{
      endpoint: pool.endpoint,
      name: "pool",
      sk: keys.join("\n"),
      columns: { max_parallel: "1" },
    }],
    args: ["--queue-timeout", "60"],
  });
  const upload = await router.fetch("/files", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { id } = await upload.json();
  for (const method of ["GET", "DELETE"]) {
    await t.step(method, async () => {
      held = Promise.withResolvers<void>();
      const before = pool.requests.length;
      const content = [{ type: "file", file: { file_id: id } }];
      const busy = router.chat({ messages: [{ role: "user", content }] });
      await pool.received(before + 1);
      const asked = router.fetch(`/files/${id}`, { method });
      await eventually(async () => await router.metric("queue_length") === 1 || null, "it waits");
      held.resolve();
      await (await busy).body?.cancel();
      const response = await asked;
      assert.deepEqual([response.status, response.headers.get("x-oar-attempts")], [200, "1"]);
      await response.body?.cancel();
    });
  }
});

Deno.test("the API adds and removes single keys, and the others stay as they are", async () => {
  await using stage = await start({ isAlone: true });
  const { router } = stage;
  interface View {
    readonly id: number;
    readonly keys: readonly { readonly n: number; readonly key: string }[];
  }
  const { id } = await askApi<View>(router, "/upstreams", {
    ...posted({ endpoint: "https://a.example/v1", key: KEYS[0] }),
    status: 201,
  });
  const stored = () => router.query("SELECT sk FROM openai_upstreams WHERE id = ?", id)[0]?.["sk"];
  const edit = (change: Record<string, unknown>, status = 200) =>
    askApi<View>(router, `/upstreams/${id}`, { ...posted(change, "PATCH"), status });
  const added = await edit({ addKeys: [KEYS[1], KEYS[2], KEYS[0]], name: "grown" });
  assert.equal(stored(), POOL);
  assert.deepEqual(added.keys.map(({ n }) => n), [1, 2, 3]);
  await edit({ removeKeys: [1] });
  assert.equal(stored(), `${KEYS[1]}\n${KEYS[2]}`);
  await edit({ removeKeys: [added.keys[2]?.key], addKeys: [KEYS[0]] });
  assert.equal(stored(), `${KEYS[1]}\n${KEYS[0]}`);
  // Neither the last ones, nor one that is not there, nor together with all keys anew, nor what no header can carry.
  await edit({ removeKeys: [1, 2] }, 400);
  await edit({ removeKeys: [3] }, 400);
  await edit({ removeKeys: ["sk-…none"] }, 400);
  await edit({ addKeys: [KEYS[2]], key: KEYS[2] }, 400);
  await edit({ addKeys: ["sk-\u00e4"] }, 400);
  // A key that stays does not follow to another host.
  await edit({ addKeys: [KEYS[2]], endpoint: "https://b.example/v1" }, 400);
  await edit({ addKeys: [], removeKeys: [] });
  assert.equal(stored(), `${KEYS[1]}\n${KEYS[0]}`);
});
