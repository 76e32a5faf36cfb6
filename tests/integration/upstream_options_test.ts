/** How requests are changed, limited and sent as an upstream's options say: over real sockets. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { askApi, Browser, callApi, posted, SAME_ORIGIN } from "../support/admin.ts";
import { OWN_AUTHORITY } from "../support/own_authority.ts";
import { httpProxy, socksProxy } from "../support/proxies.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import {
  chatCompletion,
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  reply,
  silentAfter,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const SECRET = "sk-helicone-0123456789abcdef";

/** The admin API has the server read the change before it answers. */
function setOptions(router: Router, id: number, options: Record<string, unknown>): Promise<unknown> {
  return askApi(router, `/upstreams/${id}`, posted(options, "PATCH"));
}

Deno.test("headers are set and left out, and the attempt says that the request was changed", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, sk: "sk-own-0123456789" }],
  });
  await router.recordOf(await router.chat());
  await setOptions(router, 1, {
    setHeaders: {
      "Helicone-Auth": `Bearer ${SECRET}`,
      "accept-language": "en",
      "user-agent": null,
      "x-none": null,
    },
  });
  const response = await router.chat({}, { headers: { "user-agent": "client/1", "helicone-auth": "mine" } });
  const record = await router.recordOf(response);
  const [before, after] = upstream.requests;
  assert.notEqual(before?.headers.get("user-agent"), null);
  assert.equal(after?.headers.get("helicone-auth"), `Bearer ${SECRET}`);
  assert.equal(after?.headers.get("accept-language"), "en");
  assert.equal(after?.headers.get("user-agent"), null);
  assert.equal(after?.headers.get("authorization"), "Bearer sk-own-0123456789");
  assert.equal(router.attempts(record["id"])[0]?.["changed"], 1);
  const [first] = router.records();
  assert.equal(router.attempts(first?.["id"])[0]?.["changed"], 0);
  const { stdout } = await runProgram(["records", "show", String(record["id"])], { cwd: router.directory });
  assert.match(stdout, /REQUEST[\s\S]*changed/);
  const { attempts } = await askApi<{ attempts: { isChanged: boolean }[] }>(
    router,
    `/records/${record["id"]}`,
  );
  assert.equal(attempts[0]?.isChanged, true);
});

Deno.test("a secret among the headers is masked wherever an upstream repeats it", async () => {
  const quoted = { error: { message: `bad key ${SECRET}`, type: "x", code: null, param: null } };
  await using upstream = new FakeUpstream(
    reply(400, JSON.stringify(quoted), { "x-echo": `Bearer ${SECRET}` }),
  );
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await setOptions(router, 1, { setHeaders: { "Helicone-Auth": `Bearer ${SECRET}` } });
  const response = await router.chat();
  const text = JSON.stringify([...response.headers]) + await response.text();
  const record = await router.recordOf(response);
  const stored = JSON.stringify([record, router.attempts(record["id"])]);
  const shown = JSON.stringify(await askApi(router, "/upstreams"));
  const { stdout } = await runProgram(["list", "--json"], { cwd: router.directory });
  for (const each of [text, stored, shown, stdout, router.text]) assert.ok(!each.includes(SECRET), each);
  assert.match(shown, /"helicone-auth":"Bea…cdef"/);
});

