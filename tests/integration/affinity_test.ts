/** Requests go to the upstream that they are tied to: by an id that only it knows, or by their session. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { askApi } from "../support/admin.ts";
import { eventually, Router, TEST_TOKEN } from "../support/router.ts";
import { StatefulUpstream } from "../support/stateful_upstream.ts";
import { reply } from "../support/upstream.ts";

/** Upstreams that know only their own ids, behind one router. */
class Stage implements AsyncDisposable {
  private constructor(readonly upstreams: readonly StatefulUpstream[], public router: Router) {}

  static async start(count: number, args: readonly string[] = ["--policy", "round_robin"]): Promise<Stage> {
    const upstreams = Array.from({ length: count }, (_, index) => new StatefulUpstream(`u${index}x`));
    const rows = upstreams.map(({ endpoint, name }) => ({ endpoint, name }));
    return new Stage(upstreams, await Router.start({ upstreams: rows, args }));
  }

  get client(): OpenAI {
    return new OpenAI({ baseURL: this.router.url, apiKey: TEST_TOKEN, maxRetries: 0 });
  }

  /** All attempts so far. */
  get attempts(): number {
    return this.upstreams.reduce((sum, { asked }) => sum + asked.length, 0);
  }

  ownerOf(id: string): StatefulUpstream {
    const owner = this.upstreams.find(({ known }) => known.has(id));
    assert.ok(owner, `nobody made ${id}`);
    return owner;
  }

  post(path: string, body: unknown): Promise<Response> {
    return this.router.fetch(path, { method: "POST", body: JSON.stringify(body) });
  }

  async create(path: string, body: unknown = {}): Promise<string> {
    const response = await this.post(path, body);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text).id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    for (const upstream of this.upstreams) await upstream[Symbol.asyncDispose]();
  }
}

Deno.test("a conversation of ten turns by previous_response_id takes ten attempts", async () => {
  await using s = await Stage.start(3);
  const { client } = s;
  let previous: string | null = null;
  for (let turn = 0; turn < 10; turn++) {
    const made: OpenAI.Responses.Response = await client.responses.create({
      model: "m",
      input: "hi",
      previous_response_id: previous,
    });
    previous = made.id;
  }
  assert.equal(s.attempts, 10);
  const records = await s.router.recorded(10);
  assert.deepEqual(records.map(({ affinity }) => affinity), [null, ...Array(9).fill("owner")]);
  assert.equal(await s.router.metric('affinity_total{kind="owner"}'), 9);
});

