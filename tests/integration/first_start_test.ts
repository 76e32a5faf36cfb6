/**
 * The first hour: what a start prints, where a browser is led, and how the first upstream gets in.
 */
import assert from "node:assert/strict";
import { callApi } from "../support/admin.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import { hasPython, OnTerminal } from "../support/terminal.ts";
import { FakeUpstream, hang, refusingEndpoint, reply } from "../support/upstream.ts";

const KEY = "sk-0123456789abcdefHIDEMEwxyz";
const MODELS = JSON.stringify({ object: "list", data: [{ id: "a" }, { id: "b" }] });
const BROWSER = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const python = await hasPython();

async function inFolder(use: (cwd: string) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir();
  try {
    await use(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("a start says version, process, database and page, and without a terminal no login code", async () => {
  await using router = await Router.start({ upstreams: [] });
  const folder = await Deno.realPath(router.directory);
  const first = /^openai-api-route (\S+), pid (\d+), database (.*)$/m.exec(router.text);
  assert.match(first?.[1] ?? "", /^\d+\.\d+\.\d+$/);
  assert.deepEqual(first?.slice(2), [String(router.pid), `${folder}/db.sqlite`]);
  assert.ok(router.text.includes(`\nadmin page on http://127.0.0.1:${router.port}/admin (its token:`));
  assert.doesNotMatch(router.text, /code=|every interface/);
});

for (const addr of [":0", "0.0.0.0:0", "[::]:0"]) {
  Deno.test(`at ${addr}, the link has a name that works here, and one line says how to stay local`, async () => {
    await using router = await Router.start({ upstreams: [], args: ["--addr", addr] });
    await eventually(() => router.text.includes("every interface") ? true : null, "the last line");
    const page = /^admin page on (\S+) /m.exec(router.text)?.[1] ?? "";
    const answer = await fetch(`${page}/login`);
    assert.deepEqual([answer.status, (await answer.text()).includes("<form")], [200, true], page);
    assert.match(router.text, /^every interface is listened on: .*: --addr 127\.0\.0\.1:\d+$/m);
  });
}

Deno.test("a browser at / is led to the page, programs are told what is where", async (t) => {
  await using router = await Router.start({ upstreams: [] });
  const at = (path: string, headers = {}, method = "GET") =>
    fetch(`http://127.0.0.1:${router.port}${path}`, { method, headers, redirect: "manual" });
  await t.step("a browser", async () => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await at("/", BROWSER, method);
      await answer.body?.cancel();
      assert.deepEqual([answer.status, answer.headers.get("location")], [303, "./admin"]);
    }
    const page = await fetch(`http://127.0.0.1:${router.port}/`, { headers: BROWSER });
    assert.equal(new URL(page.url).pathname, "/admin/login");
    await page.body?.cancel();
  });
  await t.step("programs", async () => {
    const expected: readonly (readonly [path: string, text: RegExp])[] = [
      ["/", /base URL ends in \/v1/],
      ["/metrics", /\/v1\/metrics/],
      ["/metrics/", /\/v1\/metrics/],
      ["/health", /\/healthz .*\/readyz/],
      ["/Health", /\/healthz .*\/readyz/],
      ["/health/ready", /\/healthz .*\/readyz/],
      ["/livez", /\/healthz .*\/readyz/],
      ["/ping", /\/healthz .*\/readyz/],
      ["/constructor", /base URL ends in \/v1/],
      ["/chat/completions", /base URL ends in \/v1/],
    ];
    for (const [path, text] of expected) {
      for (const headers of path === "/" ? [{}] : [{}, BROWSER]) {
        const answer = await at(path, headers);
        const { error } = await answer.json();
        assert.equal(answer.status, 404, path);
        assert.match(error.message, text, path);
      }
    }
  });
});

Deno.test("without the page, nothing leads to it", async () => {
  await using router = await Router.start({ upstreams: [], args: ["--no-admin"] });
  const answer = await fetch(`http://127.0.0.1:${router.port}/`, { headers: BROWSER, redirect: "manual" });
  assert.equal(answer.status, 404);
  assert.doesNotMatch(await answer.text() + router.text, /admin/);
});

Deno.test("--from-env makes the first upstream out of the environment, once", async () => {
  await using upstream = new FakeUpstream(reply(200, MODELS));
  const env = { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${upstream.endpoint}/chat/completions` };
  await using router = await Router.start({ args: ["--from-env"], env });
  const rows = () => router.query("SELECT id, sk, endpoint, name FROM openai_upstreams");
  const host = new URL(upstream.endpoint).host;
  const expected = [{ id: 1, sk: KEY, endpoint: upstream.endpoint, name: host }];
  assert.deepEqual(rows().map((row) => ({ ...row })), expected);
  assert.match(router.text, /^added upstream 1 .* \(key sk-…wxyz\) from OPENAI_API_KEY$/m);
  assert.doesNotMatch(router.text, /HIDEME/);
  assert.equal((await (await router.fetch("/models")).json()).data.length, 2);
  router.signal("SIGTERM");
  await router.exited();
  const other = { directory: router.directory, env: { OAR_FROM_ENV: "yes", OPENAI_API_KEY: `${KEY}2` } };
  await using again = await Router.start(other);
  assert.doesNotMatch(again.text, /added upstream/);
  assert.equal(rows().length, 1);
});

Deno.test("without --from-env, the environment makes no upstream", async () => {
  await using router = await Router.start({ env: { OPENAI_API_KEY: KEY } });
  assert.deepEqual(router.query("SELECT id FROM openai_upstreams"), []);
});

Deno.test("--from-env refuses what is no key and no URL, before there is a database", async () => {
  const cases: readonly (readonly [env: Record<string, string>, text: RegExp])[] = [
    [{ OPENAI_API_KEY: "" }, /--from-env: OPENAI_API_KEY is not set/],
    [{ OPENAI_API_KEY: `"${KEY}"` }, /OPENAI_API_KEY must be one word .*quotation marks/],
    [{ OPENAI_API_KEY: `two ${KEY}` }, /OPENAI_API_KEY must be one word/],
    [
      { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: "HIDEME.example/v1" },
      /OPENAI_BASE_URL is not an http\(s\) URL/,
    ],
    [
      { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `https://u:${KEY}@x.example` },
      /OPENAI_BASE_URL carries a user/,
    ],
  ];
  for (const [env, text] of cases) {
    await inFolder(async (cwd) => {
      const args = ["serve", "--addr", "127.0.0.1:0", "--from-env"];
      const { code, stdout, stderr } = await runProgram(args, { cwd, env });
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, text);
      assert.doesNotMatch(stderr, /HIDEME/);
      assert.deepEqual([...Deno.readDirSync(cwd)], []);
    });
  }
});

