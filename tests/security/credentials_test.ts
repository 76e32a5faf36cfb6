/**
 * The router's tokens never reach an upstream, in whatever field a client sends them; upstreams do not learn
 * who is behind a proxy in front; and a request has one credential of each kind. Tested on the wire.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { adminTokenOf } from "../support/admin.ts";
import { RawClient } from "../support/raw_client.ts";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, type ReceivedRequest, reply } from "../support/upstream.ts";

const SECOND = "second-token-0123456789";
const SHORT = "s3cret";
const KEY = "sk-upstream-0123456789";
const OWN = "sk-own-0123456789";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const percent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

/** A request's whole head, raw and decoded. */
function headOf({ target, headers }: ReceivedRequest): string {
  const said = [target, ...[...headers].flat()].join("\n");
  const unescaped = said.replaceAll(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  const words = said.split(/[\s,.=]+/).map((word) => Buffer.from(word, "base64").toString("latin1"));
  return [said, unescaped, ...words].join("\n");
}

interface Stage extends AsyncDisposable {
  readonly router: Router;
  readonly own: FakeUpstream;
  readonly asis: FakeUpstream;
  /** Sends raw lines of a head; returns the status of the answer. */
  send(lines: readonly string[], target?: string): Promise<string>;
}

async function stage(args: readonly string[] = []): Promise<Stage> {
  const own = new FakeUpstream(chatReply("own"));
  const asis = new FakeUpstream(chatReply("asis"));
  const router = await Router.start({
    authorization: `${TEST_TOKEN},${SECOND},${SHORT}`,
    upstreams: [
      { endpoint: own.endpoint, sk: KEY, name: "own", allow: "with-key" },
      { endpoint: asis.endpoint, sk: "asis", name: "asis", allow: "as-is" },
      { endpoint: own.endpoint, sk: `${KEY}-rest`, name: "rest" },
    ],
    args: [...args],
  });
  return {
    router,
    own,
    asis,
    async send(lines, target = "/v1/chat/completions") {
      const seen: string[] = [];
      for (const model of ["with-key", "as-is"]) {
        using client = await RawClient.connect(router.port);
        const body = `{"model":"${model}"}`;
        await client.send(
          [
            `POST ${target} HTTP/1.1`,
            "host: localhost",
            "connection: close",
            `content-length: ${body.length}`,
            ...lines,
            "",
            body,
          ].join("\r\n"),
        );
        seen.push(/^HTTP\/1.1 (\d+)/.exec(await client.readToEnd())?.[1] ?? "none");
      }
      return [...new Set(seen)].join(", ");
    },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
      await asis[Symbol.asyncDispose]();
    },
  };
}

/** Where a client may put a token, besides the field that authenticates it. */
const FIELDS: readonly [name: string, line: (token: string) => string][] = [
  ["a header of its own", (token) => `x-custom: ${token}`],
  ["a header of its own, in a list", (token) => `x-custom: a, ${token}, b`],
  ["a header of its own, as bearer", (token) => `x-custom: Bearer ${token}`],
  ["a header of its own, percent-encoded", (token) => `x-custom: ${percent(token)}`],
  ["a header of its own, as Basic", (token) => `x-custom: Basic ${base64(`user:${token}`)}`],
  ["x-goog-api-key", (token) => `x-goog-api-key: ${token}`],
  ["x-auth-token", (token) => `x-auth-token: ${token}`],
  ["cookie", (token) => `cookie: session=${token}`],
  ["proxy-authorization", (token) => `proxy-authorization: Bearer ${token}`],
  ["sec-websocket-protocol", (token) => `sec-websocket-protocol: realtime, openai-insecure-api-key.${token}`],
  ["referer", (token) => `referer: https://app.example/?x=1&token=${token}`],
  ["user-agent", (token) => `user-agent: app ${token}`],
  ["openai-organization", (token) => `openai-organization: ${token}`],
  ["if-none-match", (token) => `if-none-match: "${token}"`],
  ["accept-language", (token) => `accept-language: ${token}`],
];

/** Forms of a credential other than the one that authenticates the client. */
const CREDENTIALS: readonly ((token: string) => string)[] = [
  (token) => token,
  (token) => `Bearer ${token}`,
  (token) => `bEARER   ${token}`,
  (token) => `Bearer\t${token}`,
  (token) => `Bearer Bearer ${token}`,
  (token) => `Token ${token}`,
  (token) => `Token token="${token}"`,
  (token) => `Basic ${base64(`user:${token}`)}`,
  (token) => `basic ${base64(`${token}:`)}`,
  (token) => `Basic ${base64(`${token}:password`)}`,
];

const QUERIES: readonly ((token: string) => string)[] = [
  (token) => `key=${token}`,
  (token) => `api_key=${token}`,
  (token) => `key=${percent(token)}`,
  (token) => `key=${encodeURIComponent(percent(token))}`,
  (token) => `${token}`,
  (token) => `${token}=1`,
  (token) => `authorization=Bearer%20${token}`,
];

