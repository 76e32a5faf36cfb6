/**
 * The commands over a real database file, with the terminal replaced.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runProgram } from "../../../src/cli/program.ts";
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
}

interface Bench {
  readonly path: string;
  readonly directory: string;
  run(args: readonly string[], options?: RunOptions): Promise<Result>;
  /** Runs it and demands success. Returns standard output. */
  do(args: readonly string[], options?: RunOptions): Promise<string>;
  sql(statement: string): void;
}

/** A test with a database path that does not exist yet; no run may print a key or a stack. */
function test(name: string, body: (bench: Bench) => Promise<void>): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/db.sqlite`;
    const run = async (args: readonly string[], options: RunOptions = {}): Promise<Result> => {
      const out: string[] = [];
      const err: string[] = [];
      const exitCode = await runProgram(args, {
        terminal: {
          print: (line) => void out.push(line),
          note: (line) => void err.push(line),
          readInput: () => Promise.resolve(options.input ?? ""),
          columns: options.columns ?? null,
          isReaderGone: false,
        },
        env: { OAR_DATABASE: path, ...options.env },
      });
      const result = { exitCode, out: out.join("\n"), err: err.join("\n") };
      assert.doesNotMatch(result.out + result.err, /HIDEME|\n\s+at /);
      if (exitCode !== 0) assert.match(result.err, /^openai-api-route: [^\n]+$/);
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
    "2      2   b.example  enabled   asis      -        http://b.example/",
  ]);
  assert.deepEqual(await listJson(bench), [
    {
      id: 1,
      name: "first",
      endpoint: "http://a.example/v1",
      key: "sk-…wxyz",
      enabled: false,
      timeout: 7,
      place: 1,
      authStyle: null,
      allow: [],
      deny: [],
      modelMap: {},
      weight: 1,
      state: "disabled",
      until: null,
      reason: null,
      problem: null,
    },
    {
      id: 2,
      name: "b.example",
      endpoint: "http://b.example/",
      key: "asis",
      enabled: true,
      timeout: null,
      place: 2,
      authStyle: "x-api-key",
      allow: [],
      deny: [],
      modelMap: {},
      weight: 1,
      state: "enabled",
      until: null,
      reason: null,
      problem: null,
    },
  ]);
  const narrow = await bench.do(["list"], { columns: 66 });
  assert.ok(narrow.split("\n").every((line) => line.length <= 66), narrow);
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
  for (const name of ["a", "b", "c", "d"]) await bench.do(["add", "--sk", `${name}-${KEY}`, "--name", name]);
  await bench.do(["disable", "d"]);
  const soon = new Date(Date.now() + 3_600_000);
  const time = (ms: number) => `${new Date(ms).toISOString().replace("T", " ").slice(0, 23)}000+00:00`;
  bench.sql(`insert into instances(id, heartbeat_at) values ('alive', '${time(Date.now())}'),
      ('dead', '${time(Date.now() - 60_000)}');
    insert into upstream_states(upstream_id, instance, state, until, reason, changed_at) values
      (1, 'alive', 'open', '${time(soon.getTime())}', 'HTTP 503', '${time(Date.now())}'),
      (2, 'alive', 'half_open', null, 'timeout', '${time(Date.now())}'),
      (3, 'dead', 'open', '${time(soon.getTime())}', 'HTTP 500', '${time(Date.now())}'),
      (4, 'alive', 'open', '${time(soon.getTime())}', 'HTTP 500', '${time(Date.now())}')`);
  const clock = [soon.getHours(), soon.getMinutes(), soon.getSeconds()].map((n) => String(n).padStart(2, "0"))
    .join(":");
  const lines = (await bench.do(["list"])).split("\n");
  assert.ok(lines[1]?.includes(` open until ${clock} (HTTP 503) `), lines[1]);
  assert.ok(lines[2]?.includes(" half_open (timeout) "), lines[2]);
  assert.ok(lines[3]?.includes(" enabled "), lines[3]);
  assert.ok(lines[4]?.includes(" disabled "), lines[4]);
  assert.deepEqual((await listJson(bench)).map(({ state, until, reason }) => [state, until, reason]), [
    ["open", soon.toISOString(), "HTTP 503"],
    ["half_open", null, "timeout"],
    ["enabled", null, null],
    ["disabled", null, null],
  ]);
  bench.sql(`update upstream_states set until = '${time(Date.now() - 1_000)}'`);
  assert.match(await bench.do(["list"]), / open, to be tried again \(HTTP 503\) /);
});

test("an empty list says how to add the first upstream", async ({ run, do: succeed }) => {
  await succeed(["token", "set", "woodpecker-one"]);
  const { exitCode, out, err } = await run(["list"]);
  assert.deepEqual([exitCode, out], [0, ""]);
  assert.match(err, /openai-api-route add --sk KEY --endpoint URL$/);
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

test("--sk - reads the key from standard input", async (bench) => {
  await bench.do(["add", "--sk", "-"], { input: `${KEY}\n` });
  assert.equal((await listJson(bench))[0]?.["key"], "sk-…wxyz");
  const empty = await bench.run(["edit", "1", "-sk=-"], { input: "\n" });
  assert.deepEqual([empty.exitCode, empty.err], [
    2,
    "openai-api-route: standard input holds nothing for --sk",
  ]);
});

const USAGE_MISTAKES: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
  [["add"], /add needs a key: add --sk KEY --endpoint URL/],
  [["-add", "-endpoint", "https://x.example"], /add needs a key/],
  [["add", "--sk"], /option '--sk <key>' argument missing/],
  [["add", "--sk", "two HIDEME"], /--sk must be one word/],
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
  [["list", `--key=${KEY}`], /unknown flag --key/],
  [["-sk", KEY], /--sk does not belong here, but to: add, edit/],
  [["edit", "1"], /edit needs a change/],
  [["remove"], /missing required argument 'upstream'/],
  [["move", "1", "first"], /the place must be a number from 1 on, not "first"/],
  [["token"], /needs one of its subcommands/],
  [["token", "set", ""], /an empty token would leave the server without any/],
  [["token", "add", "a,HIDEME"], /must not contain commas: run `token add` once for each token/],
  [["token", "add", "a HIDEME"], /must be one word of visible ASCII/],
  [["token", "add", "tök-HIDEME"], /must be one word of visible ASCII/],
  [["token", "set", "HIDEME-token", "--name", "a,b"], /--name must be one word/],
  [["token", "add", "--name", "a b"], /--name must be one word/],
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
    [["token", "remove", KEY], /no token has that name, masked form or text/],
    [["token", "remove", "default"], /default is the only token.*the server refuses to start.*\(token set\)/],
  ];
  for (const [args, expected] of failures) {
    const { exitCode, err, out } = await run(args);
    assert.match(err, expected, args.join(" "));
    assert.deepEqual([exitCode, out], [1, ""], args.join(" "));
  }
});

test("tokens are added, shown, replaced and removed by name, masked form or text", async ({ do: succeed }) => {
  await succeed(["token", "set", "woodpecker-one", "--name", "one"]);
  assert.equal(await succeed(["token", "add", "woodpecker-two"]), "added token token-2 woo…-two");
  await succeed(["token", "add", "-", "--name", "three"], { input: "woodpecker-three\n" });
  assert.match(await succeed(["token", "add", "--name", "four"]), /^added token four sk-oar-\S{43}$/);
  assert.equal(await succeed(["token", "show", "three"]), "woodpecker-three");
  assert.equal(await succeed(["token", "remove", "one"]), "removed token one");
  assert.equal(await succeed(["token", "remove", "woodpecker-two"]), "removed token token-2");
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
  await succeed(["token", "set", "woodpecker-five"]);
  const [{ createdAt, ...token }] = JSON.parse(await succeed(["token", "show", "--json"]));
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 600_000, createdAt);
  assert.deepEqual(token, {
    name: "token-1",
    token: "woodpecker-five",
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

test("a token or a token's name is not accepted twice", async ({ do: succeed, run }) => {
  await succeed(["token", "set", "woodpecker-one", "--name", "one"]);
  assert.match((await run(["token", "add", "woodpecker-one"])).err, /accepted already, as one$/);
  assert.match(
    (await run(["token", "add", "--name", "one"])).err,
    /a token named one exists already: use another --name/,
  );
});

test("token set on a new database shows no other token", async ({ run }) => {
  const { err, out } = await run(["token", "set", "woodpecker-one"]);
  assert.match(err, /^created database \/\S+$/);
  assert.equal(out, "set token token-1 woo…-one");
});

test("help explains the program with examples, every flag, its default and its variable", async ({ do: succeed }) => {
  const help = await succeed(["--help"]);
  assert.equal(await succeed(["-help"]), help);
  assert.equal(await succeed(["help"]), help);
  for (
    const text of [
      "openai-api-route add --sk",
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
  assert.match(await succeed(["help", "add"]), /--sk <key>/);
  assert.match(await succeed(["-add", "--help"]), /--sk <key>/);
});

test("--version names the program, its version and Deno's", async ({ do: succeed }) => {
  assert.match(
    await succeed(["-version"]),
    /^openai-api-route \d+\.\d+\.\d+ \(from source, Deno \d+\.\d+\.\d+\)$/,
  );
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
  await succeed(["add", "--sk", KEY, "--name", "early"]);
  const backup = `${directory}/copies`;
  assert.match(
    await succeed(["backup", backup]),
    /^backed up \S+db\.sqlite to \S+copies: 0 records, \S+ KB, checked$/,
  );
  await succeed(["edit", "early", "--name", "late"]);
  assert.match(
    (await run(["backup", backup])).err,
    /the file exists; name another one, or replace it with --force$/,
  );
  assert.match(
    await succeed(["restore", backup]),
    /^restored \S+db\.sqlite from \S+: 0 records, .*checked; what was there before is \S+db\.sqlite\.before-restore$/,
  );
  assert.match(await succeed(["list"]), / early /);
  assert.match(await succeed(["list", "--database", `${directory}/db.sqlite.before-restore`]), / late /);
  await succeed(["backup", "--force", backup]);
});
