/**
 * The commands over a real database file, with the terminal replaced.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runProgram } from "../../../src/cli/program.ts";
import { targetOf } from "../../../src/core/upstream_target.ts";
import type { Prompts } from "../../../src/cli/prompts.ts";
import type { Environment } from "../../../src/config/environment.ts";

const KEY = "sk-0123456789abcdefHIDEMEwxyz";
const OTHER_KEY = "sk-fedcba9876543210HIDEMEqrst";

interface Result {
  readonly exitCode: number;
  /** Standard output. */
  readonly out: string;
  /** Standard error. */
  readonly err: string;
}

interface RunOptions {
  readonly input?: string;
  readonly env?: Environment;
  readonly columns?: number;
  /** A new upstream is asked for its models. */
  readonly isTested?: boolean;
  /** Of somebody at a terminal, who is asked; in order. */
  readonly answers?: readonly string[];
}

interface Bench {
  readonly path: string;
  readonly directory: string;
  run(args: readonly string[], options?: RunOptions): Promise<Result>;
  /** Runs it and demands success. Returns standard output. */
  do(args: readonly string[], options?: RunOptions): Promise<string>;
  sql(statement: string): void;
}

/** Questions are noted in `asked`. */
function answering(answers: readonly string[], asked: string[]): Prompts {
  const rest = [...answers];
  const ask = (question: string): Promise<string | null> => {
    asked.push(question);
    return Promise.resolve(rest.shift() ?? null);
  };
  return { ask, askSecret: ask };
}

