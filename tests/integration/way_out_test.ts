/** How requests and alerts leave: certificates of a company's own authority, proxies and exceptions. */
import assert from "node:assert/strict";
import { OWN_AUTHORITY } from "../support/own_authority.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import { chatCompletion, chatReply, FakeUpstream, reply } from "../support/upstream.ts";

interface SecureUpstream extends AsyncDisposable {
  readonly port: number;
  /** The bodies of its requests. */
  readonly texts: string[];
}

/** An upstream over TLS, or a chat to which alerts go; its certificate is from an authority of its own. */
function secureUpstream(): SecureUpstream {
  const texts: string[] = [];
  const { cert, key } = OWN_AUTHORITY;
  const options = { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} };
  const server = Deno.serve(options, async (request) => {
    texts.push(await request.text());
    return Response.json(chatCompletion("over TLS"));
  });
  return { port: server.addr.port, texts, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Runs a test with a folder that holds these files. */
function withFiles(name: string, files: Record<string, string>, body: (path: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const path = await Deno.makeTempDir({ prefix: "oar-authority-" });
    try {
      for (const [file, text] of Object.entries(files)) await Deno.writeTextFile(`${path}/${file}`, text);
      await body(path);
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  });
}

const TRUSTING: readonly ((path: string) => { args?: string[]; env?: Record<string, string> })[] = [
  (path) => ({ args: ["--ca-file", path] }),
  (path) => ({ env: { OAR_CA_FILE: path } }),
  (path) => ({ env: { SSL_CERT_FILE: path } }),
  (path) => ({ env: { NODE_EXTRA_CA_CERTS: path } }),
];

withFiles(
  "an upstream with a certificate of an own authority is trusted when a file names that authority",
  { "ca.pem": `a comment\n${OWN_AUTHORITY.authority}` },
  async (path) => {
    for (const trusting of TRUSTING) {
      await using upstream = secureUpstream();
      await using router = await Router.start({
        upstreams: [{ endpoint: `https://localhost:${upstream.port}/v1` }],
        ...trusting(`${path}/ca.pem`),
      });
      assert.match(await (await router.chat()).text(), /over TLS/);
    }
  },
);

withFiles(
  "without it, that upstream is not trusted, and its own certificate does not make it so",
  { "leaf.pem": OWN_AUTHORITY.cert },
  async (path) => {
    for (const env of [{}, { NODE_EXTRA_CA_CERTS: `${path}/leaf.pem` }]) {
      await using upstream = secureUpstream();
      await using other = new FakeUpstream(chatReply("another"));
      await using router = await Router.start({
        upstreams: [{ endpoint: `https://localhost:${upstream.port}/v1` }, { endpoint: other.endpoint }],
        env,
      });
      assert.match(await (await router.chat()).text(), /another/);
      const [record] = await router.recorded(1);
      assert.match(String(router.attempts(record?.["id"])[0]?.["error"]), /certificate/);
      assert.deepEqual(upstream.texts, []);
    }
  },
);

withFiles("alerts trust the same authorities", { "ca.pem": OWN_AUTHORITY.authority }, async (path) => {
  await using chat = secureUpstream();
  await using upstream = new FakeUpstream(reply(500, "{}"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--ca-file", `${path}/ca.pem`],
    env: { ALERT_WEBHOOK: `https://localhost:${chat.port}/hook`, ALERT_WEBHOOK_FORMAT: "discord" },
  });
  await (await router.chat()).body?.cancel();
  const text = await eventually(() => chat.texts[0] ?? null, "the alert");
  assert.deepEqual(JSON.parse(text).allowed_mentions, { parse: [] });
});

const BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

withFiles(
  "--ca-file that cannot be used stops the start; a variable of other programs is warned about",
  { "empty.pem": "", "broken.pem": BROKEN, "mixed.pem": BROKEN + OWN_AUTHORITY.authority },
  async (path) => {
    for (const name of ["empty.pem", "broken.pem", "none.pem", "."]) {
      const file = `${path}/${name}`;
      const args = ["serve", "--addr", "127.0.0.1:0", "--ca-file", file];
      const { code, stderr } = await runProgram(args, { cwd: path });
      assert.equal(code, 1, stderr);
      assert.ok(
        stderr.startsWith(`openai-api-route: Cannot use the certificates of --ca-file ${file}: `),
        stderr,
      );
      assert.equal(stderr.trim().split("\n").length, 1);
    }
    await using upstream = new FakeUpstream(chatReply("hello"));
    await using router = await Router.start({
      upstreams: [{ endpoint: upstream.endpoint }],
      env: { SSL_CERT_FILE: `${path}/none.pem`, NODE_EXTRA_CA_CERTS: `${path}/mixed.pem` },
    });
    assert.match(await (await router.chat()).text(), /hello/);
    await eventually(() => router.text.includes("SSL_CERT_FILE") ? true : null, "the warning");
    assert.match(router.text, /certificates of SSL_CERT_FILE .*none\.pem.* are not used/);
    assert.doesNotMatch(router.text, /NODE_EXTRA_CA_CERTS/, "of a bundle, what can be read is used");
  },
);

Deno.test("one server reaches an upstream through the proxy and another directly, as NO_PROXY says", async () => {
  await using proxy = new FakeUpstream(reply(500, "{}"));
  await using direct = new FakeUpstream(chatReply("direct"));
  await using router = await Router.start({
    upstreams: [{ endpoint: "http://far.invalid/v1" }, { endpoint: direct.endpoint }],
    env: {
      HTTP_PROXY: `"http://me:p%40ss%3Aword@127.0.0.1:${proxy.port}"`,
      NO_PROXY: "10.0.0.0/8,127.0.0.0/8",
    },
  });
  assert.match(await (await router.chat()).text(), /direct/);
  const [request] = proxy.requests;
  assert.equal(request?.target, "http://far.invalid/v1/chat/completions");
  assert.equal(request?.headers.get("proxy-authorization"), `Basic ${btoa("me:p@ss:word")}`);
  assert.equal(direct.requests[0]?.target, "/v1/chat/completions");
  assert.equal(direct.requests[0]?.headers.get("proxy-authorization"), null);
});

Deno.test("alerts take the proxy, too, and its password is shown nowhere", async () => {
  await using proxy = new FakeUpstream(reply(500, '{"error":{"message":"no hunter22hunter22 here"}}'));
  await using router = await Router.start({
    upstreams: [{ endpoint: "http://far.invalid/v1" }],
    env: {
      ALL_PROXY: `me:hunter22hunter22@127.0.0.1:${proxy.port}`,
      ALERT_WEBHOOK: "http://chat.invalid/hook",
    },
  });
  await (await router.chat()).body?.cancel();
  const alert = await eventually(
    () => proxy.requests.find(({ target }) => target === "http://chat.invalid/hook") ?? null,
    "the alert",
  );
  assert.doesNotMatch(alert.text, /hunter22/);
  assert.doesNotMatch(router.text, /hunter22/);
});

withFiles(
  "doctor goes the same way, and tells of variables that are wrong",
  { "ca.pem": OWN_AUTHORITY.authority },
  async (path) => {
    await using upstream = secureUpstream();
    const endpoint = `https://localhost:${upstream.port}/v1`;
    await runProgram(["add", "--no-test", "--key", "sk-test-0123456789", "--endpoint", endpoint], {
      cwd: path,
    });
    const table: readonly (readonly [env: Record<string, string>, expected: RegExp])[] = [
      [{}, /^fail +upstream .*certificate/m],
      [{ OAR_CA_FILE: `${path}/none.pem` }, /^fail +settings .*--ca-file/m],
      [{ SSL_CERT_FILE: `${path}/none.pem` }, /^warn +settings .*SSL_CERT_FILE/m],
      [{ OAR_KEEPDAYS: "3" }, /^warn +settings .*OAR_KEEPDAYS .did you mean OAR_KEEP_DAYS/m],
      [{ HTTP_PROXY: "ftp://x" }, /^fail +settings .*HTTP_PROXY is not the URL of a proxy/m],
    ];
    const ask = async (env: Record<string, string>) =>
      (await runProgram(["doctor"], { cwd: path, env })).stdout;
    for (const [env, expected] of table) assert.match(await ask(env), expected);
    assert.deepEqual(upstream.texts, []);
    assert.doesNotMatch(await ask({ OAR_CA_FILE: `${path}/ca.pem` }), /^fail +upstream .*certificate/m);
    assert.notDeepEqual(upstream.texts, []);
  },
);
