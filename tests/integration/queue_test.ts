/**
 * Limits of upstreams from outside: a full one is passed over, and when all are full a request waits its turn.
 */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { askApi, Browser, callApi, EventReader } from "../support/admin.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  chunk,
  cutAfter,
  FakeUpstream,
  hang,
  LAST_CHUNK,
  raw,
  type ReceivedRequest,
  reply,
  type Script,
  silentAfter,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

/** Answers each request when the test says so. */
class Held {
  readonly #waiting: (() => void)[] = [];
  readonly #answer: Script;

  constructor(answer: Script = chatReply("well")) {
    this.#answer = answer;
  }

  readonly script: Script = async (request, wire) => {
    await this.wait(request);
    await this.#answer(request, wire);
  };

  async wait({ closed }: ReceivedRequest): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await Promise.race([promise, closed]);
  }

  release(): void {
    this.#waiting.shift()?.();
  }
}

function contentOf(request: ReceivedRequest | undefined): string {
  return JSON.parse(request?.text ?? "{}").messages[0].content;
}

function asks(router: Router, content: string, more: Record<string, unknown> = {}, init: RequestInit = {}) {
  return router.chat({ messages: [{ role: "user", content }], ...more }, init);
}

async function waiting(router: Router, count: number): Promise<void> {
  await eventually(
    async () => await router.metric("queue_length") === count ? true : null,
    `${count} waiters`,
  );
}

Deno.test("a full upstream is passed over, and when all are full the request waits its turn", async (t) => {
  const first = new Held();
  const second = new Held();
  await using one = new FakeUpstream(first.script);
  await using two = new FakeUpstream(second.script);
  await using router = await Router.start({
    upstreams: [
      { endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } },
      { endpoint: two.endpoint, name: "two", columns: { max_parallel: "1" } },
    ],
    args: ["--queue-timeout", "60"],
  });

  await t.step("the next one is asked", async () => {
    const a = asks(router, "a");
    await one.received(1);
    const b = asks(router, "b");
    await two.received(1);
    assert.equal(await router.metric('upstream_in_flight{upstream="one"}'), 1);
    second.release();
    assert.equal((await b).headers.get("x-oar-upstream"), "two");
    const c = asks(router, "c");
    await two.received(2);
    const d = asks(router, "d");
    await waiting(router, 1);
    assert.equal(one.requests.length + two.requests.length, 3);
    first.release();
    await one.received(2);
    assert.equal(contentOf(one.requests[1]), "d");
    first.release();
    second.release();
    for (const response of [a, c, d]) {
      assert.equal((await response).status, 200);
      await (await response).body?.cancel();
    }
    await (await b).body?.cancel();
    const record = await router.recordOf(await d);
    assert.ok(Number(record.queued_ms) > 0);
    assert.equal((await router.recordOf(await a)).queued_ms, null);
    assert.equal(record.attempts, 1);
    assert.equal(await router.metric("queue_seconds_count"), 1);
    assert.equal(await router.metric('upstream_in_flight{upstream="one"}'), 0);
  });

  await t.step("a client that leaves gives its place up", async () => {
    const before = one.requests.length;
    const a = asks(router, "a");
    await one.received(before + 1);
    const b = asks(router, "b");
    await two.received(3);
    const leaving = new AbortController();
    const gone = asks(router, "gone", {}, { signal: leaving.signal });
    await waiting(router, 1);
    const stays = asks(router, "stays");
    await waiting(router, 2);
    leaving.abort();
    await assert.rejects(gone);
    await waiting(router, 1);
    first.release();
    await one.received(before + 2);
    assert.equal(contentOf(one.requests.at(-1)), "stays");
    first.release();
    second.release();
    for (const response of [a, b, stays]) await (await response).body?.cancel();
    const records = await eventually(() => {
      const found = router.records().filter(({ outcome }) => outcome === "client_gone");
      return found.length > 0 ? found : null;
    }, "the record of the client that left");
    assert.ok(Number(records[0]?.queued_ms) > 0);
    assert.equal(records[0]?.attempts, 0);
  });

  await t.step(
    "a limit that is raised or removed, and an upstream that is removed, count at once",
    async () => {
      const before = one.requests.length;
      const all = [asks(router, "a"), asks(router, "b")];
      await one.received(before + 1);
      await two.received(4);
      all.push(asks(router, "c"), asks(router, "d"), asks(router, "e"));
      await waiting(router, 3);
      router.execute("UPDATE openai_upstreams SET max_parallel = '2' WHERE name = 'one'");
      await one.received(before + 2);
      await waiting(router, 2);
      router.execute("UPDATE openai_upstreams SET max_parallel = NULL WHERE name = 'one'");
      await one.received(before + 4);
      for (let count = 0; count < 4; count++) first.release();
      second.release();
      for (const response of all) await (await response).body?.cancel();
    },
  );
  assert.equal(await router.metric('queue_refused_total{reason="timeout"}'), 0);
  assert.equal(await router.metric("queue_length"), 0);
});

