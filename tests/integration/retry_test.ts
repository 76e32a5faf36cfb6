/**
 * After which failures another upstream is asked, the same one again, or nobody: `--final-codes`, `--retry-on`,
 * `--retry-same`, `--retry-wait` and `--max-attempts`, from outside.
 */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import {
  chatReply,
  cutAfter,
  FakeUpstream,
  hang,
  inTurn,
  reply,
  type Script,
  stream,
} from "../support/upstream.ts";

interface Facts {
  readonly args?: readonly string[];
  /** Aliases of the second upstream; JSON. */
  readonly modelMap?: string;
}

interface Asked {
  readonly status: number;
  readonly text: string;
  /** Who answered, after how many attempts. */
  readonly by: string;
}

/** One upstream that fails, and perhaps one behind it that answers. */
class Stage implements AsyncDisposable {
  private constructor(
    readonly first: FakeUpstream,
    readonly second: FakeUpstream | null,
    readonly router: Router,
  ) {}

  static async alone({ args = [] }: Facts = {}): Promise<Stage> {
    const first = new FakeUpstream(hang);
    const upstreams = [{ endpoint: first.endpoint, name: "first" }];
    return new Stage(first, null, await Router.start({ upstreams, args }));
  }

  static async backed({ args = [], modelMap = "{}" }: Facts = {}): Promise<Stage> {
    const first = new FakeUpstream(hang);
    const second = new FakeUpstream(chatReply("ok"));
    const upstreams = [
      { endpoint: first.endpoint, name: "first" },
      { endpoint: second.endpoint, name: "second", modelMap },
    ];
    return new Stage(first, second, await Router.start({ upstreams, args }));
  }

  async ask(script: Script, body: Record<string, unknown> = {}): Promise<Asked> {
    this.first.script = script;
    const response = await this.router.chat(body);
    const by = `${response.headers.get("x-oar-upstream")} ${response.headers.get("x-oar-attempts")}`;
    return { status: response.status, text: await response.text(), by };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    await this.first[Symbol.asyncDispose]();
    await this.second?.[Symbol.asyncDispose]();
  }
}

function error(fields: Record<string, unknown>): string {
  return JSON.stringify({ error: { message: "no", ...fields } });
}

/** Passes within a millisecond. */
const BUSY = reply(503, error({}), { "retry-after-ms": "1" });
const OK = chatReply("ok");

Deno.test("--final-codes: an error with one of them is relayed at once, and is no failure of its upstream", async (t) => {
  const filtered = error({ code: "content_filter" });
  const cases: Readonly<Record<string, { readonly script: Script; readonly body?: { stream: true } }>> = {
    "a 400": { script: reply(400, error({ code: "content_policy_violation" })) },
    "a 403, by its type": { script: reply(403, error({ type: "content_filter" })) },
    "a 500": { script: reply(500, filtered) },
    "a document with status 200": { script: reply(200, filtered) },
    "the first event of a stream": { script: stream([`data: ${filtered}\n\n`]), body: { stream: true } },
  };
  await using stage = await Stage.backed();
  for (const [name, { script, body = {} }] of Object.entries(cases)) {
    await t.step(name, async () => {
      for (let n = 0; n < 3; n++) assert.equal((await stage.ask(script, body)).by, "first 1");
      assert.equal(await stage.router.metric('upstream_state{upstream="first",state="closed"}'), 1);
    });
  }
  await t.step("no other one", async () => {
    assert.equal((await stage.ask(reply(400, error({ code: "content_filters" })))).by, "second 2");
  });
});

Deno.test("--final-codes names other codes, or none", async () => {
  const own = reply(400, error({ code: "not_for_you" }));
  const filtered = reply(400, error({ code: "content_filter" }));
  for (const [codes, ofOwn] of [["not_for_you", "first 1"], ["none", "second 2"]] as const) {
    await using stage = await Stage.backed({ args: ["--final-codes", codes] });
    assert.equal((await stage.ask(own)).by, ofOwn);
    assert.equal((await stage.ask(filtered)).by, "second 2");
  }
});