/** A test with a database path that does not exist yet; no run may print a key or a stack. */
function test(name: string, body: (bench: Bench) => Promise<void>): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/db.sqlite`;
    const run = async (args: readonly string[], options: RunOptions = {}): Promise<Result> => {
      const out: string[] = [];
      const err: string[] = [];
      // The endpoints here are invented.
      const isAdd = !options.isTested && /^(?:add|--?add)$/.test(args[0] ?? "");
      const exitCode = await runProgram(isAdd ? [...args.slice(0, 1), "--no-test", ...args.slice(1)] : args, {
        terminal: {
          print: (line) => void out.push(line),
          note: (line) => void err.push(line),
          readInput: () => Promise.resolve(options.input ?? ""),
          columns: options.columns ?? null,
          isReaderGone: false,
          ...(options.answers === undefined ? {} : { prompts: answering(options.answers, err) }),
        },
        env: { OAR_DATABASE: path, NO_COLOR: "1", ...options.env },
      });
      const result = { exitCode, out: out.join("\n"), err: err.join("\n") };
      assert.doesNotMatch(result.out + result.err, /HIDEME|\n\s+at /);
      // Who is asked has read more before.
      const failure = options.answers === undefined ? result.err : result.err.split("\n").at(-1) ?? "";
      if (exitCode !== 0) assert.match(failure, /^openai-api-route: [^\n]+$/);
      return result;
    };
    const succeed = async (args: readonly string[], options: RunOptions = {}): Promise<string> => {
      const result = await run(args, options);
      assert.equal(result.exitCode, 0, result.err);
      return result.out;
    };
    const sql = (statement: string): void => {
      const db = new DatabaseSync(path);
      try {
        db.exec(statement);
      } finally {
        db.close();
      }
    };
    try {
      await body({ path, directory, run, do: succeed, sql });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

async function listJson({ do: succeed }: Bench): Promise<Record<string, unknown>[]> {
  return JSON.parse(await succeed(["list", "--json"]));
}

test("the first command makes the database and shows its token once", async ({ run }) => {
  const first = await run(["-add", "-sk", KEY]);
  assert.equal(first.exitCode, 0);
  assert.equal(first.out, 'added upstream 1 "api.openai.com" https://api.openai.com/v1 (key sk-…wxyz)');
  assert.match(
    first.err,
    /^created database \/\S+db\.sqlite\nclients must send this token, .*`token show`.*: sk-oar-\S+$/,
  );
  const second = await run(["list"]);
  assert.equal(second.err, "");
  const token = first.err.split(" ").at(-1);
  assert.equal((await run(["token", "show", "default"])).out, token);
});

/** Of an upstream without any, as in `list --json`. */
const NO_OPTIONS = {
  keyPolicy: "round_robin",
  maxParallel: null,
  rpm: null,
  tpm: null,
  setHeaders: {},
  bodyPatch: null,
  onlyPaths: [],
  maxBody: null,
  streamTimeout: null,
  priceFactor: 1,
  errorText: [],
  proxy: null,
  usage: null,
};

test("list shows people a table and programs JSON, keys masked in both", async (bench) => {
  await bench.do([
    "add",
    "--sk",
    KEY,
    "--endpoint",
    "http://a.example/v1",
    "--name",
    "first",
    "--timeout",
    "7",
  ]);
  await bench.do(["add", "--sk", "asis", "--auth-style", "x-api-key", "--endpoint", "http://b.example"]);
  await bench.do(["disable", "first"]);
  assert.deepEqual((await bench.do(["-list"])).split("\n"), [
    "PLACE  ID  NAME       STATE     KEY       TIMEOUT  ENDPOINT",
    "1      1   first      disabled  sk-…wxyz  7 s      http://a.example/v1",
    "2      2   b.example  untested  asis      -        http://b.example/",
  ]);
  assert.deepEqual(await listJson(bench), [
    {
      id: 1,
      name: "first",
      endpoint: "http://a.example/v1",
      key: "sk-…wxyz",
      keys: [{ n: 1, key: "sk-…wxyz", state: "ok", until: null, reason: null }],
      enabled: false,
      timeout: 7,
      place: 1,
      authStyle: null,
      allow: [],
      deny: [],
      modelMap: {},
      weight: 1,
      ...NO_OPTIONS,
      condition: "disabled",
      state: "disabled",
      degraded: false,
      attempts: null,
      failed: null,
      until: null,
      reason: null,
      problem: null,
      modelCount: null,
    },
    {
      id: 2,
      name: "b.example",
      endpoint: "http://b.example/",
      key: "asis",
      keys: [{ n: 1, key: "asis", state: "ok", until: null, reason: null }],
      enabled: true,
      timeout: null,
      place: 2,
      authStyle: "x-api-key",
      allow: [],
      deny: [],
      modelMap: {},
      weight: 1,
      ...NO_OPTIONS,
      condition: "untested",
      state: "enabled",
      degraded: false,
      attempts: null,
      failed: null,
      until: null,
      reason: null,
      problem: null,
      modelCount: null,
    },
  ]);
  const narrow = await bench.do(["list"], { columns: 66 });
  assert.ok(narrow.split("\n").every((line) => line.length <= 66), narrow);
});

test("add and edit take every option, list shows them in short, and secrets masked", async (bench) => {
  await Deno.writeTextFile(`${bench.directory}/patch.json`, '{"store":false,"a":{"b":null}}');
  await bench.do([
    ...["add", "--sk", KEY, "--name", "a", "--max-parallel", "4", "--rpm", "60", "--tpm", "9000"],
    ...["--key-policy", "fill", "--set-header", "Helicone-Auth: Bearer sk-helicone-0123456789"],
    ...[
      "--set-header",
      "X-Team: a",
      "--unset-header",
      "User-Agent",
      "--only-paths",
      "/v1/chat/*, /v1/models",
    ],
    ...["--body-patch", `@${bench.directory}/patch.json`, "--max-body", "10MB", "--stream-timeout", "20"],
    ...["--error-text", "quota exceeded", "--error-text", "*no credit*"],
    ...["--proxy", "http://me:hunter2hunter2@127.0.0.1:3128"],
  ]);
  const [first] = await listJson(bench);
  const { keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths } = first ?? {};
  assert.deepEqual({ keyPolicy, maxParallel, rpm, tpm, setHeaders, bodyPatch, onlyPaths }, {
    keyPolicy: "fill",
    maxParallel: 4,
    rpm: 60,
    tpm: 9000,
    setHeaders: { "helicone-auth": "Bea…6789", "x-team": "a", "user-agent": null },
    bodyPatch: { store: false, a: { b: null } },
    onlyPaths: ["/v1/chat/*", "/v1/models"],
  });
  const { maxBody, streamTimeout, errorText, proxy } = first ?? {};
  assert.deepEqual([maxBody, streamTimeout, errorText, proxy], [
    10_000_000,
    20,
    ["quota exceeded", "*no credit*"],
    "http://…@127.0.0.1:3128",
  ]);
  assert.match(
    await bench.do(["list"]),
    /keys: fill, max 4 parallel, 60\/min, 9000 tokens\/min, changes requests, only /,
  );
  await bench.do([
    "edit",
    "a",
    "--max-parallel",
    "auto",
    "--rpm",
    "none",
    "--tpm",
    "",
    "--key-policy",
    "none",
  ]);
  await bench.do([
    "edit",
    "a",
    "--set-header",
    "",
    "--body-patch",
    "none",
    "--only-paths",
    "",
    "--max-body",
    "",
  ]);
  await bench.do(["edit", "a", "--stream-timeout", "none", "--error-text", "", "--proxy", "none"]);
  const [cleared] = await listJson(bench);
  for (const [name, value] of Object.entries(NO_OPTIONS)) {
    assert.deepEqual(cleared?.[name], name === "maxParallel" ? "auto" : value, name);
  }
});

test("add and edit take models, aliases and a weight, and list shows them when there are some", async (bench) => {
  const rules = ["--allow", "gpt-4*, o3", "--deny", "gpt-4-32k", "--model-map", "gpt-4o=mine,o3 = m/o3:x"];
  await bench.do(["add", "--sk", KEY, "--name", "a", ...rules, "--weight", "2.5"]);
  await bench.do(["add", "--sk", OTHER_KEY, "--name", "b"]);
  const [titles, a, b] = (await bench.do(["list"])).split("\n").map((line) => line.split(/ {2,}/).slice(6));
  assert.deepEqual(titles, ["ENDPOINT", "ALLOW", "DENY", "MODEL MAP", "WEIGHT"]);
  assert.deepEqual(a?.slice(1), ["gpt-4*,o3", "gpt-4-32k", "gpt-4o=mine,o3=m/o3:x", "2.5"]);
  assert.deepEqual(b?.slice(1), ["-", "-", "-", "1"]);
  const [first] = await listJson(bench);
  assert.deepEqual([first?.["allow"], first?.["deny"], first?.["modelMap"], first?.["weight"]], [
    ["gpt-4*", "o3"],
    ["gpt-4-32k"],
    { "gpt-4o": "mine", o3: "m/o3:x" },
    2.5,
  ]);
  await bench.do(["edit", "a", "--model-map", '{"a=b":"c,d"}', "--allow", "", "--weight", "1"]);
  const [second] = await listJson(bench);
  assert.deepEqual([second?.["allow"], second?.["deny"], second?.["modelMap"], second?.["weight"]], [
    [],
    ["gpt-4-32k"],
    { "a=b": "c,d" },
    1,
  ]);
  await bench.do(["edit", "a", "--model-map=", "--deny", " "]);
  assert.doesNotMatch(await bench.do(["list"]), /ALLOW|DENY|MODEL|WEIGHT/);
});

test("list shows what a running server thinks of an upstream, and not what a dead one thought", async (bench) => {
  for (const name of ["a", "b", "c", "d", "e", "f"]) {
    await bench.do(["add", "--sk", `${name}-${KEY}`, "--name", name]);
  }
  await bench.do(["disable", "d"]);
  const soon = new Date(Date.now() + 3_600_000);
  const time = (ms: number) => `${new Date(ms).toISOString().replace("T", " ").slice(0, 23)}000+00:00`;
  bench.sql(`insert into instances(id, heartbeat_at) values ('alive', '${time(Date.now())}'),
      ('dead', '${time(Date.now() - 60_000)}');
    insert into upstream_checks(upstream_id, checked_at, target) values (3, '${time(0)}', '${
    targetOf({ endpoint: "https://api.openai.com/v1", sk: `c-${KEY}` })
  }'), (5, '${time(0)}', 'of another key'),
      (6, '${time(0)}', '${targetOf({ endpoint: "https://api.openai.com/v1", sk: `f-${KEY}` })}');
    insert into upstream_states(upstream_id, instance, state, attempts, failed, changed_at) values
      (6, 'alive', 'closed', 120, 44, '${time(Date.now())}');
    insert into upstream_states(upstream_id, instance, state, until, reason, changed_at) values
      (1, 'alive', 'open', '${time(soon.getTime())}', 'HTTP 503', '${time(Date.now())}'),
      (2, 'alive', 'half_open', null, 'timeout', '${time(Date.now())}'),
      (3, 'dead', 'open', '${time(soon.getTime())}', 'HTTP 500', '${time(Date.now())}'),
      (4, 'alive', 'open', '${time(soon.getTime())}', 'HTTP 500', '${time(Date.now())}')`);
  const clock = [soon.getHours(), soon.getMinutes(), soon.getSeconds()].map((n) => String(n).padStart(2, "0"))
    .join(":");
  const lines = (await bench.do(["list"])).split("\n");
  assert.ok(lines[1]?.includes(` failing (next try ${clock}): HTTP 503 `), lines[1]);
  assert.ok(lines[2]?.includes(" trying: timeout "), lines[2]);
  assert.ok(lines[3]?.includes(" ok "), lines[3]);
  assert.ok(lines[4]?.includes(" disabled "), lines[4]);
  assert.ok(lines[5]?.includes(" untested "), lines[5]);
  assert.ok(lines[6]?.includes(" ok, 37 % failed "), lines[6]);
  assert.deepEqual(
    (await listJson(bench)).map(({ condition, until, reason }) => [condition, until, reason]),
    [
      ["failing", soon.toISOString(), "HTTP 503"],
      ["trying", null, "timeout"],
      ["ok", null, null],
      ["disabled", null, null],
      ["untested", null, null],
      ["ok", null, null],
    ],
  );
  assert.deepEqual(
    (await listJson(bench)).map(({ state, degraded, attempts, failed }) => [
      ...[state, degraded, attempts, failed],
    ]),
    [
      ["open", false, null, null],
      ["half_open", false, null, null],
      ["enabled", false, null, null],
      ["disabled", false, null, null],
      ["enabled", false, null, null],
      ["enabled", true, 120, 44],
    ],
  );
  bench.sql(`update upstream_states set until = '${time(Date.now() - 1_000)}'`);
  assert.match(await bench.do(["list"]), / failing \(next try now\): HTTP 503 /);
});

test("an empty list says how to add the first upstream", async ({ run, do: succeed }) => {
  await succeed(["token", "set", "woodpecker-number-one"]);
  const { exitCode, out, err } = await run(["list"]);
  assert.deepEqual([exitCode, out], [0, ""]);
  assert.match(err, /openai-api-route add --key KEY --endpoint URL$/);
  assert.equal((await run(["list", "--json"])).out, "[]");
});

test("list shows rows that were typed wrong by hand, why they are skipped, and none of their secrets", async (bench) => {
  await bench.do(["add", "--sk", KEY]);
  bench.sql(`insert into openai_upstreams(sk, endpoint, name) values
    ('${OTHER_KEY}', 'https://me:HIDEME@c.example/v1', 'evil' || char(27) || '[2J'),
    ('', 'https://d.example/v1?api_key=aHIDEMEb&v=2', null),
    ('${OTHER_KEY}', 'HIDEME-not-a-url', null)`);
  const out = await bench.do(["list"]);
  assert.match(out, /evil \[2J +skipped .* https:\/\/…@c\.example\/v1\n/);
  assert.match(out, /https:\/\/d\.example\/v1\?api_key=…&v=2\n/);
  assert.match(out, /upstream 2 is skipped: endpoint carries a user name or password; .*edit 2\)/);
  assert.match(out, /upstream 3 is skipped: sk is empty/);
  assert.match(out, /upstream 4 is skipped: endpoint is not an http\(s\) URL/);
  await bench.do(["edit", "2", "--endpoint", "https://c.example/v1"]);
  assert.doesNotMatch(await bench.do(["list"]), /upstream 2 is skipped/);
});

test("list names upstreams as the server does when they share a host", async (bench) => {
  await bench.do(["add", "--sk", KEY]);
  await bench.do(["add", "--sk", OTHER_KEY]);
  assert.deepEqual((await listJson(bench)).map(({ name }) => name), ["api.openai.com", "api.openai.com#2"]);
  await bench.do(["remove", "api.openai.com#2"]);
  assert.deepEqual((await listJson(bench)).map(({ id }) => id), [1]);
});

test("edit, enable, disable, move and remove take an id or a name", async (bench) => {
  for (const name of ["a", "b", "c"]) {
    await bench.do(["add", "--sk", KEY, "--endpoint", `https://${name}.example/v1`, "--name", name]);
  }
  assert.match(await bench.do(["move", "c", "1"]), /^moved upstream 3 "c" .* to place 1$/);
  assert.match(await bench.do(["move", "3", "99"]), / to place 3$/);
  assert.match(
    await bench.do(["edit", "2", "--sk", OTHER_KEY, "--name", "bee", "--timeout", "9"]),
    /"bee".*…qrst/,
  );
  assert.match(await bench.do(["disable", "bee"]), /^disabled upstream 2 "bee"/);
  assert.match(await bench.do(["enable", "2"]), /^enabled upstream 2 "bee"/);
  assert.match(await bench.do(["edit", "bee", "--name", "", "--timeout", "none"]), /"b\.example"/);
  assert.match(await bench.do(["remove", "a"]), /^removed upstream 1 "a"/);
  const rows = await listJson(bench);
  assert.deepEqual(rows.map(({ id, name, timeout, place }) => [id, name, timeout, place]), [
    [2, "b.example", null, 1],
    [3, "c", null, 2],
  ]);
});