Deno.test("a body is patched without touching another byte, plain and coded, after the model's alias", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, modelMap: '{"mine":"theirs"}' }],
  });
  await setOptions(router, 1, {
    bodyPatch: { store: false, seed: null, metadata: { team: "a", gone: null } },
  });
  const body =
    '{ "model" : "mine",\n "n":1.0e0, "seed": 12345678901234567890, "metadata":{"gone":1,"kept":"\\u00e9"} }';
  const expected =
    '{ "model" : "theirs",\n "n":1.0e0, "metadata":{"kept":"\\u00e9","team":"a"},"store":false }';
  for (const [sent, coding] of [[body, null], [new Uint8Array(gzipSync(body)), "gzip"]] as const) {
    const response = await router.fetch("/chat/completions", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(coding === null ? {} : { "content-encoding": coding, "content-md5": "abc" }),
      },
      body: sent,
    });
    assert.equal(response.status, 200, await response.text());
    const request = upstream.requests.at(-1);
    assert.equal(request?.text, expected);
    assert.equal(request?.headers.get("content-encoding"), null);
    assert.equal(request?.headers.get("content-md5"), null);
    assert.equal(request?.headers.get("content-length"), String(expected.length));
  }
  await setOptions(router, 1, { bodyPatch: { model: "forced" } });
  await (await router.chat({ model: "mine" })).text();
  assert.equal(JSON.parse(upstream.requests.at(-1)?.text ?? "").model, "forced");
});