Deno.test("--retry-on server: a client's own mistake is relayed at once, all else moves on", async (t) => {
  await using stage = await Stage.backed({ args: ["--retry-on", "server"] });
  const status = (code: number): [string, Script] => [`HTTP ${code}`, reply(code, error({}))];
  const mistakes: [name: string, Script][] = [
    ...[400, 404, 409, 413, 422].map(status),
    ["a document that states one", reply(200, error({ type: "invalid_request_error" }))],
  ];
  for (const [name, script] of mistakes) {
    await t.step(name, async () => assert.equal((await stage.ask(script)).by, "first 1"));
  }
  const failures: [name: string, Script][] = [
    ["no reply", (_request, wire) => wire.close()],
    ["a cut reply", cutAfter([])],
    ["an empty document", reply(200, "")],
    ["a document that states a failure", reply(200, error({ type: "server_error" }))],
    ...[401, 403, 408, 429, 500, 503].map(status),
    // The last one: it holds the upstream back.
    status(402),
  ];
  for (const [name, script] of failures) {
    await t.step(name, async () => {
      // So that no failure is one of several in a row.
      assert.equal((await stage.ask(OK)).by, "first 1");
      assert.equal((await stage.ask(script)).by, "second 2");
    });
  }
});

Deno.test("the only upstream is asked once more after a failure that passes", async (t) => {
  await using stage = await Stage.alone();
  for (const [name, status] of [["503", 503], ["429", 429], ["500", 500]] as const) {
    await t.step(name, async () => {
      const busy = reply(status, error({}), { "retry-after-ms": "1" });
      const { text, by } = await stage.ask(inTurn(busy, OK));
      assert.match(text, /"ok"/);
      assert.equal(by, "first 2");
    });
  }
  await t.step("not a second time", async () => {
    const { status, by } = await stage.ask(BUSY);
    assert.deepEqual([status, by], [503, "first 2"]);
  });
});

Deno.test("an upstream is asked once more when all others would answer with another model", async () => {
  await using stage = await Stage.backed({ modelMap: '{"test-model":"a-smaller-one"}' });
  assert.equal((await stage.ask(inTurn(BUSY, OK))).by, "first 2");
  assert.equal((await stage.ask(inTurn(BUSY, OK), { model: "a-common-one" })).by, "second 2");
});

Deno.test("--retry-same, --retry-wait and --max-attempts say how often, and after which pause", async (t) => {
  await t.step("--retry-same 0", async () => {
    await using stage = await Stage.alone({ args: ["--retry-same", "0"] });
    assert.equal((await stage.ask(inTurn(BUSY, OK))).by, "first 1");
  });
  await t.step("--retry-same 2, before the next upstream", async () => {
    await using stage = await Stage.backed({ args: ["--retry-same", "2"] });
    const down = reply(500, error({}));
    assert.equal((await stage.ask(inTurn(down, down, OK))).by, "first 3");
  });
  await t.step("--retry-wait", async () => {
    await using stage = await Stage.alone({ args: ["--retry-wait", "1"] });
    const { status, by } = await stage.ask(inTurn(reply(429, error({}), { "retry-after-ms": "1001" }), OK));
    assert.deepEqual([status, by], [429, "first 1"]);
    assert.equal((await stage.ask(inTurn(BUSY, OK), { model: "another" })).by, "first 2");
  });
  await t.step("--max-attempts", async () => {
    await using stage = await Stage.backed({ args: ["--retry-same", "5", "--max-attempts", "3"] });
    assert.equal((await stage.ask(BUSY)).by, "second 3");
    await using one = await Stage.backed({ args: ["--max-attempts", "1"] });
    const { status, by } = await one.ask(reply(500, error({})));
    assert.deepEqual([status, by], [500, "first 1"]);
    assert.equal(one.second?.requests.length, 0);
  });
});

Deno.test("a request that is too long is sent on, but not to the same model at the same endpoint", async () => {
  const tooLong = reply(400, error({ code: "context_length_exceeded" }));
  await using same = new FakeUpstream(tooLong);
  await using other = new FakeUpstream(OK);
  await using router = await Router.start({
    upstreams: [
      { endpoint: same.endpoint, sk: "sk-one-0123456789abcdef" },
      { endpoint: same.endpoint, sk: "sk-two-0123456789abcdef" },
      { endpoint: other.endpoint, name: "other" },
    ],
  });
  const response = await router.chat();
  await response.body?.cancel();
  assert.equal(response.headers.get("x-oar-upstream"), "other");
  assert.equal(response.headers.get("x-oar-attempts"), "2");
  assert.equal(same.requests.length, 1);
});