test("--key - reads the key from standard input, and --sk is another name of it", async (bench) => {
  await bench.do(["add", "--key", "-"], { input: `${KEY}\n` });
  assert.equal((await listJson(bench))[0]?.["key"], "sk-…wxyz");
  const empty = await bench.run(["edit", "1", "-sk=-"], { input: "\n" });
  assert.deepEqual([empty.exitCode, empty.err], [
    2,
    "openai-api-route: standard input holds nothing for --key",
  ]);
});

test("--key - asks for the key at a terminal", async (bench) => {
  const added = await bench.run(["add", "--key", "-"], { answers: [KEY], input: "not read" });
  assert.match(added.err, /^--key \(not shown\): $/m);
  assert.equal((await listJson(bench))[0]?.["key"], "sk-…wxyz");
  const broken = await bench.run(["edit", "1", "--sk", "-"], { answers: [] });
  assert.deepEqual([broken.exitCode, broken.err.split("\n").at(-1)], [
    2,
    "openai-api-route: standard input holds nothing for --key",
  ]);
});

test("a default name is stored, and neither another endpoint nor other upstreams change it", async (bench) => {
  const names = async () => (await listJson(bench)).map(({ name }) => name);
  const add = (key: string) => bench.do(["add", "--key", key, "--endpoint", "https://a.example/v1"]);
  await add(KEY);
  await add(OTHER_KEY);
  // A row of the Go program has no name, and keeps being named by its host.
  bench.sql("INSERT INTO openai_upstreams(sk, endpoint) VALUES('asis', 'https://a.example/go')");
  assert.deepEqual(await names(), ["a.example", "a.example#2", "a.example#3"]);
  await bench.do(["edit", "1", "--endpoint", "https://b.example/v1"]);
  await bench.do(["edit", "2", "--endpoint", "https://c.example/v1"]);
  bench.sql("UPDATE openai_upstreams SET endpoint = 'https://d.example/go' WHERE id = 3");
  assert.deepEqual(await names(), ["a.example", "a.example#2", "d.example"]);
  await bench.do(["remove", "1"]);
  assert.deepEqual(await names(), ["a.example#2", "d.example"]);
  assert.match(await bench.do(["edit", "2", "--name", ""]), /"c\.example"/);
  await bench.do(["edit", "2", "--endpoint", "https://e.example/v1"]);
  assert.deepEqual(await names(), ["c.example", "d.example"]);
});

