/**
 * What is held back after which failures, for which models and clients, as seen by which upstream answers, and what
 * `list`, metrics, log and alerts say of it.
 */
import assert from "node:assert/strict";
import { fromGoTime } from "../../src/store/database/go_time.ts";
import { eventually, Router, type RouterOptions, runProgram, TEST_TOKEN } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  cutAfter,
  FakeUpstream,
  reply,
  type Script,
  stream,
} from "../support/upstream.ts";

const OTHER = "other-token-0123456789";
const anError = (more: Record<string, unknown>) => JSON.stringify({ error: { message: "no", ...more } });

interface Ask {
  readonly model?: string;
  readonly stream?: boolean;
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

/** Two upstreams; the first one answers as scripted. */
class Stage implements AsyncDisposable {
  readonly #parts: AsyncDisposable[];

  private constructor(
    readonly first: FakeUpstream,
    readonly second: FakeUpstream,
    readonly router: Router,
  ) {
    this.#parts = [router, first, second];
  }

  static async start(
    script: Script,
    { first: facts = {}, ...options }: RouterOptions & { readonly first?: Record<string, string> } = {},
  ): Promise<Stage> {
    const first = new FakeUpstream(script);
    const second = new FakeUpstream((request, wire) =>
      (request.text.includes('"stream":true') ? stream(chatEvents(["ok"])) : chatReply("ok"))(request, wire)
    );
    const router = await Router.start({
      authorization: `${TEST_TOKEN},${OTHER}`,
      ...options,
      upstreams: [
        { endpoint: first.endpoint, name: "first", ...facts },
        { endpoint: second.endpoint, name: "second" },
      ],
    });
    return new Stage(first, second, router);
  }

  /** Which upstream answers. */
  async ask({ model = "m", stream = false, token = TEST_TOKEN, headers = {} }: Ask = {}): Promise<string> {
    const response = await this.router.chat({ model, stream }, {
      headers: { authorization: `Bearer ${token}`, ...headers },
    });
    await response.text().catch(() => {});
    return `${response.headers.get("x-oar-upstream")} ${response.headers.get("x-oar-attempts")}`;
  }

  state(state: string, upstream = "first"): Promise<number> {
    return this.router.metric(`upstream_state{upstream="${upstream}",state="${state}"}`);
  }