Deno.test("the API and the page show what is under way, what the limits allow, and how many wait", async () => {
  interface View {
    readonly name: string;
    readonly inFlight: number;
    readonly limit: number | null;
    readonly keys: readonly { readonly n: number; readonly inFlight: number }[];
  }
  const held = new Held();
  await using upstream = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [
      {
        endpoint: upstream.endpoint,
        name: "two keys",
        sk: "sk-first-of-two-keys-1111\nsk-second-of-two-keys-2222",
        columns: { max_parallel: "1" },
      },
      { endpoint: "http://127.0.0.1:1", name: "auto", allow: "none", columns: { max_parallel: "auto" } },
      { endpoint: "http://127.0.0.1:1", name: "unlimited", allow: "none" },
    ],
    args: ["--queue-timeout", "60"],
  });
  const views = async () => {
    const all = await askApi<View[]>(router, "/upstreams");
    return all.map(({ inFlight, limit, keys }) => [inFlight, limit, keys.map((key) => key.inFlight)]);
  };
  const auto = [0, 4, [0]];
  const unlimited = [0, null, [0]];
  assert.deepEqual(await views(), [[0, 2, [0, 0]], auto, unlimited]);
  const all = [asks(router, "a")];
  await upstream.received(1);
  assert.deepEqual((await views())[0]?.slice(0, 2), [1, 2]);
  all.push(asks(router, "b"));
  await upstream.received(2);
  all.push(asks(router, "c"));
  await waiting(router, 1);
  assert.deepEqual(await views(), [[2, 2, [1, 1]], auto, unlimited]);

  const browser = await Browser.login(router);
  const page = async (path: string) =>
    await (await browser.fetch(path, { headers: { accept: "text/html" } })).text();
  const upstreams = await page("/upstreams");
  assert.match(upstreams, /2 of 2 under way/);
  assert.match(upstreams, /0 of 4 under way/);
  assert.match(await page("/live"), /data-live-waiting[^>]*">\s*[^<]*<span[^>]*>1<\/span>/);
  await using events = new EventReader(await callApi(router, "/live"));
  assert.equal((await events.find(({ event }) => event === "waiting")).data, 1);

  for (let count = 1; count <= 3; count++) {
    await upstream.received(Math.min(3, count + 1));
    held.release();
  }
  for (const response of all) await (await response).body?.cancel();
  await events.find(({ event, data }) => event === "waiting" && data === 0);
  await eventually(async () => (await views())[0]?.[0] === 0 ? true : null, "nothing under way");
  assert.match(await page("/live"), /data-live-waiting[^>]* hidden=""/);
});

Deno.test("who waits for an upstream that is removed goes on without it", async () => {
  const held = new Held();
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "60"],
  });
  const a = asks(router, "a");
  await one.received(1);
  const b = asks(router, "b");
  await waiting(router, 1);
  router.execute("DELETE FROM openai_upstreams");
  const response = await b;
  assert.equal(response.status, 429);
  assert.match((await response.json()).error.message, /was removed, disabled, or failed/);
  held.release();
  await (await a).body?.cancel();
  assert.equal(one.requests.length, 1);
});

Deno.test("a request that waits in vain gets a 429 that SDKs obey, in the form of its API", async (t) => {
  const held = new Held();
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "0.2", "--max-queued", "1"],
  });
  const first = asks(router, "first");
  await one.received(1);

  await t.step("after the time", async () => {
    const response = await asks(router, "late");
    assert.equal(response.status, 429);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal(response.headers.get("x-should-retry"), "true");
    assert.equal(response.headers.get("x-oar-attempts"), "0");
    const { error } = await response.json();
    assert.deepEqual([error.type, error.code], ["rate_limit_error", "router_busy"]);
    assert.match(error.message, /had no room within 0\.2 s; raise max_parallel.*--queue-timeout/);
    const record = await router.recordOf(response);
    assert.deepEqual([record.outcome, record.status, record.attempts], ["no_upstream", 429, 0]);
    assert.ok(Number(record.queued_ms) >= 200);
    assert.match(String(record.error), /raise max_parallel/);
    assert.equal(await router.metric('queue_refused_total{reason="timeout"}'), 1);
  });

  await t.step("in Anthropic's form", async () => {
    const response = await router.fetch("/messages", {
      method: "POST",
      body: JSON.stringify({ model: "m", max_tokens: 5, messages: [] }),
    });
    assert.equal(response.status, 429);
    assert.equal(response.headers.get("x-should-retry"), "true");
    const { type, error } = await response.json();
    assert.deepEqual([type, error.type], ["error", "rate_limit_error"]);
  });

  await t.step("it is nobody's failure", async () => {
    assert.equal(await router.metric('upstream_state{upstream="one",state="closed"}'), 1);
    assert.equal(one.requests.length, 1);
  });
  held.release();
  await (await first).body?.cancel();
});