test("add and edit keep the base URL of an endpoint, and say so without its secrets", async (bench) => {
  const endpoint = "https://a.example/v1/chat/completions/?api-version=1&key=HIDEME0123456789";
  const added = await bench.run(["add", "--key", KEY, "--endpoint", endpoint]);
  assert.equal(added.err.split("\n").filter((line) => line.includes("base URL")).length, 1);
  assert.match(added.out, /^added upstream 1 "a\.example" https:\/\/a\.example\/v1\?api-version=1&key=/);
  assert.doesNotMatch(added.out, /completions/);
  const edited = await bench.run(["edit", "1", "--endpoint", "https://a.example/v1/"]);
  assert.match(edited.err, /^the endpoint is the base URL https:\/\/a\.example\/v1, without /);
  assert.equal((await bench.run(["edit", "1", "--endpoint", "https://a.example/v2"])).err, "");
});

const USAGE_MISTAKES: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
  [["add"], /add needs a key: add --key KEY --endpoint URL/],
  [["-add", "-endpoint", "https://x.example"], /add needs a key/],
  [["add", "--sk"], /option '--sk, --key <key>' argument missing/],
  [["add", "--sk", "two HIDEME"], /--key must be one word/],
  [["add", "--sk", KEY, "--endpoint", "HIDEME.example"], /--endpoint is not an http\(s\) URL such as https/],
  [["add", "--sk", KEY, "--endpoint", "ftp://HIDEME.example"], /--endpoint is not an http\(s\) URL/],
  [
    ["add", "--sk", KEY, "--endpoint", "https://u:HIDEME@x.example"],
    /--endpoint carries a user name or password/,
  ],
  [["add", "--sk", KEY, "--endpoint", ""], /--endpoint is empty/],
  [
    ["add", "--sk", KEY, "--timeout", "1.5"],
    /--timeout cannot be "1\.5": expected a whole number of seconds/,
  ],
  [["add", "--sk", KEY, "--timeout", "0"], /--timeout cannot be "0"/],
  [["add", "--sk", KEY, "--name", "12"], /--name must not be a number/],
  [["add", "--sk", KEY, "--name", "a\nb"], /--name must be one line/],
  [["add", "--sk", KEY, "--auth-style", "basic"], /--auth-style cannot be "basic": expected bearer/],
  [["add", "--sk", KEY, "--allow", "a,,b"], /--allow cannot be "a,,b": expected models separated by commas/],
  [["add", "--sk", KEY, "--deny", "a\tb"], /--deny cannot be "a\\tb"/],
  [
    ["edit", "1", "--model-map", "a"],
    /--model-map cannot be "a": expected from=to,from2=to2 or a JSON object/,
  ],
  [["edit", "1", "--model-map", "a=b=c"], /--model-map cannot be "a=b=c"/],
  [["edit", "1", "--model-map", '{"a":1}'], /--model-map cannot be/],
  [["edit", "1", "--model-map", "{a:b}"], /--model-map cannot be/],
  [["edit", "1", "--weight", "0"], /--weight cannot be "0": expected a number above 0/],
  [["edit", "1", "--weight", "heavy"], /--weight cannot be "heavy"/],
  [["add", KEY], /too many arguments for 'add'/],
  [["-add", "-list"], /give one of them/],
  [[KEY], /unknown command "sk-…wxyz"/],
  [["lsit"], /unknown command "lsit" \(Did you mean list\?\)/],
  [["-lits"], /unknown flag --lits/],
  [["-adr", ":1"], /unknown flag --adr \(Did you mean --addr\?\)/],
  [["list", `--key=${KEY}`], /--key does not belong here, but to: add, edit/],
  [["list", `--kex=${KEY}`], /unknown flag --kex/],
  [["-sk", KEY], /--sk does not belong here, but to: add, edit/],
  [["edit", "1"], /edit needs a change/],
  [["remove"], /missing required argument 'upstream'/],
  [["move", "1", "first"], /the place must be a number from 1 on, not "first"/],
  [["token", "set", ""], /an empty token would leave the server without any/],
  [["token", "add", "--value", "a,HIDEME"], /must not contain commas: run `token add` once for each token/],
  [["token", "add", "--value", "a HIDEME"], /must be one word of visible ASCII/],
  [["token", "add", "--value", "tök-HIDEME"], /must be one word of visible ASCII/],
  [
    ["token", "add", "--value", "15-chars-HIDEME"],
    /fewer than 16 characters.*random one \(--name .*--force$/,
  ],
  [["token", "set", "15-chars-HIDEME"], /fewer than 16 characters.*insist with --force$/],
  [["token", "set", "alice"], /fewer than 16 characters/],
  [["token", "add", "--value", "x".repeat(4_097)], /--value has more than 4096 characters/],
  [
    ["token", "add", "HIDEME-a-token-of-old", "--name", "a"],
    /the name first and the token itself by --value/,
  ],
  [["token", "add", "-", "--value", "HIDEME-a-long-token"], /the token is given twice/],
  [["token", "set", "HIDEME-a-long-token", "--value", "HIDEME-a-long-token"], /the token is given twice/],
  [["token", "set", "HIDEME-a-long-token", "--name", "a,b"], /--name must be one word/],
  [["token", "add", "--name", "a b"], /--name must be one word/],
  [["token", "add", "a b"], /--name must be one word/],
  [["token", "add", "a\x1b[2J"], /--name must be one word/],
  [["token", "add", "a\u202eb"], /--name must be one word/],
  [["token", "add", ""], /--name must be one word/],
  [["token", "add", "HIDEME".repeat(11)], /--name must be one word of at most 64 characters/],
  [["token", "nosuch"], /unknown command "token nosuch"; see: openai-api-route token --help/],
  [["-gate-ms", "soon"], /--gate-ms cannot be "soon"/],
  [["list", "--database", ""], /--database cannot be ""/],
];