  async list(): Promise<Record<string, unknown>> {
    const { stdout } = await runProgram(["list", "--json"], { cwd: this.router.directory });
    return JSON.parse(stdout)[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts) await part[Symbol.asyncDispose]();
  }
}

const MISTAKES: Readonly<Record<string, { readonly script: Script; readonly isStream?: boolean }>> = {
  "an error in a stream": {
    script: stream([`data: ${anError({ type: "invalid_request_error" })}\n\n`]),
    isStream: true,
  },
  "context_length_exceeded in a stream": {
    script: stream([`data: ${anError({ code: "context_length_exceeded" })}\n\n`]),
    isStream: true,
  },
  "not_found_error as an event": {
    script: stream([
      `event: error\ndata: {"type":"error","error":{"type":"not_found_error","message":"x"}}\n\n`,
    ]),
    isStream: true,
  },
  "an error in a body": { script: reply(200, anError({ code: "string_above_max_length" })) },
  "a 500 with the code of a mistake": { script: reply(500, anError({ code: "context_length_exceeded" })) },
  "a 422": { script: reply(422, anError({})) },
};

Deno.test("a client's mistake is not the upstream's illness, wherever it is stated", async (t) => {
  await using stage = await Stage.start(chatReply("ok"));
  for (const [name, { script, isStream = false }] of Object.entries(MISTAKES)) {
    await t.step(name, async () => {
      stage.first.script = script;
      for (let n = 0; n < 5; n++) assert.equal(await stage.ask({ stream: isStream }), "second 2");
      assert.equal(await stage.state("closed"), 1);
    });
  }
});

const REFUSED = anError({ code: 1301 });
const FINAL: Readonly<Record<string, Script>> = {
  "a 403": reply(403, REFUSED),
  "a 429": reply(429, REFUSED),
  "a 500": reply(500, REFUSED),
  "a 200": reply(200, REFUSED),
  "a stream": stream([`data: ${REFUSED}\n\n`]),
  "a stream that has said something": stream([...chatEvents(["a"]).slice(0, 2), `data: ${REFUSED}\n\n`]),
};

Deno.test("a final error is no event for the breaker, from the only upstream either", async (t) => {
  for (const [name, script] of Object.entries(FINAL)) {
    await t.step(name, async () => {
      await using upstream = new FakeUpstream(script);
      await using router = await Router.start({
        upstreams: [{ endpoint: upstream.endpoint, name: "first" }],
        args: ["--final-codes", "1301"],
      });
      for (let count = 0; count < 3; count++) {
        const response = await router.chat({ stream: name.includes("stream") });
        await response.text().catch(() => {});
        await router.recordOf(response);
      }
      assert.equal(upstream.requests.length, 3);
      assert.equal(await router.metric('upstream_state{upstream="first",state="closed"}'), 1);
    });
  }
});

Deno.test("what is held back is the model as the upstream knows it, or the upstream if two of them fail", async () => {
  await using stage = await Stage.start(
    (request, wire) =>
      (/"model":"(real|bad)"/.test(request.text) ? reply(503, "{}") : chatReply("ok"))(request, wire),
    // The second one has another model, so the first one would be asked again.
    { first: { modelMap: '{"alias":"real"}' }, args: ["--retry-same", "0"] },
  );
  for (let n = 0; n < 3; n++) assert.equal(await stage.ask({ model: "alias" }), "second 2");
  assert.equal(await stage.ask({ model: "alias" }), "second 1");
  assert.equal(await stage.ask({ model: "real" }), "second 1");
  assert.equal(await stage.state("open"), 1);
  assert.match(
    String(
      (await eventually(async () => {
        const listed = await stage.list();
        return listed.condition === "failing" ? listed : null;
      }, "the state")).reason,
    ),
    /real.*503/,
  );
  assert.equal(await stage.ask({ model: "fine" }), "first 1");

  for (let n = 0; n < 3; n++) assert.equal(await stage.ask({ model: "bad" }), "second 2");
  assert.equal(await stage.ask({ model: "bad" }), "second 1");
  assert.equal(await stage.ask({ model: "fine" }), "first 1");
  assert.match(stage.router.text, /upstream first, model real, is down: "HTTP 503"/);
});

Deno.test("two models that fail, and nothing that is served, hold back the upstream", async () => {
  await using stage = await Stage.start(reply(500, "{}"));
  for (const model of ["a", "b"]) {
    for (let n = 0; n < 3; n++) assert.equal(await stage.ask({ model }), "second 2");
  }
  assert.equal(await stage.ask({ model: "c" }), "second 1");
  const response = await stage.router.fetch("/models");
  await response.text();
  assert.equal(response.headers.get("x-oar-upstream"), "second");
});

Deno.test("streams that are cut hold an upstream back once, with one warning and one alert", async () => {
  await using hook = new FakeUpstream(reply(200, "{}"));
  await using stage = await Stage.start(cutAfter(chatEvents(["half", " of"]).slice(0, 2)), {
    env: { ALERT_WEBHOOK: hook.endpoint },
  });
  const rounds = await Promise.all(
    Array.from({ length: 48 }, async () => {
      const answers = [];
      for (let n = 0; n < 3; n++) answers.push(await stage.ask({ stream: true }));
      return answers;
    }),
  );
  assert.ok(rounds.flat().includes("second 1"));
  assert.equal(await stage.ask({ stream: true }), "second 1");
  assert.equal(await stage.state("open"), 1);
  assert.equal(stage.router.text.match(/is down/g)?.length, 1, stage.router.text);
  assert.doesNotMatch(stage.router.text, /recovered/);
  stage.router.signal("SIGTERM");
  await stage.router.exited();
  const texts = hook.requests.map(({ text }) => String(JSON.parse(text).text));
  assert.equal(texts.filter((text) => /is down/.test(text)).length, 1, texts.join("\n"));
});

Deno.test("a trial that shows content frees the way, while its stream goes on", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let isDown = true;
  const [start = "", ...rest] = chatEvents(["a", "b"]);
  await using stage = await Stage.start(async (request, wire) => {
    if (isDown) return await reply(503, "{}", { "retry-after-ms": "1" })(request, wire);
    if (!request.text.includes('"stream":true')) return await chatReply("ok")(request, wire);
    await wire.write(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + start + rest[0],
    );
    await released;
    await wire.write(rest.slice(1).join(""));
    wire.close();
  });
  assert.equal(await stage.ask(), "second 2");
  assert.equal(await stage.state("open"), 1);
  isDown = false;
  const trial = await stage.router.chat({ model: "m", stream: true });
  assert.equal(trial.headers.get("x-oar-upstream"), "first");
  assert.equal(await stage.state("closed"), 1);
  assert.equal(await stage.ask(), "first 1");
  release();
  assert.match(await trial.text(), /\[DONE\]/);
});