for (const args of [[], ["--noauth"]]) {
  Deno.test(`no field carries a token of the router to an upstream ${args.join("")}`, async (t) => {
    await using s = await stage(args);
    const tokens = { test: TEST_TOKEN, second: SECOND, short: SHORT, admin: adminTokenOf(s.router) };
    const isLeaked = () =>
      [...s.own.requests.splice(0), ...s.asis.requests.splice(0)].map(headOf).filter((head) =>
        Object.values(tokens).some((token) => head.includes(token))
      );
    for (const [name, token] of Object.entries(tokens)) {
      await t.step(`${name}: headers`, async () => {
        for (const [field, line] of FIELDS) {
          const letIn = [`authorization: Bearer ${OWN}`, `x-api-key: ${TEST_TOKEN}`];
          assert.equal(await s.send([...letIn, line(token)]), "200", field);
          assert.equal(s.own.requests.length, 1);
          assert.equal(s.asis.requests.length, 1);
          assert.deepEqual(isLeaked(), [], field);
        }
      });
      await t.step(`${name}: credentials`, async () => {
        for (const form of CREDENTIALS) {
          for (const field of ["authorization", "x-api-key", "api-key", "x-goog-api-key"]) {
            const rest = ["authorization", "x-api-key"].filter((other) => other !== field).slice(0, 1);
            await s.send([
              `${field}: ${form(token)}`,
              ...rest.map((other) => `${other}: ${other === "authorization" ? "Bearer " : ""}${TEST_TOKEN}`),
            ]);
            assert.deepEqual(isLeaked(), [], `${field}: ${form(token)}`);
          }
        }
      });
      await t.step(`${name}: queries`, async () => {
        const letIn = [`authorization: Bearer ${OWN}`, `x-api-key: ${TEST_TOKEN}`];
        for (const query of QUERIES) {
          const target = `/v1/chat/completions?a=1&${query(token)}&b=%20`;
          assert.equal(await s.send(letIn, target), "200");
          assert.equal(s.own.requests.at(-1)?.target, "/v1/chat/completions?a=1&b=%20");
          assert.deepEqual(isLeaked(), [], target);
        }
      });
      if (name === "short") continue;
      await t.step(`${name}: a path is refused, and says why`, async () => {
        for (const segment of [token, percent(token), `a-${token}-b`]) {
          assert.equal(await s.send([`x-api-key: ${TEST_TOKEN}`], `/v1/models/${segment}`), "400");
          assert.deepEqual([s.own.requests.length, s.asis.requests.length], [0, 0]);
        }
      });
    }
    assert.ok(!s.router.text.includes("rror"), s.router.text);
  });
}

Deno.test("a repeated credential is a 400", async (t) => {
  await using s = await stage();
  for (const field of ["authorization", "x-api-key", "api-key", "x-goog-api-key"]) {
    const scheme = field === "authorization" ? "Bearer " : "";
    const twice: readonly string[][] = [
      [`${field}: ${scheme}${OWN}`, `${field}: ${scheme}${TEST_TOKEN}`],
      [`${field}: ${scheme}${TEST_TOKEN}`, `${field}: ${scheme}${OWN}`],
      [`${field}: ${scheme}${TEST_TOKEN}`, `${field.toUpperCase()}: ${scheme}${TEST_TOKEN}`],
      [`${field}: ${scheme}${OWN}, ${scheme}${TEST_TOKEN}`],
      [`${field}: `, `${field}: ${scheme}${TEST_TOKEN}`],
    ];
    const other = field === "x-api-key" ? "api-key" : "x-api-key";
    for (const lines of twice) {
      await t.step(lines.join(" / "), async () => {
        assert.equal(await s.send(lines), "400");
        assert.equal(await s.send([...lines, `${other}: ${TEST_TOKEN}`]), "400");
        assert.deepEqual([s.own.requests.length, s.asis.requests.length], [0, 0]);
      });
    }
  }
  await t.step("the answer names the field", async () => {
    const response = await s.router.fetch("/models", { headers: { "x-api-key": "a, b" } });
    assert.equal(response.status, 400);
    assert.match(
      (await response.json()).error.message,
      /x-api-key holds more than one credential; send it once/,
    );
  });
});