Deno.test("add says what the doctor would, and adds the upstream whatever it finds", async () => {
  await using good = new FakeUpstream(reply(200, MODELS));
  await using wrongKey = new FakeUpstream(reply(401, `{"error":{"message":"bad ${KEY}"}}`));
  await using wrongPath = new FakeUpstream(reply(404, "{}"));
  await using silent = new FakeUpstream(hang);
  await using endless = new FakeUpstream(async (request, wire) => {
    await wire.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{");
    await hang(request);
  });
  const cases: readonly (readonly [endpoint: string, text: RegExp])[] = [
    [`${good.endpoint}/chat/completions/`, /^ok {4}upstream {2}\S+ answered 200 in \d+ ms, with 2 models$/m],
    [wrongKey.endpoint, /^fail {2}upstream {2}\S+ answered 401 .*refuses the key: .*edit 2 --key KEY/m],
    [wrongPath.endpoint, /^warn {2}upstream {2}\S+ answered 404 .*no such path: .*edit 3 --endpoint URL/m],
    [silent.endpoint, /^fail {2}upstream {2}\S+ did not answer within 2 s/m],
    [endless.endpoint, /^warn {2}upstream {2}\S+ answered 200 .* not with a list of models/m],
    [refusingEndpoint(), /^fail {2}upstream {2}\S+ cannot be reached: .*check its host and port/m],
  ];
  await inFolder(async (cwd) => {
    for (const [endpoint, text] of cases) {
      const { code, stdout, stderr } = await runProgram(["add", "--key", KEY, "--endpoint", endpoint], {
        cwd,
      });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^added upstream \d+ "[^"]+" http:\S+\/v1 \(key sk-…wxyz\)\n$/);
      assert.match(stderr, text);
      assert.doesNotMatch(stdout + stderr, /HIDEME/);
    }
    assert.deepEqual(good.requests.map(({ target }) => target), ["/v1/models"]);
    const { stdout } = await runProgram(["list", "--json"], { cwd });
    const states = (JSON.parse(stdout) as { condition: string }[]).map(({ condition }) => condition);
    assert.deepEqual(states, ["ok", ...cases.slice(1).map(() => "untested")]);
    await runProgram(["add", "--key", `${KEY}2`, "--endpoint", good.endpoint, "--no-test"], { cwd });
    // Scripts for the Go program ask nobody.
    for (const [n, spelling] of [["add", "--sk"], ["-add", "-sk"]].entries()) {
      const args = [...spelling, `${KEY}-go-${n}`, "--endpoint", good.endpoint];
      assert.equal((await runProgram(args, { cwd })).code, 0);
    }
    assert.equal(good.requests.length, 1);
    const env = { HTTPS_PROXY: "no proxy" };
    const untested = await runProgram(["add", "--key", `${KEY}3`], { cwd, env });
    assert.deepEqual([untested.code, /it was not tested: HTTPS_PROXY/.test(untested.stderr)], [0, true]);
  });
});