const NO_CREDIT: Readonly<Record<string, Script>> = {
  "402": reply(402, "{}"),
  "429 insufficient_quota": reply(429, anError({ code: "insufficient_quota" }), { "retry-after": "1" }),
  "403 insufficient_user_quota": reply(403, anError({ code: "insufficient_user_quota" })),
  "400 Arrearage": reply(400, JSON.stringify({ code: "Arrearage", message: "Access denied" })),
  "400 in words": reply(
    400,
    '{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}',
  ),
  "429 in Chinese": reply(429, anError({ code: "1113", message: "余额不足或无可用资源包,请充值。" })),
  "200 with an error": reply(200, anError({ code: 402, message: "Insufficient credits" })),
};

Deno.test("an upstream without credit is not asked again for ten minutes, until it is enabled", async (t) => {
  for (const [name, script] of Object.entries(NO_CREDIT)) {
    await t.step(name, async () => {
      await using stage = await Stage.start(script);
      const beforeMs = Date.now();
      assert.equal(await stage.ask(), "second 2");
      assert.equal(await stage.ask(), "second 1");
      assert.equal(await stage.ask({ model: "other" }), "second 1");
      assert.equal(await stage.state("no_credit"), 1);
      assert.match(stage.router.text, /first has no credit left/);
      const ready = await fetch(`http://127.0.0.1:${stage.router.port}/readyz`);
      assert.deepEqual([ready.status, await ready.json()], [200, {
        status: "degraded",
        upstreams: { no_credit: 1 },
        held_back: { no_credit: 1 },
      }]);
      const listed = await eventually(async () => {
        const listed = await stage.list();
        return listed.condition === "no_credit" ? listed : null;
      }, "the state");
      const pauseMs = Date.parse(String(listed.until)) - beforeMs;
      assert.ok(pauseMs > 9.9 * 60_000 && pauseMs < 10.5 * 60_000, `${pauseMs}`);
    });
  }

  await t.step("enable", async () => {
    await using stage = await Stage.start(reply(402, "{}"));
    assert.equal(await stage.ask(), "second 2");
    assert.equal(await stage.state("no_credit"), 1);
    stage.first.script = chatReply("paid");
    const { directory } = stage.router;
    // A change of something else is not that.
    await runProgram(["edit", "1", "--timeout", "9"], { cwd: directory });
    await runProgram(["move", "2", "1"], { cwd: directory });
    await runProgram(["move", "1", "1"], { cwd: directory });
    await eventually(async () => (await stage.list()).timeout === 9 ? true : null, "the change");
    assert.equal(await stage.state("no_credit"), 1);
    await eventually(async () => {
      // Seen together with the changes before, it would be one of them.
      assert.equal((await runProgram(["enable", "1"], { cwd: directory })).code, 0);
      return await stage.state("closed") === 1 || null;
    }, "the server to see it");
    assert.equal(await stage.ask(), "first 1");
    await eventually(async () => (await stage.list()).condition === "ok" || null, "the note to go");
  });

  await t.step("another key", async () => {
    await using stage = await Stage.start(reply(402, "{}"));
    await stage.ask();
    stage.first.script = chatReply("paid");
    await runProgram(["edit", "1", "--sk", "sk-new-0123456789abcdef"], { cwd: stage.router.directory });
    await eventually(async () => await stage.state("closed") === 1 || null, "the server to see it");
    assert.equal(await stage.ask(), "first 1");
  });
});