Deno.test("the owner of an id is known after a restart, and ids of streams before the stream has ended", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  const upstreams = [0, 1, 2].map((index) => new StatefulUpstream(`r${index}x`));
  const args = ["--policy", "round_robin"];
  try {
    let id = "";
    await t.step("before", async () => {
      const seed = await Router.start({
        upstreams: upstreams.map(({ endpoint, name }) => ({ endpoint, name })),
        args,
      });
      const db = await Deno.readFile(`${seed.directory}/db.sqlite`).catch(() => null);
      assert.ok(db !== null);
      const { promise: rest, resolve: goOn } = Promise.withResolvers<void>();
      for (const upstream of upstreams) upstream.rest = rest;
      const stream = await seed.fetch("/responses", {
        method: "POST",
        body: JSON.stringify({ model: "m", input: "hi", stream: true }),
      });
      const reader = stream.body?.getReader();
      const first = new TextDecoder().decode((await reader?.read())?.value);
      id = /"id":"(resp_\w+)"/.exec(first)?.[1] ?? "";
      const cancelled = await seed.fetch(`/responses/${id}/cancel`, { method: "POST" });
      assert.equal(cancelled.status, 200, await cancelled.text());
      assert.equal(cancelled.headers.get("x-oar-affinity"), "owner");
      assert.equal(cancelled.headers.get("x-oar-attempts"), "1");
      goOn();
      while (!(await reader?.read())?.done);
      await seed.recorded(2);
      seed.signal("SIGTERM");
      await seed.exited();
      for await (const { name } of Deno.readDir(seed.directory)) {
        await Deno.copyFile(`${seed.directory}/${name}`, `${directory}/${name}`);
      }
      await Deno.remove(seed.directory, { recursive: true });
    });
    await t.step("after", async () => {
      await using router = await Router.start({ directory, args });
      for (let turn = 0; turn < 3; turn++) {
        const found = await router.fetch(`/responses/${id}`);
        assert.equal(found.status, 200);
        assert.equal(found.headers.get("x-oar-attempts"), "1");
        await found.body?.cancel();
      }
    });
  } finally {
    for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("while the owner of a conversation is down, nobody says that the conversation is gone", async (t) => {
  await using s = await Stage.start(3);
  const id = await s.create("/responses", { model: "m", input: "hi" });
  const owner = s.ownerOf(id);
  const next = () => s.client.responses.create({ model: "m", input: "hi", previous_response_id: id });

  await t.step("it answers with an error of its own", async () => {
    owner.trouble = reply(503, '{"error":{"message":"overloaded","type":"server_error","code":null}}');
    await assert.rejects(
      next(),
      (error) => error instanceof OpenAI.InternalServerError && error.status === 503,
    );
  });
  await t.step("its connection breaks", async () => {
    owner.trouble = (_request, wire) => wire.close();
    for (let turn = 0; turn < 5; turn++) {
      await assert.rejects(
        next(),
        (error) => error instanceof OpenAI.InternalServerError && error.status === 502,
      );
    }
    const [record] = s.router.query("SELECT affinity FROM records ORDER BY id DESC LIMIT 1");
    assert.equal(record?.["affinity"], "broken");
  });
  await t.step("it is back, and is asked first although it still cools", async () => {
    owner.trouble = null;
    const before = s.attempts;
    assert.match((await next()).id, new RegExp(owner.name));
    assert.equal(s.attempts, before + 1);
  });
  await t.step("it does not know the id any more: that is told", async () => {
    owner.known.clear();
    await assert.rejects(next(), (error) => error instanceof OpenAI.BadRequestError);
  });
});

Deno.test("while the owner is full for too long, nobody says that the file is gone", async () => {
  await using s = await Stage.start(2, ["--policy", "round_robin", "--queue-timeout", "1"]);
  const id = await s.create("/files");
  const owner = s.ownerOf(id);
  s.router.execute("UPDATE openai_upstreams SET max_parallel = 1 WHERE name = ?", owner.name);
  await askApi(s.router, "/upstreams");
  const held = Promise.withResolvers<void>();
  owner.trouble = async (request, wire) => {
    await Promise.race([held.promise, request.closed]);
    await reply(200, "{}")(request, wire);
  };
  const before = owner.asked.length;
  const busy = s.router.fetch(`/files/${id}`);
  await owner.upstream.received(before + 1);
  const refused = await s.router.fetch(`/files/${id}`);
  assert.deepEqual([refused.status, (await refused.json()).error.code], [429, "router_busy"]);
  owner.trouble = null;
  held.resolve();
  await (await busy).body?.cancel();
  const found = await s.router.fetch(`/files/${id}`);
  assert.deepEqual([found.status, found.headers.get("x-oar-upstream")], [200, owner.name]);
  await found.body?.cancel();
});

Deno.test("an upstream that lists another one's ids does not become their owner", async () => {
  await using s = await Stage.start(2, ["--policy", "order"]);
  const id = await s.create("/files");
  const owner = s.ownerOf(id);
  const thief = s.upstreams.find((each) => each !== owner);
  assert.ok(thief);
  const listing = reply(200, JSON.stringify({ object: "list", data: [{ id }] }));
  owner.trouble = reply(503, "{}");
  thief.trouble = listing;
  const list = await s.router.fetch("/files");
  assert.equal(list.headers.get("x-oar-upstream"), thief.name);
  await list.body?.cancel();
  owner.trouble = thief.trouble = null;
  const deleted = await s.router.fetch(`/files/${id}`, { method: "DELETE" });
  assert.deepEqual([deleted.status, deleted.headers.get("x-oar-upstream")], [200, owner.name]);
  await deleted.body?.cancel();
});

Deno.test("a file is used where it was uploaded, in whatever way a request names it", async (t) => {
  await using s = await Stage.start(4);
  const file = await s.create("/files");
  const owner = s.ownerOf(file);
  const bodies: readonly [string, unknown][] = [
    ["/batches", { input_file_id: file, endpoint: "/v1/chat/completions", completion_window: "24h" }],
    ["/vector_stores", { file_ids: [file], name: "x" }],
    ["/responses", {
      model: "m",
      input: [{ role: "user", content: [{ type: "input_file", file_id: file }] }],
    }],
    ["/responses", {
      model: "m",
      input: "hi",
      tools: [{ type: "code_interpreter", container: { file_ids: [file] } }],
    }],
    ["/fine_tuning/jobs", { model: "m", training_file: file }],
  ];
  for (const [path, body] of bodies) {
    await t.step(`${path} ${JSON.stringify(body)}`, async () => {
      for (let turn = 0; turn < 3; turn++) {
        const response = await s.post(path, body);
        await response.body?.cancel();
        assert.equal(response.headers.get("x-oar-attempts"), "1");
        assert.equal(response.headers.get("x-oar-upstream"), owner.name);
        assert.equal(response.headers.get("x-oar-affinity"), "owner");
      }
    });
  }
  await t.step("what is in a file names nothing", async () => {
    const content = await s.router.fetch(`/files/${file}/content`);
    await content.body?.cancel();
    assert.equal(content.headers.get("x-oar-attempts"), "1");
    const strange = await s.router.fetch("/responses/resp_somebody_elses_1");
    await strange.body?.cancel();
    assert.equal(strange.headers.get("x-oar-affinity"), "none");
  });
  await t.step("it is deleted at its owner only", async () => {
    const before = s.attempts;
    const deleted = await s.router.fetch(`/files/${file}`, { method: "DELETE" });
    assert.equal(deleted.status, 200, await deleted.text());
    const again = await s.router.fetch(`/files/${file}`, { method: "DELETE" });
    assert.equal(again.status, 404, await again.text());
    assert.equal(s.attempts, before + 2);
  });
  await t.step("an owner that is disabled is not asked", async () => {
    const id = await s.create("/responses", { model: "m", input: "hi" });
    const { name } = s.ownerOf(id);
    s.router.execute("UPDATE openai_upstreams SET enabled = 0 WHERE name = ?", name);
    await eventually(async () => {
      const found = await s.router.fetch(`/responses/${id}`);
      await found.body?.cancel();
      return found.headers.get("x-oar-attempts") === "3" && found.status === 404 ? true : null;
    }, "the others");
  });
});

Deno.test("an id is kept as a hash, and nowhere as it is", async () => {
  await using s = await Stage.start(2);
  const id = await s.create("/responses", { model: "m", input: "hi" });
  await s.router.recorded(1);
  const rows = s.router.query(
    "SELECT CAST(id_hash AS text) AS id_hash, upstream_id, key_hash, kind FROM owned_ids",
  );
  assert.ok(rows.length >= 1);
  assert.doesNotMatch(JSON.stringify(rows), new RegExp(id));
  assert.deepEqual(new Set(rows.map(({ kind }) => kind)), new Set(["responses"]));
});

/** Turns of conversations with long beginnings, some at once; the same numbers in every run. */
async function talk(s: Stage, sessions: number, turns: number): Promise<void> {
  const system = "You are a careful assistant. ".repeat(200);
  const open = Array.from({ length: sessions }, (_, session) => session);
  const one = async (session: number) => {
    const messages = [{ role: "system", content: system }, { role: "user", content: `question ${session}` }];
    for (let turn = 0; turn < turns; turn++) {
      messages.push({ role: "assistant", content: "a" }, { role: "user", content: `more ${turn}` });
      const response = await s.router.chat({ messages });
      // Where too much is under way for its upstream, another one answers.
      assert.match(response.headers.get("x-oar-affinity") ?? "", /^(?:prefix|broken)$/);
      await response.body?.cancel();
    }
  };
  const workers = Array.from({ length: 16 }, async () => {
    for (let session = open.shift(); session !== undefined; session = open.shift()) await one(session);
  });
  await Promise.all(workers);
}

Deno.test("with round_robin, sessions hit the caches of their upstreams, and the load is spread", async () => {
  await using s = await Stage.start(4);
  const [sessions, turns] = [120, 12];
  await talk(s, sessions, turns);
  const hits = s.upstreams.reduce((sum, { cacheHits }) => sum + cacheHits, 0);
  const alone = sessions * (turns - 1);
  assert.ok(hits >= 0.9 * alone, `${hits} of ${alone}`);
  const loads = s.upstreams.map(({ prompts }) => prompts);
  const mean = sessions * turns / loads.length;
  assert.ok(Math.max(...loads) <= 1.25 * mean, loads.join(", "));
});

Deno.test("what names the session ties it, and --affinity says whether it does", async (t) => {
  const ways: readonly [string, Record<string, unknown>, Record<string, string>][] = [
    ["prompt_cache_key", { prompt_cache_key: "k" }, {}],
    ["metadata.session_id", { metadata: { session_id: "s" } }, {}],
    ["metadata.user_id", { metadata: { user_id: "s" } }, {}],
    ["safety_identifier", { safety_identifier: "s" }, {}],
    ["user", { user: "s" }, {}],
    ["x-session-id", {}, { "x-session-id": "s" }],
    ["session_id", {}, { session_id: "s" }],
    ["conversation_id", {}, { conversation_id: "s" }],
  ];
  const answers = async (s: Stage, body: Record<string, unknown>, headers: Record<string, string>) => {
    const found = new Set<string>();
    for (let turn = 0; turn < 6; turn++) {
      const response = await s.router.chat(body, { headers });
      await response.body?.cancel();
      found.add(`${response.headers.get("x-oar-affinity")} ${response.headers.get("x-oar-upstream")}`);
    }
    return [...found];
  };
  await t.step("auto, round_robin", async (t) => {
    await using s = await Stage.start(3);
    for (const [name, body, headers] of ways) {
      await t.step(name, async () => {
        const found = await answers(s, body, headers);
        assert.equal(found.length, 1, found.join());
        assert.match(found[0] ?? "", /^session /);
      });
    }
    const session = { prompt_cache_key: "moves" };
    const [first = ""] = await answers(s, session, {});
    const tied = s.upstreams.find(({ name }) => first.endsWith(name));
    assert.ok(tied);
    await t.step("another answers while it fails, and it gets its session back", async () => {
      tied.trouble = reply(500, '{"error":{"message":"no"}}');
      const response = await s.router.chat(session);
      await response.body?.cancel();
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("x-oar-affinity"), "broken");
      tied.trouble = null;
      assert.deepEqual(await answers(s, session, {}), [first]);
    });
  });
  await t.step("auto, order", async () => {
    await using s = await Stage.start(2, ["--policy", "order"]);
    assert.deepEqual(await answers(s, { prompt_cache_key: "a" }, {}), ["none u0x"]);
  });
  await t.step("off, round_robin", async () => {
    await using s = await Stage.start(2, ["--policy", "round_robin", "--affinity", "off"]);
    assert.equal((await answers(s, { prompt_cache_key: "a" }, {})).length, 2);
  });
  await t.step("on, order", async () => {
    await using s = await Stage.start(2, ["--affinity", "on"]);
    const found = new Set<string>();
    for (let key = 0; key < 20; key++) {
      const response = await s.router.chat({ prompt_cache_key: `key ${key}` });
      await response.body?.cancel();
      found.add(response.headers.get("x-oar-upstream") ?? "");
    }
    assert.equal(found.size, 2);
  });
});

Deno.test("owners that were not seen for --keep-ids are forgotten", async () => {
  await using s = await Stage.start(2, ["--policy", "round_robin", "--keep-ids", "0.00002d"]);
  await s.create("/responses", { model: "m", input: "hi" });
  await eventually(
    () => s.router.query("SELECT count(*) AS n FROM owned_ids")[0]?.["n"] === 0 ? true : null,
    "no owner",
  );
});

Deno.test("the owner of a stream that was under way is known after a crash", async () => {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  await using s = await Stage.start(3);
  const { promise: rest, resolve: goOn } = Promise.withResolvers<void>();
  for (const upstream of s.upstreams) upstream.rest = rest;
  try {
    const stream = await s.post("/responses", { model: "m", input: "hi", stream: true });
    const reader = stream.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    const id = /"id":"(resp_\w+)"/.exec(first)?.[1] ?? "";
    await eventually(
      () => Number(s.router.query("SELECT count(*) AS n FROM owned_ids")[0]?.["n"]) > 0 ? true : null,
      "the owner in the table",
    );
    for (const name of ["db.sqlite", "db.sqlite-wal"]) {
      await Deno.copyFile(`${s.router.directory}/${name}`, `${directory}/${name}`);
    }
    goOn();
    while (!(await reader?.read())?.done);
    await using router = await Router.start({ directory, args: ["--policy", "round_robin"] });
    for (let turn = 0; turn < 3; turn++) {
      const found = await router.fetch(`/responses/${id}`);
      await found.body?.cancel();
      assert.equal(found.headers.get("x-oar-attempts"), "1");
    }
  } finally {
    goOn();
    await Deno.remove(directory, { recursive: true });
  }
});