Deno.test("no more wait than may, and further ones are refused at once", async () => {
  const held = new Held();
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "60", "--max-queued", "2"],
  });
  const all = [asks(router, "0")];
  await one.received(1);
  all.push(asks(router, "1"), asks(router, "2"));
  await waiting(router, 2);
  const response = await asks(router, "3");
  assert.equal(response.status, 429);
  assert.match((await response.json()).error.message, /as many requests wait as may; .*--max-queued/);
  assert.equal(await router.metric('queue_refused_total{reason="full"}'), 1);
  for (let count = 1; count <= 3; count++) {
    await one.received(count);
    held.release();
  }
  for (const each of all) assert.equal((await each).status, 200);
  for (const each of all) await (await each).body?.cancel();
});

Deno.test("a stream's client gets keepalives while it waits, and then its stream", async () => {
  const events = chatEvents(["some", " words"]);
  const held = new Held(stream(events));
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "60", "--keepalive", "0.1"],
  });
  const first = asks(router, "first", { stream: true });
  await one.received(1);
  const response = await asks(router, "second", { stream: true });
  assert.equal(one.requests.length, 1);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.equal(response.headers.get("x-accel-buffering"), "no");
  held.release();
  await one.received(2);
  held.release();
  const text = await response.text();
  assert.match(text, /^(:\n)+data: /);
  assert.equal(text.replace(/^(:\n)+/, ""), events.join(""));
  await (await first).body?.cancel();
});

Deno.test("a stream whose head went out while it waited in vain ends with the error as an event", async () => {
  const held = new Held();
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "0.5", "--keepalive", "0.1"],
  });
  const first = asks(router, "first");
  await one.received(1);
  const response = await asks(router, "second", { stream: true });
  assert.equal(response.status, 200);
  const reader = response.body?.getReader();
  let text = "";
  try {
    for (let read = await reader?.read(); read?.done === false; read = await reader?.read()) {
      text += new TextDecoder().decode(read.value);
    }
  } catch {
    // The body ends without its terminator.
  }
  assert.match(text, /^(:\n)+data: \{"error":\{.*"code":"router_busy"\}\}\n\n$/);
  held.release();
  await (await first).body?.cancel();
});

Deno.test("requests that wait when the program stops are recorded, and it stops", async () => {
  const held = new Held();
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "600", "--drain-timeout", "0.2"],
  });
  const all = [asks(router, "a")];
  await one.received(1);
  all.push(asks(router, "b"));
  await waiting(router, 1);
  await using events = new EventReader(await callApi(router, "/live"));
  const listed = await events.find(({ event, data }) =>
    event === "in_flight" && (data as unknown[]).length === 2
  );
  const live = listed.data as { readonly waitingMs: number | null }[];
  assert.deepEqual(live.map(({ waitingMs }) => waitingMs === null ? "asked" : "waits"), ["asked", "waits"]);
  router.signal("SIGTERM");
  await Promise.allSettled(all);
  assert.equal(await router.exited(), 0);
  const records = router.records();
  assert.deepEqual(records.map(({ outcome, attempts }) => [outcome, attempts]), [["crashed", 1], [
    "crashed",
    0,
  ]]);
  assert.ok(Number(records[1]?.queued_ms) > 0);
  assert.equal(one.requests.length, 1);
});

Deno.test("while one is only full, those that are cooling are not asked", async () => {
  const held = new Held();
  await using down = new FakeUpstream(reply(500, '{"error":{"message":"down"}}'));
  await using well = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [
      { endpoint: down.endpoint, name: "down" },
      { endpoint: well.endpoint, name: "well", columns: { max_parallel: "1" } },
    ],
    args: ["--queue-timeout", "60"],
  });
  for (let count = 1; await router.metric('upstream_state{upstream="down",state="open"}') === 0; count++) {
    const response = asks(router, "finds out");
    await well.received(count);
    held.release();
    await (await response).body?.cancel();
  }
  const [askedDown, askedWell] = [down.requests.length, well.requests.length];
  const a = asks(router, "a");
  await well.received(askedWell + 1);
  const b = asks(router, "b");
  await waiting(router, 1);
  held.release();
  await well.received(askedWell + 2);
  held.release();
  for (const response of [a, b]) await (await response).body?.cancel();
  assert.equal(down.requests.length, askedDown);
});