Deno.test("a rate limit is no lack of credit", async () => {
  const message =
    "You exceeded your current quota, please check your plan and billing details. Please retry in 20s";
  await using stage = await Stage.start(
    reply(429, anError({ code: 429, message, status: "RESOURCE_EXHAUSTED" })),
  );
  assert.equal(await stage.ask(), "second 2");
  assert.equal(await stage.ask(), "second 2");
  assert.equal(await stage.state("no_credit"), 0);
});

Deno.test("words about credit that a client puts into an error move no other client", async () => {
  const ok = chatReply("ok");
  const echo = reply(
    400,
    anError({ type: "invalid_request_error", message: "invalid: 'insufficient balance'" }),
  );
  await using stage = await Stage.start((request, wire) =>
    (request.text.includes('"bad"') ? echo : ok)(request, wire)
  );
  assert.equal(await stage.ask({ token: OTHER }), "first 1");
  for (let n = 0; n < 3; n++) assert.equal(await stage.ask({ model: "bad" }), "second 2");
  assert.equal(await stage.ask({ token: OTHER }), "first 1");
  assert.equal(await stage.state("closed"), 1);
});

Deno.test("a client's own key that is refused is held back for that key only", async (t) => {
  const answers: Readonly<Record<string, { readonly script: Script; readonly times: number }>> = {
    "401": { script: reply(401, anError({})), times: 3 },
    "403": { script: reply(403, anError({})), times: 3 },
    "429": { script: reply(429, anError({}), { "retry-after": "60" }), times: 1 },
    "402": { script: reply(402, anError({})), times: 1 },
    "200 with an error": { script: reply(200, anError({ code: "invalid_api_key" })), times: 3 },
  };
  await using stage = await Stage.start(chatReply("ok"), { first: { sk: "asis" } });
  const withKey = (key: string) => ({ headers: { authorization: `Bearer ${key}`, "x-api-key": TEST_TOKEN } });
  for (const [name, { script, times }] of Object.entries(answers)) {
    await t.step(name, async () => {
      // A key of its own for each case.
      const key = `sk-bad-${name.replaceAll(" ", "-")}-0123456789`;
      const ok = chatReply("ok");
      stage.first.script = (request, wire) =>
        (request.headers.get("authorization") === `Bearer ${key}` ? script : ok)(request, wire);
      for (let n = 0; n < times; n++) assert.equal(await stage.ask(withKey(key)), "second 2");
      assert.equal(await stage.ask(withKey(key)), "second 1");
      assert.equal(await stage.ask(withKey("sk-good-0123456789abcde")), "first 1");
      assert.equal(await stage.state("closed"), 1);
    });
  }
});

Deno.test("a header of one client that is refused moves that client only, and only with the header", async () => {
  const ok = chatReply("ok");
  const no = reply(401, anError({}));
  await using stage = await Stage.start((request, wire) =>
    (request.headers.has("openai-beta") ? no : ok)(request, wire)
  );
  const beta = { headers: { authorization: `Bearer ${TEST_TOKEN}`, "openai-beta": "bogus=v9" } };
  assert.equal(await stage.ask({ token: OTHER }), "first 1");
  for (let n = 0; n < 3; n++) assert.equal(await stage.ask(beta), "second 2");
  assert.equal(await stage.ask(beta), "second 1");
  assert.equal(await stage.ask(), "first 1");
  assert.equal(await stage.ask({ token: OTHER }), "first 1");
  assert.equal(await stage.state("closed"), 1);
});