Deno.test("a patch leaves forms, lists and what is not JSON alone", async () => {
  await using upstream = new FakeUpstream(reply(200, "{}"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await setOptions(router, 1, { bodyPatch: { store: false } });
  const form = '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n{"a":1}\r\n--b--\r\n';
  const cases = [
    ["multipart/form-data; boundary=b", form],
    ["application/json", "[1]"],
    ["application/json", '{"a":1'],
    ["application/json", '{"a":1} {"b":2}'],
    ["application/octet-stream", '{"a":1}'],
  ] as const;
  for (const [contentType, body] of cases) {
    const init = { method: "POST", headers: { "content-type": contentType }, body };
    const response = await router.fetch("/files", init);
    const record = await router.recordOf(response);
    await response.body?.cancel();
    assert.equal(upstream.requests.at(-1)?.text, body);
    assert.equal(router.attempts(record["id"])[0]?.["changed"], 0, body);
  }
});

Deno.test("only_paths: an upstream gets these paths only; if nobody takes one, the answer says which there are", async () => {
  await using chat = new FakeUpstream(chatReply("chat"));
  await using embeddings = new FakeUpstream(reply(200, '{"object":"list","data":[{"embedding":[1]}]}'));
  await using router = await Router.start({
    upstreams: [{ endpoint: chat.endpoint }, { endpoint: embeddings.endpoint }],
  });
  await setOptions(router, 1, { onlyPaths: ["/v1/chat/*"] });
  await setOptions(router, 2, { onlyPaths: ["/v1/embeddings"] });
  const input = { method: "POST", body: JSON.stringify({ model: "test-model", input: "a" }) };
  assert.equal((await router.fetch("/embeddings", input)).status, 200);
  assert.match(await (await router.chat()).text(), /chat/);
  assert.deepEqual([chat.requests.length, embeddings.requests.length], [1, 1]);
  const response = await router.fetch("/completions", input);
  assert.equal(response.status, 404);
  assert.match(await response.text(), /\/v1\/completions.*\/v1\/chat\/\*, \/v1\/embeddings/);
  assert.deepEqual([chat.requests.length, embeddings.requests.length], [1, 1]);
});

Deno.test("max_body: larger requests go to others; if there is none, a 413 names the limits", async () => {
  await using small = new FakeUpstream(chatReply("small"));
  await using large = new FakeUpstream(chatReply("large"));
  await using router = await Router.start({
    upstreams: [{ endpoint: small.endpoint, name: "small" }, { endpoint: large.endpoint, name: "large" }],
  });
  await setOptions(router, 1, { maxBodyBytes: 1_000 });
  assert.match(await (await router.chat()).text(), /small/);
  assert.match(await (await router.chat({ user: "x".repeat(1_000) })).text(), /large/);
  await setOptions(router, 2, { maxBodyBytes: 2_000 });
  const response = await router.chat({ user: "x".repeat(2_000) });
  assert.equal(response.status, 413);
  assert.match(await response.text(), /small takes 1000 bytes, large takes 2000 bytes/);
});

Deno.test("stream_timeout ends a stream without content, also at the last upstream, and leaves other requests alone", async () => {
  await using upstream = new FakeUpstream(silentAfter([": alive\n\n"]));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await setOptions(router, 1, { streamTimeoutSeconds: 1 });
  const response = await router.chat({ stream: true });
  assert.match(await response.text(), /no content within 1 s/);
  const record = await router.recordOf(response);
  assert.equal(router.attempts(record["id"])[0]?.["error_class"], "timeout");
});

const REFUSAL = "Sorry, your QUOTA exceeded. Please top up.";

Deno.test("error_text: an error in the form of an answer moves on, whole, streamed, and in pieces", async (t) => {
  const words = REFUSAL.split(/(?<= )/);
  const scripts = {
    "a whole reply": chatReply(REFUSAL),
    "a stream": stream(chatEvents([REFUSAL])),
    "a stream in pieces": stream(chatEvents(words)),
    "a stream of characters": stream(chatEvents([...REFUSAL])),
  };
  await using refusing = new FakeUpstream(chatReply(REFUSAL));
  await using good = new FakeUpstream(chatReply("good"));
  await using router = await Router.start({
    upstreams: [{ endpoint: refusing.endpoint }, { endpoint: good.endpoint }],
    args: ["--policy", "order"],
  });
  await setOptions(router, 1, { errorTexts: ["quota exceeded"] });
  for (const [name, script] of Object.entries(scripts)) {
    await t.step(name, async () => {
      const isStream = name.includes("stream");
      // Enabled again, it is asked first again.
      await setOptions(router, 1, { isEnabled: false });
      await setOptions(router, 1, { isEnabled: true });
      refusing.script = script;
      good.script = isStream ? stream(chatEvents(["good"])) : chatReply("good");
      const response = await router.chat({ stream: isStream });
      const text = await response.text();
      assert.ok(text.includes("good") && !text.includes("QUOTA"), text);
      const record = await router.recordOf(response);
      const classes = router.attempts(record["id"]).map((attempt) => attempt["error_class"]);
      assert.deepEqual(classes, ["bad_reply", null]);
    });
  }
});

Deno.test("error_text: a long answer that quotes the error later is an answer; the last upstream's is given", async () => {
  const long = `${"An explanation. ".repeat(20)}quota exceeded means that nothing is left.`;
  await using upstream = new FakeUpstream(stream(chatEvents(long.split(/(?<= )/))));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await setOptions(router, 1, { errorTexts: ["quota exceeded"] });
  const response = await router.chat({ stream: true });
  assert.match(await response.text(), /\[DONE\]/);
  const record = await router.recordOf(response);
  assert.deepEqual([record["outcome"], record["response"]], ["complete", long]);
  upstream.script = chatReply(REFUSAL);
  assert.match(await (await router.chat()).text(), /QUOTA/);
});

Deno.test("error_text does not hold a slow stream back for long", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    await wire.write(chunk(chatEvents(["Hello"]).slice(0, 2).join("")));
    await promise;
    wire.close();
  });
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--gate-ms", "50"],
  });
  await setOptions(router, 1, { errorTexts: ["quota exceeded"] });
  const response = await router.chat({ stream: true });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("Hello")) text += (await reader?.read())?.value ?? assert.fail(text);
  resolve();
  await reader?.cancel();
});