test("what was typed wrong is said in one line, ends with 2, and makes no database", async ({ path, run }) => {
  for (const [args, expected] of USAGE_MISTAKES) {
    const { exitCode, err, out } = await run(args);
    assert.match(err, expected, args.join(" "));
    assert.deepEqual([exitCode, out], [2, ""], args.join(" "));
  }
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});

test("what cannot be done is said in one line and ends with 1", async ({ do: succeed, run }) => {
  await succeed(["add", "--sk", KEY, "--name", "a"]);
  const failures: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [["add", "--sk", KEY], /Upstream 1 has this key and endpoint already/],
    [["add", "--sk", OTHER_KEY, "--name", "a"], /upstream 1 is named a already/],
    [["remove", "9"], /no upstream has that id or name: see them with `openai-api-route list`/],
    [["enable", "nobody"], /no upstream has that id or name/],
    [["move", KEY, "1"], /no upstream has that id or name/],
    [
      ["list", "--database", "/nowhere/db.sqlite"],
      /no database at \/nowhere\/db\.sqlite; name one with --database/,
    ],
    [["add", "--sk", KEY, "--database", "/nowhere/db.sqlite"], /its directory does not exist/],
    [["list", "--database", "/dev/null"], /it is not a file/],
    [["token", "show", "nobody"], /no token has that name/],
    [
      ["token", "remove", KEY],
      /no token has that name, number, masked form or text: see them with `token list`/,
    ],
    [["token", "remove", "default"], /default is the only token.*the server refuses to start.*\(token set\)/],
  ];
  for (const [args, expected] of failures) {
    const { exitCode, err, out } = await run(args);
    assert.match(err, expected, args.join(" "));
    assert.deepEqual([exitCode, out], [1, ""], args.join(" "));
  }
});