Deno.test("an upstream that does not have what another one answers is tried after it", async (t) => {
  const without: Readonly<Record<string, Script>> = {
    "404 without a body": reply(404, ""),
    "404 page not found": reply(404, "404 page not found"),
    "405": reply(405, anError({ message: "Method Not Allowed" })),
    "404 model_not_found": reply(404, anError({ code: "model_not_found" })),
    "400 model_not_found": reply(400, anError({ code: "model_not_found" })),
    "403 model_not_found": reply(403, anError({ code: "model_not_found" })),
  };
  for (const [name, script] of Object.entries(without)) {
    await t.step(name, async () => {
      await using stage = await Stage.start(script);
      // What an upstream says of the model itself counts at once, and is no failure.
      const isTold = name.endsWith("model_not_found");
      for (let n = 0; n < (isTold ? 1 : 3); n++) assert.equal(await stage.ask(), "second 2");
      assert.equal(await stage.ask(), "second 1");
      assert.equal(await stage.ask({ stream: true }), "second 1");
      assert.equal(await stage.ask({ model: "other" }), "second 2");
      assert.equal(await stage.state("closed"), isTold ? 1 : 0);
      if (isTold) return;
      const listed = await eventually(async () => {
        const listed = await stage.list();
        return listed.condition === "failing" ? listed : null;
      }, "the state");
      assert.match(String(listed.reason), /model m: HTTP 40[0345], and another upstream answers/);
    });
  }

  await t.step("an endpoint typed with the path of the request at its end", async () => {
    await using stage = await Stage.start((request, wire) =>
      request.target === "/v1/chat/completions"
        ? chatReply("ok")(request, wire)
        : reply(404, "not found")(request, wire)
    );
    const wrong = `${stage.first.endpoint}/chat/completions`;
    // By hand: the program itself leaves the path of a request out.
    stage.router.execute("UPDATE openai_upstreams SET endpoint = ? WHERE id = 1", wrong);
    await eventually(async () => await stage.ask() === "second 1" || null, "the endpoint to be avoided");
    assert.equal(await stage.state("open"), 1);
  });

  await t.step("never when nobody answers, or for something that the request names by its id", async () => {
    await using stage = await Stage.start(reply(404, anError({ code: "model_not_found" })));
    stage.second.script = reply(404, anError({ code: "model_not_found" }));
    for (let n = 0; n < 4; n++) assert.match(await stage.ask(), / 2$/);
    assert.equal(stage.first.requests.length, 4);
    stage.second.script = chatReply("ok");
    stage.first.script = reply(404, anError({ message: "No such File object: file-abc123def456" }));
    for (let n = 0; n < 4; n++) assert.equal(await stage.ask({ model: "other" }), "second 2");
    // Another file each time: its owner is known then, and asked first.
    const lookUp = async (n: number) => {
      const response = await stage.router.fetch(`/files/file-abc123def45${n}`);
      await response.text();
      return response.headers.get("x-oar-attempts");
    };
    stage.second.script = reply(200, '{"id":"file-abc123def456","object":"file"}');
    for (let n = 0; n < 4; n++) assert.equal(await lookUp(n), "2");
    assert.equal(await stage.state("closed"), 1);
  });

  await t.step("an endpoint of the API that it lacks does not matter to the others", async () => {
    const ok = chatReply("ok");
    await using stage = await Stage.start((request, wire) =>
      (request.target === "/v1/chat/completions" ? ok : reply(404, "not found"))(request, wire)
    );
    const embed = async () => {
      const body = JSON.stringify({ model: "m", input: "x" });
      const response = await stage.router.fetch("/embeddings", { method: "POST", body });
      await response.text();
      return response.headers.get("x-oar-attempts");
    };
    stage.second.script = reply(200, '{"object":"list","data":[{"embedding":[1]}],"model":"m"}');
    for (let n = 0; n < 3; n++) assert.equal(await embed(), "2");
    assert.equal(await embed(), "1");
    assert.equal(await stage.ask(), "first 1");
  });
});

Deno.test("--breaker-max limits how long an upstream is held back after an outage", async () => {
  await using stage = await Stage.start(reply(500, "{}"), { args: ["--breaker-max", "2"] });
  for (let n = 0; n < 3; n++) await stage.ask();
  const row = await eventually(
    () => stage.router.query("SELECT until, changed_at FROM upstream_states")[0] ?? null,
    "the state",
  );
  const [untilMs, sinceMs] = [row.until, row.changed_at].map((time) => fromGoTime(String(time)) ?? NaN);
  assert.equal(Math.round((Number(untilMs) - Number(sinceMs)) / 1_000), 2);
});
