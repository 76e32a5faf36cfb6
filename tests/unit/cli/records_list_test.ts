/**
 * `records list` and the filters, over a real database.
 */
import assert from "node:assert/strict";
import { displayWidth } from "../../../src/cli/output.ts";
import { assertHarmless, type Bench, HOSTILE, test } from "./records_support.ts";

const HOUR_MS = 3_600_000;
const at = (hoursAgo: number): number => Date.now() - hoursAgo * HOUR_MS;

const SAMPLE = [
  { createdAtMs: at(100), model: "gpt-4o", client: "alice", response: "zebras are striped" },
  { createdAtMs: at(30), model: "gpt-4o-mini", client: "bob", upstreamId: 1, response: "plain" },
  {
    createdAtMs: at(5),
    model: "claude-4",
    status: 503,
    outcome: "upstream_error",
    upstreamId: null,
    usage: null,
    firstTokenMs: null,
    response: "",
    error: "HTTP 503: overloaded",
  },
  { createdAtMs: at(1), model: "gpt-4o", status: 499, outcome: "client_gone", response: "half a zeb" },
] as const;

const UPSTREAMS =
  "INSERT INTO openai_upstreams(sk, endpoint, name) VALUES ('sk-1', 'https://a.example', 'one'), " +
  "('sk-2', 'https://b.example', 'two')";

async function ids({ do: succeed }: Bench, ...args: string[]): Promise<unknown[]> {
  const rows: Record<string, unknown>[] = JSON.parse(await succeed(["list", "--json", ...args]));
  return rows.map(({ id }) => id);
}

test("list shows the newest first, in a table", SAMPLE, async ({ do: succeed, sql }) => {
  sql(UPSTREAMS);
  const [titles, ...lines] = (await succeed(["list"])).split("\n");
  assert.match(
    titles ?? "",
    /^ID +TIME +MODEL +STATUS +OUTCOME +UPSTREAM +TRIES +DURATION +FIRST TOKEN +IN +OUT +USD +REPLY$/,
  );
  assert.match(
    lines[0] ?? "",
    /^4 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +gpt-4o +499 +client_gone +two +2 +1\.23 s +120 ms +3 +5 +unknown +half a zeb$/,
  );
  assert.match(
    lines[1] ?? "",
    /^3 .* 503 +upstream_error +- +2 +1\.23 s +- +- +- +unknown +HTTP 503: overloaded$/,
  );
  assert.equal(lines.length, 4);
});

test("every filter chooses, and several must all hold", SAMPLE, async (bench) => {
  bench.sql(UPSTREAMS);
  const cases: readonly (readonly [args: readonly string[], expected: readonly number[]])[] = [
    [[], [4, 3, 2, 1]],
    [["--limit", "2"], [4, 3]],
    [["--before", "3"], [2, 1]],
    [["--limit", "1", "--before", "3"], [2]],
    [["--since", "24h"], [4, 3]],
    [["--since", "2d", "--until", "24h"], [2]],
    [["--until", new Date(at(29)).toISOString()], [2, 1]],
    [["--model", "gpt-*"], [4, 2, 1]],
    [["--model", "gpt-4o"], [4, 1]],
    [["--upstream", "one"], [2]],
    [["--upstream", "2"], [4, 1]],
    [["--tried", "one"], [4, 3, 2, 1]],
    [["--tried", "two"], [4, 1]],
    [["--tried", "1", "--upstream", "two"], [4, 1]],
    [["--failed-on", "one"], [4, 3, 2, 1]],
    [["--failed-on", "two"], []],
    [["--attempts", ">1"], [4, 3, 2, 1]],
    [["--attempts", "<2"], []],
    [["--slower-than", "1.2s"], [4, 3, 2, 1]],
    [["--slower-than", "1235ms"], []],
    [["--without", "model"], []],
    [["--failed"], [3]],
    [["--failed", "--model", "gpt-*"], []],
    [["--status", "503"], [3]],
    [["--status", "4xx"], [4]],
    [["--outcome", "complete"], [2, 1]],
    [["--client", "bob"], [2]],
    [["--text", "zebras"], [1]],
    [["--text", "zeb"], [4, 1]],
    [["--model", "gpt-*", "--status", "200", "--client", "alice"], [1]],
    [["--text", "unheard"], []],
  ];
  for (const [args, expected] of cases) assert.deepEqual(await ids(bench, ...args), expected, args.join(" "));
});

test("list --count prints how many there are, whatever the limit", SAMPLE, async (bench) => {
  bench.sql(UPSTREAMS);
  assert.equal(await bench.do(["list", "--count", "--limit", "1"]), "4");
  assert.equal(await bench.do(["list", "--count", "--failed-on", "one", "--status", "503"]), "1");
  assert.equal(await bench.do(["list", "--count", "--text", "zeb"]), "2");
  assert.equal(await bench.do(["list", "--count", "--json", "--text", "unheard"]), '{"count":0}');
});

test("list --json names everything that was stored", SAMPLE.slice(0, 1), async ({ do: succeed, sql }) => {
  sql(UPSTREAMS);
  const [row] = JSON.parse(await succeed(["list", "--json"]));
  assert.equal(row.createdAt, new Date(row.createdAtMs).toISOString());
  assert.deepEqual([row.upstreamId, row.upstream, row.attemptCount], [2, "two", 2]);
  assert.deepEqual(row.usage, { inputTokens: 3, outputTokens: 5, cachedTokens: null, reasoningTokens: 0 });
  assert.equal(row.response, "zebras are striped");
});