Deno.test("an upstream is reached by way of its own HTTP proxy, whatever NO_PROXY says", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using direct = new FakeUpstream(reply(500, "{}"));
  await using proxy = httpProxy(upstream);
  await using router = await Router.start({
    upstreams: [{ endpoint: direct.endpoint }, {
      endpoint: "http://far.invalid:8080/v1",
      sk: "sk-far-0123456789",
    }],
    env: { NO_PROXY: "127.0.0.1,127.0.0.0/8,far.invalid,.invalid" },
  });
  const secret = "p%40ss-0123456789abcdef";
  const url = `http://me:${secret}@127.0.0.1:${proxy.port}`;
  const refused = await callApi(router, "/upstreams/2", posted({ proxy: url }, "PATCH"));
  assert.deepEqual([refused.status, (await refused.json()).error.code], [400, "key_required"]);
  await setOptions(router, 2, { proxy: url, key: "sk-far-0123456789" });
  assert.match(await (await router.chat()).text(), /hello/);
  assert.deepEqual(proxy.asked, ["POST http://far.invalid:8080/v1/chat/completions"]);
  assert.deepEqual(proxy.credentials, [`Basic ${btoa("me:p@ss-0123456789abcdef")}`]);
  const tested = await askApi<{ isOk: boolean }>(router, "/upstreams/2/test", { method: "POST" });
  assert.equal(upstream.requests[1]?.target, "http://far.invalid:8080/v1/models", JSON.stringify(tested));
  const shown = JSON.stringify(await askApi(router, "/upstreams"));
  assert.ok(shown.includes(`http://…@127.0.0.1:${proxy.port}`) && !shown.includes("0123456789abcdef"), shown);
  assert.ok(!router.text.includes("0123456789abcdef"));
});

Deno.test("an upstream is reached by way of its own SOCKS proxy, and directly again without it", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using proxy = socksProxy(upstream);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk: "asis" }] });
  await setOptions(router, 1, {
    proxy: `socks5://me:secret@127.0.0.1:${proxy.port}`,
    key: "sk-a-0123456789",
  });
  assert.match(await (await router.chat()).text(), /hello/);
  assert.deepEqual(proxy.asked, [`CONNECT 127.0.0.1:${upstream.port}`]);
  assert.deepEqual(proxy.credentials, ["me:secret"]);
  await setOptions(router, 1, { proxy: null });
  assert.match(await (await router.chat()).text(), /hello/);
  assert.equal(proxy.asked.length, 1);
});

Deno.test("a proxy that does not answer is a failed connection that moves on", async () => {
  await using upstream = new FakeUpstream(chatReply("never"));
  await using other = new FakeUpstream(chatReply("other"));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }, { endpoint: other.endpoint }],
  });
  await setOptions(router, 1, {
    proxy: `http://me:hunter2hunter2hunter2@127.0.0.1:${port}`,
    key: "sk-a-0123456789",
  });
  const response = await router.chat();
  assert.match(await response.text(), /other/);
  const record = await router.recordOf(response);
  const [attempt] = router.attempts(record["id"]);
  assert.equal(attempt?.["error_class"], "connect_error");
  assert.ok(!JSON.stringify([record, attempt]).includes("hunter2"));
  assert.equal(upstream.requests.length, 0);
});

Deno.test("a replay is changed and sent like any request, for any path and size", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const record = await router.recordOf(await router.chat());
  await setOptions(router, 1, {
    setHeaders: { "x-team": "a" },
    bodyPatch: { store: false },
    onlyPaths: ["/v1/embeddings"],
    maxBodyBytes: 1,
  });
  await askApi(router, `/records/${record["id"]}/replay`, posted({ upstreamId: 1 }));
  const replayed = await eventually(() => upstream.requests[1] ?? null, "the replay");
  assert.equal(replayed.headers.get("x-team"), "a");
  assert.equal(JSON.parse(replayed.text).store, false);
  const { code } = await runProgram(["records", "replay", String(record["id"])], { cwd: router.directory });
  assert.equal(code, 0);
  assert.equal(upstream.requests[2]?.headers.get("x-team"), "a");
});