Deno.test("a client's own key and the router's token can be combined in either order", async () => {
  await using s = await stage();
  const pairs: readonly [sent: Record<string, string>, own: string, value: string][] = [
    [{ "authorization": `Bearer ${OWN}`, "x-api-key": TEST_TOKEN }, "authorization", `Bearer ${OWN}`],
    [{ "authorization": `Bearer ${TEST_TOKEN}`, "x-api-key": OWN }, "x-api-key", OWN],
    [{ "api-key": TEST_TOKEN, "x-api-key": OWN }, "x-api-key", OWN],
    [{ "authorization": `Bearer ${TEST_TOKEN}`, "x-goog-api-key": OWN }, "x-goog-api-key", OWN],
    [{ "authorization": `Bearer ${SHORT}`, "api-key": OWN }, "api-key", OWN],
  ];
  for (const [headers, name, value] of pairs) {
    const response = await s.router.chat({ model: "as-is" }, { headers });
    await response.body?.cancel();
    assert.equal(response.headers.get("x-oar-upstream"), "asis", JSON.stringify(headers));
    const sent = s.asis.requests.at(-1)?.headers;
    assert.equal(sent?.get(name), value);
    const credentials = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
    assert.deepEqual(credentials.filter((each) => sent?.has(each)), [name]);
  }
});

const FROM_PROXIES = [
  "origin",
  "referer",
  "sec-fetch-mode",
  ..."x-real-ip x-client-ip true-client-ip client-ip x-cluster-client-ip x-original-forwarded-for via".split(
    " ",
  ),
  ..."x-forwarded-for x-forwarded-user x-forwarded-email x-forwarded-access-token forwarded".split(" "),
  ..."cf-connecting-ip cf-ipcountry cf-ray cf-access-jwt-assertion cf-access-client-secret".split(" "),
  ..."x-envoy-external-address x-envoy-peer-metadata x-auth-request-email x-auth-request-access-token".split(
    " ",
  ),
  ..."x-goog-iap-jwt-assertion x-goog-authenticated-user-email x-goog-authenticated-user-id".split(" "),
  ..."x-amzn-oidc-data x-amzn-oidc-accesstoken x-amzn-oidc-identity x-amzn-trace-id x-amzn-mtls-clientcert"
    .split(" "),
  ..."x-ms-client-principal x-ms-client-principal-name x-ms-token-aad-access-token x-arr-clientcert".split(
    " ",
  ),
  ..."remote-user remote-email x-remote-user x-remote-group tailscale-user-login tailscale-user-name".split(
    " ",
  ),
  ..."x-authentik-username x-authentik-jwt x-webauth-user x-pomerium-jwt-assertion x-ssl-client-s-dn".split(
    " ",
  ),
  ..."client-cert ssl-client-cert x-consumer-username fly-client-ip fastly-client-ip x-vercel-ip-city".split(
    " ",
  ),
  ..."x_forwarded_for api_key x_api_key http_authorization a_b _".split(" "),
];

const FROM_CLIENTS = [
  ..."x-stainless-lang x-stainless-retry-count openai-beta openai-version anthropic-version anthropic-beta"
    .split(" "),
  ..."anthropic-dangerous-direct-browser-access idempotency-key x-request-id traceparent tracestate baggage"
    .split(" "),
  ..."x-ms-client-request-id x-amzn-bedrock-trace x-amzn-sagemaker-session-id cf-aig-metadata ngrok-skip-browser-warning x-goog-api-client x-title http-referer x-client-request-id"
    .split(" "),
  ..."accept-language helicone-user-id".split(" "),
];

Deno.test("headers of proxies about a person reach no upstream, headers of client libraries do", async (t) => {
  await using s = await stage();
  const lines = [...FROM_PROXIES, ...FROM_CLIENTS].map((name) => `${name}: of-a-person`);
  assert.equal(await s.send([`authorization: Bearer ${OWN}`, `x-api-key: ${TEST_TOKEN}`, ...lines]), "200");
  for (const [name, upstream] of Object.entries({ own: s.own, asis: s.asis })) {
    await t.step(name, () => {
      const sent = [...upstream.requests.at(-1)?.headers.keys() ?? []];
      assert.deepEqual(FROM_PROXIES.filter((each) => sent.includes(each)), []);
      assert.deepEqual(FROM_CLIENTS.filter((each) => !sent.includes(each)), []);
    });
  }
});

Deno.test("headers that select who pays reach an upstream only from a client that sent its own key", async () => {
  await using s = await stage();
  const names = ["openai-organization", "openai-project", "x-goog-user-project"];
  await s.send([
    `authorization: Bearer ${OWN}`,
    `x-api-key: ${TEST_TOKEN}`,
    ...names.map((name) => `${name}: mine`),
  ]);
  const sent = (upstream: FakeUpstream) =>
    names.filter((name) => upstream.requests.at(-1)?.headers.has(name));
  assert.deepEqual([sent(s.own), sent(s.asis)], [[], names]);
});

Deno.test("a key that is an ordinary word is not masked in its upstream's replies", async () => {
  for (const sk of ["null", "error", "message"]) {
    const said = '{"error":{"message":"no such thing","type":"error","param":null,"code":null}}';
    await using upstream = new FakeUpstream(reply(400, said, { "x-note": `an ${sk} it is` }));
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk }] });
    const response = await router.chat();
    assert.equal(response.headers.get("x-note"), `an ${sk} it is`);
    assert.equal(await response.text(), said);
    assert.equal((await router.recordOf(response)).response, said);
  }
});