Deno.test("the API calls the key `key`, and takes the Go program's `sk` for it", async () => {
  await using router = await Router.start();
  const send = async (path: string, method: string, body: unknown) => {
    const answer = await callApi(router, path, { method, body: JSON.stringify(body) });
    return [answer.status, await answer.json()] as const;
  };
  const [added, view] = await send("/upstreams", "POST", {
    sk: KEY,
    endpoint: "https://a.example/v1/messages",
  });
  assert.deepEqual([added, view.key, view.endpoint, view.name], [
    201,
    "sk-…wxyz",
    "https://a.example/v1",
    "a.example",
  ]);
  const [edited, changed] = await send(`/upstreams/${view.id}`, "PATCH", { sk: "sk-9876543210abcdef" });
  assert.deepEqual([edited, changed.key], [200, "sk-…cdef"]);
  const [both, refusal] = await send(`/upstreams/${view.id}`, "PATCH", { sk: KEY, key: KEY });
  assert.deepEqual([both, /unknown: sk/.test(refusal.error.message)], [400, true]);
});

Deno.test({
  name: "on a terminal, --key - asks for the key and does not show it",
  ignore: !python,
  fn: () =>
    inFolder(async (cwd) => {
      const answers = [["--key (not shown): ", `wrong\x15${KEY}x\x7f\r`]] as const;
      await using adding = new OnTerminal(["add", "--key", "-", "--no-test"], { cwd, answers });
      assert.equal(await adding.exited(), 0, adding.text);
      assert.match(adding.text, /^added upstream 1 .*\(key sk-…wxyz\)/m);
      assert.doesNotMatch(adding.text, /HIDEME|wrong/);
      await using leaving = new OnTerminal(["edit", "1", "--sk", "-"], {
        cwd,
        answers: [["--key (not shown): ", `${KEY}\x03`]],
      });
      assert.equal(await leaving.exited(), 1);
      assert.match(leaving.text, /cancelled/);
      assert.doesNotMatch(leaving.text, /HIDEME/);
    }),
});

Deno.test({
  name: "on a terminal, the printed link logs in once, by a form of the page and never by being opened",
  ignore: !python,
  fn: () =>
    inFolder(async (cwd) => {
      await using server = new OnTerminal(["serve", "--addr", "127.0.0.1:0"], { cwd });
      const [, page = "", code = ""] = await server.shows(/admin page on (\S+)#code=([\w-]+) /);
      assert.match(page, /^http:\/\/127\.0\.0\.1:\d+\/admin\/login$/);
      assert.ok(code.length * 6 >= 128, code);
      for (const url of [page, `${page}?code=${code}`, `${page}?token=${code}`]) {
        const opened = await fetch(url, { headers: BROWSER });
        assert.equal(opened.headers.get("set-cookie"), null, url);
        assert.match(await opened.text(), /<input type="hidden" name="code" value=""/);
      }
      const post = async (fields: Record<string, string>, headers: Record<string, string>) => {
        const body = new URLSearchParams(fields);
        const answer = await fetch(page, { method: "POST", redirect: "manual", headers, body });
        return [answer.status, answer.headers.get("set-cookie") !== null, await answer.text()] as const;
      };
      const own = { "sec-fetch-site": "same-origin" };
      assert.deepEqual((await post({ code }, { "sec-fetch-site": "cross-site" })).slice(0, 2), [403, false]);
      assert.deepEqual((await post({ code: `${code}x` }, own)).slice(0, 2), [403, false]);
      assert.deepEqual((await post({ token: code }, own)).slice(0, 2), [403, false]);
      assert.deepEqual((await post({ code }, own)).slice(0, 2), [303, true]);
      const [status, isLoggedIn, text] = await post({ code }, own);
      assert.deepEqual([status, isLoggedIn], [403, false]);
      assert.match(text, /This link has been used or is too old/);
    }),
});

Deno.test({
  name: "on a terminal, neither JSON logs nor a server without the page print a code",
  ignore: !python,
  fn: () =>
    inFolder(async (cwd) => {
      for (const flags of [["--log-format", "json"], ["--no-admin"]]) {
        await using server = new OnTerminal(["serve", "--addr", "127.0.0.1:0", ...flags], { cwd });
        await server.shows(/no upstream yet/);
        assert.doesNotMatch(server.text, /code=/);
      }
    }),
});