Deno.test("an https upstream is reached through CONNECT of its HTTP proxy, which sees nothing of the request", async () => {
  const { cert, key, authority } = OWN_AUTHORITY;
  const options = { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} };
  const server = Deno.serve(options, () => Response.json(chatCompletion("over TLS")));
  const directory = await Deno.makeTempDir({ prefix: "oar-ca-" });
  try {
    await Deno.writeTextFile(`${directory}/ca.pem`, authority);
    await using proxy = httpProxy(server.addr);
    await using router = await Router.start({
      upstreams: [{ endpoint: "https://localhost:8443/v1" }],
      args: ["--ca-file", `${directory}/ca.pem`],
    });
    await setOptions(router, 1, { proxy: `http://127.0.0.1:${proxy.port}` });
    assert.match(await (await router.chat()).text(), /over TLS/);
    assert.deepEqual(proxy.asked, ["CONNECT localhost:8443"]);
  } finally {
    await server.shutdown();
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the page's form sets every option, shows secrets masked, and keeps them when it is sent back", async () => {
  await using router = await Router.start({ upstreams: [{ endpoint: "https://a.example/v1" }] });
  const browser = await Browser.login(router);
  const save = async (fields: Record<string, string>): Promise<string> => {
    const body = new URLSearchParams({ csrf: browser.csrfToken, ...fields });
    const response = await browser.fetch("/upstreams/1", { method: "POST", headers: SAME_ORIGIN, body });
    const text = await response.text();
    return response.status === 303 ? "" : text;
  };
  const fields = {
    endpoint: "https://a.example/v1",
    name: "a.example",
    maxParallel: "auto",
    rpm: "60",
    keyPolicy: "fill",
    setHeaders: `Helicone-Auth: ${SECRET}\n-User-Agent`,
    bodyPatch: '{"store":false}',
    onlyPaths: "/v1/chat/*, /v1/models",
    maxBody: "10MB",
    streamTimeout: "20",
    priceFactor: "0.3",
    errorTexts: "no credit\nquota exceeded",
    proxy: "http://me:hunter2hunter2@127.0.0.1:3128",
  };
  assert.equal(await save(fields), "");
  const [row] = router.query("SELECT * FROM openai_upstreams");
  assert.deepEqual(JSON.parse(String(row?.["set_headers"])), { "Helicone-Auth": SECRET, "User-Agent": null });
  assert.deepEqual(
    [
      "max_parallel",
      "rpm",
      "key_policy",
      "body_patch",
      "only_paths",
      "max_body",
      "stream_timeout",
      "price_factor",
      "error_text",
      "proxy",
    ]
      .map((column) => row?.[column]),
    [
      "auto",
      60,
      "fill",
      '{"store":false}',
      "/v1/chat/*,/v1/models",
      10_000_000,
      20,
      "0.3",
      "no credit\nquota exceeded",
      fields.proxy,
    ],
  );
  const html = { headers: { accept: "text/html" } };
  const page = await (await browser.fetch("/upstreams/1", html)).text() +
    await (await browser.fetch("/upstreams", html)).text();
  assert.ok(!page.includes(SECRET) && !page.includes("hunter2"), page);
  assert.match(page, /helicone-auth: sk-…cdef\s+-user-agent/);
  assert.match(page, /keys in order.*auto parallel.*60\/min.*changes requests.*prices × 0\.3/s);
  const again = {
    ...fields,
    setHeaders: "helicone-auth: sk-…cdef\nx-team: a",
    proxy: "http://…@127.0.0.1:3128",
  };
  assert.equal(await save({ ...again, maxBody: "10000000", rpm: "" }), "");
  const [kept] = router.query("SELECT set_headers, rpm, proxy FROM openai_upstreams");
  assert.deepEqual(JSON.parse(String(kept?.["set_headers"])), { "helicone-auth": SECRET, "x-team": "a" });
  assert.deepEqual([kept?.["rpm"], kept?.["proxy"]], [null, fields.proxy]);
  assert.match(
    await save({ ...again, setHeaders: "Authorization: Bearer x" }),
    /Authorization cannot be set/,
  );
  assert.match(await save({ ...again, bodyPatch: "[1]" }), /must be a JSON object/);
});