test("tokens are added, shown, replaced and removed by name, masked form or text", async ({ do: succeed }) => {
  await succeed(["token", "set", "woodpecker-number-one", "--name", "one"]);
  assert.equal(
    await succeed(["token", "add", "--value", "woodpecker-number-two"]),
    "added token token-2 woo…-two",
  );
  await succeed(["token", "add", "-", "--name", "three"], { input: "woodpecker-number-three\n" });
  assert.match(await succeed(["token", "add", "--name", "four"]), /^added token four sk-oar-\S{43}$/);
  assert.equal(await succeed(["token", "show", "three"]), "woodpecker-number-three");
  assert.equal(await succeed(["token", "remove", "one"]), "removed token one");
  assert.equal(await succeed(["token", "remove", "woodpecker-number-two"]), "removed token token-2");
  assert.equal(await succeed(["token", "remove", "woo…hree"]), "removed token three");
  assert.match(await succeed(["token", "show"]), /^sk-oar-\S+$/);
  // The token is never cut; the other columns are there as far as they fit.
  assert.match(
    await succeed(["token", "show"], { columns: 80 }),
    /^NAME {2}TOKEN {47}LAST USED {2}REQUESTS\nfour {2}sk-oar-\S+ {2}never {6}0$/,
  );
  assert.match(
    await succeed(["token", "show"], { columns: 120 }),
    /REQUESTS {2}TOKENS {2}ADDED\n.+ never {6}0 {9}0 {7}\d{4}-\d\d-\d\d \d\d:\d\d$/,
  );
  assert.match(await succeed(["token", "show"], { columns: 40 }), /^NAME {2}TOKEN\nfour {2}sk-oar-\S+$/);
  await succeed(["token", "set", "woodpecker-number-five", "--yes"]);
  const [{ createdAt, ...token }] = JSON.parse(await succeed(["token", "show", "--json"]));
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 600_000, createdAt);
  assert.deepEqual(token, {
    name: "token-1",
    token: "woodpecker-number-five",
    lastUsedAt: null,
    requests: 0,
    errors: 0,
    inputTokens: 0,
    outputTokens: 0,
    cachedTokens: 0,
    countedSince: null,
  });
  assert.match(await succeed(["token", "show", "--masked"]), /^woo…five$/);
});

test("token add makes a random token of a name, or takes one", async ({ do: succeed, run }) => {
  await succeed(["token", "set", "woodpecker-number-one", "--name", "one"]);
  const secret = /^added token alice (sk-oar-\S{43})$/.exec(await succeed(["token", "add", "alice"]))?.[1];
  assert.equal(await succeed(["token", "show", "alice"]), secret);
  assert.match(await succeed(["token", "add"]), /^added token token-3 sk-oar-\S{43}$/);
  assert.match(await succeed(["token", "add", "小明"]), /^added token 小明 sk-oar-/);
  const given = { input: "woodpecker-HIDEME-two\n" };
  assert.equal(await succeed(["token", "add", "bob", "--value", "-"], given), "added token bob woo…-two");
  const typed = { answers: ["woodpecker-HIDEME-three"] };
  const asked = await run(["token", "add", "eve", "--value", "-"], typed);
  assert.deepEqual([asked.out, asked.err], ["added token eve woo…hree", "the token (not shown): "]);
  assert.equal(await succeed(["token", "add", "short", "--value", "tiny", "--force"]), "added token short …");
  assert.equal(await succeed(["token", "show", "short"]), "tiny");
  const odd = await run(["token", "add", "sk-proj-looks-like-a-key"]);
  assert.match(odd.err, /the name looks like a token, .*--value .*`token remove`/);
  assert.equal((await run(["token", "add", "prometheus-in-the-basement"])).err, "");
});

test("a token or a token's name is not accepted twice, nor one as the other", async ({ do: succeed, run }) => {
  await succeed(["token", "set", "woodpecker-number-one", "--name", "one"]);
  await succeed(["token", "set", "--admin", "the-token-of-the-page"]);
  await succeed(["token", "add", "a-name-that-is-long"]);
  const refused: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [["--value", "woodpecker-number-one"], /accepted already, as one$/],
    [["--name", "one"], /a token named one exists already: use another --name/],
    [["one"], /a token named one exists already: use another --name/],
    [["woodpecker-number-one"], /--name must not be a token itself: records and logs show names/],
    [["same-as-its-own-name", "--value", "same-as-its-own-name"], /--name must not be a token itself/],
    [["--value", "a-name-that-is-long"], /a token must not be a name/],
    [["--value", "the-token-of-the-page"], /this token opens the admin page/],
  ];
  for (const [args, expected] of refused) {
    const { exitCode, err, out } = await run(["token", "add", ...args]);
    assert.match(err, expected);
    assert.ok(exitCode > 0, err);
    assert.equal(out, "");
  }
  const forPage = await run(["token", "set", "the-token-of-the-page", "--yes"]);
  assert.match(forPage.err, /this token opens the admin page/);
  assert.equal(JSON.parse(await succeed(["token", "show", "--json"])).length, 2);
});

