/**
 * A client's own failures do not move other clients to another upstream; an upstream's failures do. Tested by
 * which upstream answers the next request.
 */
import assert from "node:assert/strict";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, pieces, reply, type Script } from "../support/upstream.ts";

const OTHER = "other-token-0123456789";
const error = (message: string) => JSON.stringify({ error: { message } });

/** How the first upstream answers a request whose text says `poison`. */
const POISON: Readonly<Record<string, { readonly script: Script; readonly sk?: string }>> = {
  "asis: 401": { script: reply(401, error("wrong key")), sk: "asis" },
  "asis: 403": { script: reply(403, error("no access")), sk: "asis" },
  "asis: 429": { script: reply(429, error("slow down")), sk: "asis" },
  "asis: 429 with Retry-After": {
    script: reply(429, error("slow down"), { "retry-after": "300" }),
    sk: "asis",
  },
  "asis: 429 with retry-after-ms": {
    script: reply(429, error("no"), { "retry-after-ms": "300000" }),
    sk: "asis",
  },
  "401": { script: reply(401, error("not your organization")) },
  "403": { script: reply(403, error("no access to this model")) },
  "429": { script: reply(429, error("request too large")) },
  "500": { script: reply(500, error("worker crashed")) },
  "503": { script: reply(503, error("model is loading")) },
  "a connection that breaks": { script: (_request, wire) => wire.close() },
  "a 200 that is an error": { script: reply(200, error("refused")) },
  "a stream that is an error": { script: pieces([`data: ${error("refused")}\n\n`]) },
};

async function stage(script: Script, sk: string | undefined) {
  const ok = chatReply("ok");
  const first = new FakeUpstream((request, wire) =>
    (request.text.includes("poison") ? script : ok)(request, wire)
  );
  const second = new FakeUpstream(ok);
  const router = await Router.start({
    authorization: `${TEST_TOKEN},${OTHER}`,
    upstreams: [
      { endpoint: first.endpoint, name: "first", ...(sk === undefined ? {} : { sk }) },
      { endpoint: second.endpoint, name: "second" },
    ],
  });
  return {
    async ask(token: string, text: string): Promise<string | null> {
      const headers = { "authorization": "Bearer sk-own-0123456789abcdef", "x-api-key": token };
      const stream = text.includes("stream");
      const response = await router.chat({ stream, messages: [{ role: "user", content: text }] }, {
        headers,
      });
      await response.body?.cancel();
      return response.headers.get("x-oar-upstream");
    },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

Deno.test("one client's failures do not move the others", async (t) => {
  for (const [name, { script, sk }] of Object.entries(POISON)) {
    await t.step(name, async () => {
      await using s = await stage(script, sk);
      const poison = name.includes("stream") ? "poison stream" : "poison";
      assert.equal(await s.ask(OTHER, "hello"), "first");
      for (let n = 0; n < 4; n++) assert.equal(await s.ask(TEST_TOKEN, poison), "second");
      assert.equal(await s.ask(OTHER, "hello"), "first");
      // Its own key is the one that was refused.
      assert.equal(await s.ask(TEST_TOKEN, "hello"), sk === "asis" ? "second" : "first");
    });
  }
});

Deno.test("refusals for a single client do not stop the use of a key that has worked", async (t) => {
  for (const name of ["401", "403"]) {
    await t.step(name, async () => {
      const { script, sk } = POISON[name] ?? assert.fail(name);
      await using s = await stage(script, sk);
      assert.equal(await s.ask(TEST_TOKEN, "hello"), "first");
      for (let n = 0; n < 4; n++) await s.ask(TEST_TOKEN, "poison");
      assert.equal(await s.ask(TEST_TOKEN, "hello"), "first");
    });
  }
});

Deno.test("a failing upstream is avoided, with one client and with several", async (t) => {
  for (const name of ["500", "429", "a connection that breaks", "a 200 that is an error"]) {
    await t.step(`${name}: an only client`, async () => {
      const { script } = POISON[name] ?? assert.fail(name);
      await using s = await stage(script, undefined);
      assert.equal(await s.ask(TEST_TOKEN, "hello"), "first");
      for (let n = 0; n < 3; n++) await s.ask(TEST_TOKEN, "poison");
      assert.equal(await s.ask(TEST_TOKEN, "hello"), "second");
    });
  }
  for (const name of ["500", "401", "403"]) {
    await t.step(`${name}: two clients`, async () => {
      const { script } = POISON[name] ?? assert.fail(name);
      await using s = await stage(script, undefined);
      assert.equal(await s.ask(OTHER, "hello"), "first");
      for (let n = 0; n < 3; n++) for (const token of [TEST_TOKEN, OTHER]) await s.ask(token, "poison");
      assert.equal(await s.ask(OTHER, "hello"), "second");
    });
  }
  await t.step("429 with Retry-After for the configured key: at once", async () => {
    await using s = await stage(reply(429, error("slow down"), { "retry-after": "300" }), undefined);
    assert.equal(await s.ask(OTHER, "hello"), "first");
    await s.ask(TEST_TOKEN, "poison");
    assert.equal(await s.ask(OTHER, "hello"), "second");
  });
  await t.step("a key that never worked", async () => {
    await using s = await stage(reply(401, error("wrong key")), undefined);
    for (let n = 0; n < 3; n++) await s.ask(TEST_TOKEN, "poison");
    assert.equal(await s.ask(TEST_TOKEN, "hello"), "second");
  });
});

Deno.test("one client's failures cause few alerts, and none contains a link or mention made by the client", async () => {
  await using upstream = new FakeUpstream(reply(500, error("boom")));
  await using hook = new FakeUpstream(reply(200, "{}"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    env: { ALERT_WEBHOOK: hook.endpoint },
  });
  const letters = "abcdefgh".split("");
  for (const model of letters.flatMap((a) => letters.map((b) => `http://evil.example/${a}${b} @all`))) {
    const response = await router.chat({ model });
    await response.body?.cancel();
  }
  // On shutdown, the router sends the rest.
  router.signal("SIGTERM");
  await router.exited();
  const texts = hook.requests.map(({ text }) => String(JSON.parse(text).text));
  assert.ok(texts.length > 0 && texts.length <= 12, `${texts.length} alerts`);
  assert.match(texts.join("\n"), /http\[:\]\/\/evil\[\.\]example\/aa \[at\]all/);
  assert.doesNotMatch(texts.join("\n"), /:\/\/|@/);
  assert.match(texts.join("\n"), /Upstream .* is down/);
});