Deno.test("a thousand wait, one more gets a 429, and the SDK of OpenAI tries again when it says", async () => {
  const held = new Held();
  await using one = new FakeUpstream(held.script);
  await using router = await Router.start({
    upstreams: [{ endpoint: one.endpoint, name: "one", columns: { max_parallel: "1" } }],
    args: ["--queue-timeout", "600"],
  });
  const all = [asks(router, "first")];
  await one.received(1);
  for (let count = 2; count <= 1_001; count++) all.push(asks(router, "waits"));
  await waiting(router, 1_000);
  const statuses: number[] = [];
  const atMs: number[] = [];
  const client = new OpenAI({
    baseURL: router.url,
    apiKey: router.token,
    maxRetries: 1,
    fetch: async (input, init) => {
      atMs.push(performance.now());
      const response = await fetch(input, init);
      statuses.push(response.status);
      if (response.status !== 429) return response;
      const headers = new Headers(response.headers);
      assert.match(headers.get("retry-after") ?? "", /^[1-9]\d?$/);
      // Nobody waits that long for a test, and without it the SDK waits for half a second.
      headers.set("retry-after", "1");
      // By the time it comes back, there is room.
      router.execute("UPDATE openai_upstreams SET max_parallel = NULL");
      return new Response(response.body, { status: response.status, headers });
    },
  });
  const asked = client.chat.completions.create({
    model: "test-model",
    messages: [{ role: "user", content: "sdk" }],
  });
  await one.received(1_001);
  for (let count = 0; count < 1_002; count++) held.release();
  await one.received(1_002);
  held.release();
  assert.equal((await asked).choices[0]?.message.content, "well");
  assert.deepEqual(statuses, [429, 200]);
  assert.ok((atMs[1] ?? 0) - (atMs[0] ?? 0) >= 1_000);
  for (const each of all) assert.equal((await each).status, 200);
  for (const each of all) await (await each).body?.cancel();
  assert.equal(await router.metric('queue_refused_total{reason="full"}'), 1);
});

Deno.test("however requests end, every slot comes back", async () => {
  const endings: readonly Script[] = [
    chatReply("well"),
    reply(500, '{"error":{"message":"down"}}'),
    stream(chatEvents(["a", "b"])),
    cutAfter(chatEvents(["a", "b"]).slice(0, 2)),
    raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nnot"),
    silentAfter(chatEvents(["a"]).slice(0, 2)),
    hang,
  ];
  let turn = 0;
  const script: Script = (request, wire) => endings[turn++ % endings.length]?.(request, wire);
  await using one = new FakeUpstream(script);
  await using two = new FakeUpstream(script);
  await using router = await Router.start({
    upstreams: [
      { endpoint: one.endpoint, name: "one", columns: { max_parallel: "3" } },
      { endpoint: two.endpoint, name: "two", columns: { max_parallel: "auto" } },
    ],
    args: ["--queue-timeout", "1", "--hedge-ms", "30", "--hedge-budget", "100"],
  });
  await Promise.allSettled(Array.from({ length: 120 }, async (_, at) => {
    const signal = AbortSignal.timeout(at % 3 === 0 ? 100 + at * 5 : 3_000);
    const response = await asks(router, `${at}`, { stream: at % 2 === 0 }, { signal });
    await response.text();
  }));
  await eventually(
    async () => await router.metric("in_flight_requests") === 0 ? true : null,
    "the end of all",
  );
  for (const name of ["one", "two"]) {
    assert.equal(await router.metric(`upstream_in_flight{upstream="${name}"}`), 0);
  }
  assert.ok(await router.metric('upstream_limit{upstream="two"}') >= 1);
  assert.equal(await router.metric('upstream_limit{upstream="one"}'), 0);
  assert.equal(await router.metric("queue_length"), 0);
});