test("token set removes other tokens only when somebody agrees, and names them", async (bench) => {
  const { run, do: succeed } = bench;
  const names = async () =>
    JSON.parse(await succeed(["token", "show", "--json"])).map((token: { name: string }) => token.name);
  const args = ["token", "set", "woodpecker-number-two", "--name", "two"];
  await succeed(["token", "set", "woodpecker-number-one", "--name", "one"]);
  await succeed(["token", "add", "alice"]);

  const refused = await run(args);
  assert.equal(refused.exitCode, 1);
  assert.match(
    refused.err,
    /would remove one \(woo…-one\), alice \(sk-…\S{4}\), .*nothing was changed: repeat it with --yes/,
  );
  for (const answer of ["", "n", "yes please", "\u001b"]) {
    const declined = await run(args, { answers: [answer] });
    assert.equal(declined.exitCode, 1);
    assert.match(
      declined.err,
      /no longer be accepted: one \(woo…-one\), alice .*\n.*\[y\/N\] \n.*nothing was changed$/,
    );
  }
  assert.equal((await run(args, { answers: [] })).exitCode, 1);
  assert.deepEqual(await names(), ["one", "alice"]);

  assert.equal((await run(args, { answers: [" Yes "] })).exitCode, 0);
  assert.deepEqual(await names(), ["two"]);
  const forced = await run(["token", "set", "tiny", "--force"]);
  assert.deepEqual([forced.exitCode, forced.err], [0, "no longer accepted: two (woo…-two)"]);
  assert.equal((await run(["token", "set", "woodpecker-number-one", "-y"])).exitCode, 0);
  // The same token again removes nobody, whatever its name.
  const again = await run(["token", "set", "woodpecker-number-one", "--name", "again"]);
  assert.deepEqual([again.exitCode, again.err], [0, ""]);
});

test("the published token of the Go program is replaced without a question", async ({ run, do: succeed, sql }) => {
  await succeed(["token", "set", "woodpecker-number-one"]);
  sql("UPDATE config_kvs SET value = 'woshimima' WHERE key = 'authorization'");
  const replaced = await run(["token", "set", "woodpecker-number-two"]);
  assert.equal(replaced.exitCode, 0, replaced.err);
  assert.match(replaced.err, /^no longer accepted: /);
  assert.equal(await succeed(["token", "show"]), "woodpecker-number-two");
});

test("token set on a new database shows no other token", async ({ run }) => {
  const { err, out } = await run(["token", "set", "woodpecker-number-one"]);
  assert.match(err, /^created database \/\S+$/);
  assert.equal(out, "set token token-1 woo…-one");
});

test("help explains the program with examples, every flag, its default and its variable", async ({ do: succeed }) => {
  const help = await succeed(["--help"]);
  assert.equal(await succeed(["-help"]), help);
  assert.equal(await succeed(["help"]), help);
  for (
    const text of [
      "openai-api-route add --key",
      "token show",
      "--gate-ms <ms>",
      "OAR_GATE_MS",
      "default :8888",
    ]
  ) {
    assert.ok(help.includes(text), text);
  }
  assert.ok(help.includes("MATRIX_HOMESERVER") && help.includes("Listening:"));
  assert.ok(help.split("\n").every((line) => line.length <= 100));
  assert.match(await succeed(["help", "add"]), /--sk, --key <key>/);
  assert.match(await succeed(["-add", "--help"]), /--sk, --key <key>/);
});

test("help wraps to the screen, however narrow", async ({ do: succeed }) => {
  const commands = [["--help"], ["serve", "--help"], ["token", "--help"], ["records", "list", "--help"], [
    "add",
    "-h",
  ]];
  for (const columns of [48, 60, 80, 200]) {
    for (const args of commands) {
      const lines = (await succeed(args, { columns })).split("\n");
      // A term, a usage line and an example of what to type stay whole.
      const prose = lines.filter((line) => !/^(?:Usage:| {2}\S+(?: \S+)*$| {2}openai-api-route )/.test(line));
      const wide = prose.filter((line) => line.length > Math.min(columns, 100));
      assert.deepEqual(wide, [], `${args.join(" ")} at ${columns}`);
    }
  }
});

test("a group of commands alone prints its help, and so does help with its name", async ({ do: succeed, run }) => {
  for (const group of ["token", "records"]) {
    const help = await succeed([group, "--help"]);
    assert.match(help, new RegExp(`^Usage: openai-api-route ${group} `));
    for (const args of [[group], ["help", group], [group, "help"]]) {
      assert.equal(await succeed(args), help, args.join(" "));
    }
  }
  for (const args of [["help", "token", "add"], ["token", "help", "add"], ["token", "add", "--help"]]) {
    assert.match(await succeed(args), /^Usage: openai-api-route token add /);
  }
  assert.equal(await succeed(["help", "help"]), await succeed(["--help"]));
  const unknown = await run(["help", "lsit"]);
  assert.deepEqual([unknown.exitCode, unknown.out], [2, await succeed(["--help"])]);
  assert.equal(unknown.err, 'openai-api-route: unknown command "lsit"; see: openai-api-route --help');
  const inGroup = await run(["help", "token", "ls"]);
  assert.deepEqual([inGroup.exitCode, inGroup.out], [2, await succeed(["token", "--help"])]);
  assert.match(inGroup.err, /unknown command "token ls" \(Did you mean token show\?\)$/);
});