test("an empty list is [] for programs and a note for people", [], async ({ do: succeed, run }) => {
  assert.equal(await succeed(["list", "--json"]), "[]");
  assert.deepEqual(await run(["list"]), { exitCode: 0, out: "", err: "no records match" });
});

test("the table fits the screen, and drops columns before it becomes unreadable", [
  { model: "a-model-with-quite-a-long-name-of-its-own", response: "中文回复".repeat(50) },
], async ({ do: succeed }) => {
  for (const columns of [200, 120, 100, 80, 60, 40, 32]) {
    const lines = (await succeed(["list"], { columns })).split("\n");
    assert.ok(lines.every((line) => displayWidth(line) <= columns), `${columns}: ${lines.join("\n")}`);
    assert.match(lines[0] ?? "", /^ID .*STATUS .*REPLY$/);
  }
});

test("hostile text is harmless in the table and in JSON, where it also stays what it was", [
  { model: HOSTILE, response: HOSTILE, client: HOSTILE },
], async ({ do: succeed }) => {
  assertHarmless(await succeed(["list"]));
  const json = await succeed(["list", "--json"]);
  assertHarmless(json);
  assert.equal(JSON.parse(json)[0].response, HOSTILE);
});

test("a row of the Go program is listed with what it has", [], async ({ do: succeed, sql }) => {
  sql(
    `INSERT INTO records(created_at, ip, body, model, response, elapsed_time, status, upstream_id, authorization)
    VALUES ('2023-11-08 12:34:56.789012+08:00', '192.0.2.7', '"{}"', 'gpt-3.5-turbo', 'hello', 1500000000, 200, 9,
    'Bearer sk-0123456789abcdefwxyz')`,
  );
  assert.match(await succeed(["list"]), /gpt-3\.5-turbo +200 +- +#9 +- +1\.50 s +- +- +- +unknown +hello$/);
  assert.doesNotMatch(await succeed(["list", "--json"]), /abcdef/);
});

test("what was typed wrong is said in one line and ends with 2", [], async ({ run }) => {
  const cases: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [["list", "--limit", "0"], /--limit cannot be "0": expected a whole number from 1 to 10000/],
    [["list", "--limit", "all"], /--limit cannot be "all"/],
    [["list", "--before", "x"], /--before cannot be "x"/],
    [["list", "--since", "yesterday"], /--since cannot be "yesterday": expected a duration such as 15m/],
    [["list", "--until", "2026-02-30"], /--until cannot be "2026-02-30"/],
    [["list", "--since", "1h", "--until", "2h"], /--since is later than --until/],
    [["list", "--status", "6xx"], /--status cannot be "6xx": expected a status such as 502/],
    [["list", "--outcome", "good"], /--outcome cannot be "good": expected one of complete, /],
    [["list", "--attempts", "many"], /--attempts cannot be "many": expected a number such as 2, '>1'/],
    [["list", "--without", "status"], /--without cannot be "status": expected model or client/],
    [["list", "--slower-than", "5d"], /--slower-than cannot be "5d": expected a duration such as 5s/],
    [["list", "--tried", " "], /--tried must not be empty/],
    [["list", "--text", " "], /--text must not be empty/],
    [["list", "--modle", "x"], /unknown flag --modle \(Did you mean --model\?\)/],
    [["list", "--raw"], /--raw does not belong here, but to: records show/],
    [["list", "7"], /too many arguments/],
    [["show"], /missing required argument 'id'/],
    [["show", "1", "--raw", "--json"], /--json and --raw are two forms/],
    [["tail", "-n"], /-n needs a count/],
    [["tail", "-n", "many"], /-n cannot be "many"/],
    [["export"], /export needs a format: --format jsonl\|csv\|openai-finetune/],
    [["export", "--format", "xml"], /--format cannot be "xml": expected one of jsonl, csv, openai-finetune/],
    [["export", "--format", "csv", "--output", ""], /--output must be the path of a new file/],
    [["replay"], /missing required argument 'id'/],
    [["7"], /unknown command "records 7" \(Did you mean records show ID\?\)/],
  ];
  for (const [args, expected] of cases) {
    const { exitCode, out, err } = await run(args);
    assert.match(err, expected, args.join(" "));
    assert.deepEqual([exitCode, out], [2, ""], args.join(" "));
  }
});

test("what is not there is said in one line and ends with 1", [], async ({ run }) => {
  const cases: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [["list", "--failed-on", "nobody"], /no upstream has that id or name/],
    [["show", "7"], /no record has that number or request id: see them with `openai-api-route records list`/],
    [["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], /no record has that number/],
    [["replay", "7"], /no record has that number/],
    [["list", "--upstream", "nobody"], /no upstream has that id or name/],
  ];
  for (const [args, expected] of cases) {
    const { exitCode, out, err } = await run(args);
    assert.match(err, expected, args.join(" "));
    assert.deepEqual([exitCode, out], [1, ""], args.join(" "));
  }
});

test("looking at records never makes a database", [], async ({ run, directory }) => {
  const path = `${directory}/other.sqlite`;
  for (const args of [["list"], ["show", "1"], ["tail"], ["export", "--format", "csv"], ["replay", "1"]]) {
    const { exitCode, err } = await run([...args, "--database", path]);
    assert.match(err, /no database at \S+other\.sqlite; name one with --database/);
    assert.equal(exitCode, 1);
  }
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  await Deno.writeTextFile(path, "");
  assert.match(
    (await run(["list", "--database", path])).err,
    /no database at \S+other\.sqlite, the file is empty/,
  );
  assert.equal((await Deno.stat(path)).size, 0);
});