Deno.test("a minute's requests and tokens are limited", async () => {
  await using one = new FakeUpstream(chatReply("one"));
  await using two = new FakeUpstream(chatReply("two"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: one.endpoint, name: "one", columns: { rpm: 3 } },
      { endpoint: two.endpoint, name: "two", columns: { tpm: 100 } },
    ],
    args: ["--queue-timeout", "0"],
  });
  const names = async (count: number, more: Record<string, unknown>) => {
    let text = "";
    for (let each = 0; each < count; each++) {
      const response = await router.chat(more);
      text += response.headers.get("x-oar-upstream") ?? response.status;
      await response.text();
      text += " ";
    }
    return text;
  };
  assert.equal(await names(3, {}), "one one one ");
  // Each uses 12 tokens, and reserves more.
  assert.equal(await names(4, { max_tokens: 30 }), "two two two two ");
  assert.equal(await names(1, { max_tokens: 60 }), "429 ");
});

Deno.test("fastest: the upstream whose answers are complete first comes first", async () => {
  const slowly = (words: number, delayMs: number): Script => async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of chatEvents(Array.from({ length: words }, () => "word "))) {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await wire.write(chunk(event));
    }
    await wire.write(LAST_CHUNK);
  };
  await using slow = new FakeUpstream(slowly(8, 30));
  await using quick = new FakeUpstream(slowly(8, 1));
  await using router = await Router.start({
    upstreams: [{ endpoint: slow.endpoint, name: "slow" }, { endpoint: quick.endpoint, name: "quick" }],
  });
  router.execute("INSERT OR REPLACE INTO config_kvs(key, value) VALUES('policy', 'fastest')");
  await eventually(async () => {
    const response = await router.chat({ stream: true, model: "probe" });
    await response.text();
    return response.headers.get("x-oar-upstream") === "quick" ? true : null;
  }, "the policy");
  const names: (string | null)[] = [];
  for (let count = 0; count < 5; count++) {
    const response = await router.chat({ stream: true });
    await response.text();
    names.push(response.headers.get("x-oar-upstream"));
  }
  assert.deepEqual(names, ["slow", "quick", "quick", "quick", "quick"]);
});

Deno.test("tokens take turns, however many requests each has, and nobody asks a key for more than its limit", async () => {
  const demand = { a: 3, b: 20, c: 60, d: 117 };
  const secretOf = (name: string) => `token-of-${name}-0123456789`;
  const held = new Held();
  const order: string[] = [];
  const open = new Map<string, number>();
  let most = 0;
  await using one = new FakeUpstream(async (request, wire) => {
    if (request.method === "GET") return await reply(200, '{"object":"list","data":[]}')(request, wire);
    order.push(contentOf(request));
    const key = request.headers.get("authorization") ?? "";
    open.set(key, (open.get(key) ?? 0) + 1);
    most = Math.max(most, ...open.values());
    await held.wait(request);
    open.set(key, (open.get(key) ?? 1) - 1);
    await chatReply("well")(request, wire);
  });
  await using router = await Router.start({
    upstreams: ["sk-first-key-0123", "sk-second-key-0123", "sk-third-key-0123"].map((sk) => ({
      endpoint: one.endpoint,
      sk,
      columns: { max_parallel: "4" },
    })),
    args: ["--queue-timeout", "60"],
  });
  for (const name of Object.keys(demand)) {
    const added = await runProgram(["token", "add", name, "--value", "-"], {
      cwd: router.directory,
      stdin: secretOf(name),
    });
    assert.equal(added.code, 0, added.stderr);
  }
  await eventually(async () => {
    const response = await router.fetch("/models", { headers: { authorization: `Bearer ${secretOf("d")}` } });
    await response.body?.cancel();
    return response.status === 403 ? null : true;
  }, "the tokens");
  const models = one.requests.length;

  const all = Array.from({ length: 12 }, () => asks(router, "first"));
  await one.received(models + 12);
  for (const [name, count] of Object.entries(demand)) {
    const init = { headers: { authorization: `Bearer ${secretOf(name)}` } };
    for (let each = 0; each < count; each++) all.push(asks(router, name, {}, init));
  }
  await waiting(router, 200);
  for (let count = 1; count <= 200; count++) {
    held.release();
    await one.received(models + 12 + count);
  }
  for (let count = 0; count < 12; count++) held.release();
  for (const each of all) assert.equal((await each).status, 200);
  for (const each of all) await (await each).body?.cancel();

  const left = { ...demand };
  for (let at = 12; at < order.length;) {
    const wanting = Object.entries(left).filter(([, count]) => count > 0).map(([name]) => name);
    const round = order.slice(at, at + wanting.length);
    assert.deepEqual(round.toSorted(), wanting);
    for (const name of wanting) left[name as keyof typeof left]--;
    at += wanting.length;
  }
  assert.equal(order.length, 212);
  assert.equal(most, 4);
});