const SUGGESTIONS: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
  [["ls"], /"ls" \(Did you mean list\?\)/],
  [["LS"], /\(Did you mean list\?\)/],
  [["rm", "3"], /\(Did you mean remove\?\)/],
  [["logs"], /\(Did you mean records list, or records tail -f\?\)/],
  [["logs", "--follow"], /\(Did you mean records list, or records tail -f\?\)/],
  [["models"], /\(Did you mean list, or doctor, /],
  [["show"], /\(Did you mean token show or records show\?\)/],
  [["tail"], /\(Did you mean records tail\?\)/],
  [["token", "change", "alice"], /\(Did you mean token edit\?\)/],
  [["token", "rm", "alice"], /\(Did you mean token remove\?\)/],
  [["token", "delet"], /"token delet"/],
  [["records", "5"], /\(Did you mean records show ID\?\)/],
  [["--port", "8080"], /unknown flag --port \(Did you mean --addr HOST:PORT\?\)/],
  [["-p", "8080"], /unknown flag -p \(Did you mean --addr HOST:PORT\?\)/],
  [["serve", "-port=8080"], /unknown flag --port \(Did you mean --addr HOST:PORT\?\)/],
  [["add", "--url", "https://HIDEME.example"], /unknown flag --url \(Did you mean --endpoint\?\)/],
  [["list", "--url", "https://HIDEME.example"], /--url \(Did you mean --endpoint, of add, edit\?\)/],
  [["--db", "x"], /unknown flag --db \(Did you mean --database\?\)/],
  [["--constructor"], /unknown flag --constructor; see/],
  [["constructor"], /unknown command "constructor"; see/],
  [[`--${"HIDEME".repeat(7)}`], /unknown flag --H…DEME/],
];

test("names that other programs use are understood, and the right one is said", async ({ run }) => {
  for (const [args, expected] of SUGGESTIONS) {
    const { exitCode, err, out } = await run(args);
    assert.match(err, expected);
    assert.deepEqual([exitCode, out], [2, ""]);
  }
});

test("--version names the program, its version and Deno's", async ({ do: succeed }) => {
  assert.match(
    await succeed(["-version"]),
    /^openai-api-route \d+\.\d+\.\d+ \(from source, Deno \d+\.\d+\.\d+\)$/,
  );
  for (const args of [["--version"], ["-v"], ["-V"], ["version"]]) {
    assert.equal(await succeed(args), await succeed(["-version"]), args.join(" "));
  }
});

test("states have a colour on a screen, where colours are wanted", async ({ do: succeed }) => {
  await succeed(["add", "--sk", KEY, "--name", "first"]);
  await succeed(["disable", "first"]);
  const painted = "\x1b[2mdisabled\x1b[0m ";
  const cases: readonly (readonly [options: RunOptions, isColoured: boolean])[] = [
    [{ columns: 120, env: { NO_COLOR: "" } }, true],
    [{ columns: 120, env: { NO_COLOR: "", TERM: "dumb" } }, false],
    [{ columns: 120, env: { NO_COLOR: "1" } }, false],
    [{ env: { NO_COLOR: "" } }, false],
    [{ env: { NO_COLOR: "", FORCE_COLOR: "1" } }, true],
    [{ columns: 120, env: { NO_COLOR: "", FORCE_COLOR: "0" } }, false],
    [{ columns: 120, env: { NO_COLOR: "1", FORCE_COLOR: "1" } }, false],
  ];
  for (const [options, isColoured] of cases) {
    const out = await succeed(["list"], options);
    assert.equal(out.includes(painted), isColoured, JSON.stringify(options));
    assert.equal(out.includes("\x1b"), isColoured, JSON.stringify(options));
    assert.ok(!(await succeed(["list", "--json"], options)).includes("\x1b"));
  }
});

test("commands other than those that set something up make no database", async ({ run, directory }) => {
  const commands: readonly (readonly string[])[] = [
    ["list"],
    ["edit", "1", "--name", "x"],
    ["enable", "1"],
    ["disable", "1"],
    ["move", "1", "1"],
    ["remove", "1"],
    ["token", "show"],
    ["token", "show", "--admin"],
    ["token", "add"],
    ["token", "remove", "x"],
    ["token", "set", "--admin"],
    ["records", "list"],
    ["doctor", "--repair-index"],
    ["backup", "elsewhere.sqlite"],
  ];
  for (const args of commands) {
    const { exitCode, out, err } = await run(args);
    assert.deepEqual([exitCode, out], [1, ""], args.join(" "));
    assert.match(
      err,
      /^openai-api-route: no database at \S+db\.sqlite; name one with --database$/,
      args.join(" "),
    );
    assert.deepEqual([...Deno.readDirSync(directory)], [], args.join(" "));
  }
});

test("backup and restore bring back what was there", async ({ run, do: succeed, directory }) => {
  const options = ["--max-parallel", "4", "--set-header", "X-Team: a", "--proxy", "socks5://127.0.0.1:1080"];
  await succeed(["add", "--sk", KEY, "--name", "early", ...options]);
  const backup = `${directory}/copies`;
  assert.match(
    await succeed(["backup", backup]),
    /^backed up \S+db\.sqlite to \S+copies: 0 records, \S+ KB, checked$/,
  );
  await succeed(["edit", "early", "--name", "late", "--max-parallel", "none", "--proxy", "none"]);
  assert.match(
    (await run(["backup", backup])).err,
    /the file exists; name another one, or replace it with --force$/,
  );
  assert.match(
    await succeed(["restore", backup]),
    /^restored \S+db\.sqlite from \S+: 0 records, .*checked; what was there before is \S+db\.sqlite\.before-restore$/,
  );
  assert.match(
    await succeed(["list"]),
    / early .* max 4 parallel, changes requests, by socks5:\/\/127\.0\.0\.1:1080/,
  );
  assert.match(await succeed(["list", "--database", `${directory}/db.sqlite.before-restore`]), / late /);
  await succeed(["backup", "--force", backup]);
});
