/**
 * `records replay`: the same request once more, to an upstream with a key of its own.
 */
import assert from "node:assert/strict";
import { diffReplies } from "../../../src/control/reply_diff.ts";
import {
  chatEvents,
  chatReply,
  cutAfter,
  FakeUpstream,
  refusingEndpoint,
  reply,
  stream,
} from "../../support/upstream.ts";
import { assertHarmless, HOSTILE, test } from "./records_support.ts";

const KEY = "sk-0123456789abcdefHIDEMEwxyz";
const BODY = '{"model": "gpt-4o",  "messages":[{"role":"user","content":"h\u00e4"}]}';
const BYTES = new TextEncoder().encode(BODY).length;

const RECORD = {
  body: BODY,
  requestBytes: BYTES,
  isStream: false,
  upstreamId: 1,
  response: "Hello\nold world\nbye",
} as const;

const insert = (endpoint: string, name: string, sk = KEY): string =>
  `INSERT INTO openai_upstreams(sk, endpoint, name) VALUES ('${sk}', '${endpoint}', '${name}')`;

test(
  "replay sends the recorded bytes with the upstream's key, and shows what differs",
  [RECORD],
  async (bench) => {
    await using upstream = new FakeUpstream(chatReply("Hello\nnew world\nbye"));
    bench.sql(insert(upstream.endpoint, "one"));
    const out = await bench.do(["replay", "1"]);
    const [request] = upstream.requests;
    assert.ok(request);
    assert.deepEqual(
      [request.method, request.target, request.text],
      ["POST", "/v1/chat/completions", BODY],
    );
    assert.equal(request.headers.get("authorization"), `Bearer ${KEY}`);
    assert.equal(request.headers.get("content-type"), "application/json");
    assert.match(request.headers.get("user-agent") ?? "", /^openai-api-route\//);
    const lines = out.split("\n");
    assert.match(
      lines[0] ?? "",
      /^── recorded: 200 from one in 1\.23 s, .*tokens 3 in, 5 out, finish stop ──$/,
    );
    assert.match(
      out,
      /^── replayed: 200 from one in .*, tokens 5 in, 7 out, finish stop ──\n {2}Hello\n {2}new world\n {2}bye$/m,
    );
    assert.deepEqual(lines.slice(-5), [
      "── difference (- recorded, + replayed) ──",
      "  Hello",
      "- old world",
      "+ new world",
      "  bye",
    ]);
    assert.equal((await bench.do(["list"])).split("\n").length, 2, "a replay is not recorded");
  },
);

test("replay colours the difference on a terminal that wants it", [RECORD], async (bench) => {
  await using upstream = new FakeUpstream(chatReply(`Hello\n${HOSTILE}\nbye`));
  bench.sql(insert(upstream.endpoint, "one"));
  const coloured = await bench.do(["replay", "1"], { columns: 80 });
  assert.ok(coloured.includes("\x1b[31m- old world\x1b[0m\n\x1b[32m+ a␛[31mb"), coloured);
  assertHarmless(await bench.do(["replay", "1"], { columns: 80, env: { NO_COLOR: "1" } }));
});

test("replay reads a stream, and compares its text", [
  { ...RECORD, body: '{"stream":true}', requestBytes: 15, response: "one two" },
], async (bench) => {
  await using upstream = new FakeUpstream(stream(chatEvents(["one", " two"])));
  bench.sql(insert(upstream.endpoint, "one"));
  const out = await bench.do(["replay", "1", "--upstream", "one"]);
  assert.match(
    out,
    /── replayed: 200 from one in .*, first token after .*, tokens 5 in, 2 out, finish stop ──/,
  );
  assert.match(out, /── difference .*\n {2}\(none\)$/);
});

test("replay --json gives the record, the replay and the differences", [RECORD], async (bench) => {
  await using upstream = new FakeUpstream(chatReply("Hello\nold world\nciao"));
  bench.sql(insert(upstream.endpoint, "one"));
  const { record, replay, diff } = JSON.parse(await bench.do(["replay", "1", "--json"]));
  assert.deepEqual([record.id, record.response, record.attempts.length], [1, RECORD.response, 2]);
  assert.deepEqual([replay.upstream, replay.status, replay.response, replay.error], [
    "one",
    200,
    "Hello\nold world\nciao",
    null,
  ]);
  assert.deepEqual(replay.usage, {
    inputTokens: 5,
    outputTokens: 7,
    cachedTokens: null,
    reasoningTokens: null,
  });
  assert.deepEqual(diff, [
    { type: "same", text: "Hello\nold world" },
    { type: "removed", text: "bye" },
    { type: "added", text: "ciao" },
  ]);
});

test(
  "replay goes to the upstream that answered, else to the first that is enabled",
  [RECORD],
  async (bench) => {
    await using one = new FakeUpstream(chatReply("from one"));
    await using two = new FakeUpstream(chatReply("from two"));
    bench.sql(insert(one.endpoint, "one"));
    bench.sql(insert(two.endpoint, "two"));
    assert.match(await bench.do(["replay", "1"]), /from one/);
    assert.match(await bench.do(["replay", "1", "--upstream", "2"]), /from two/);
    bench.sql("UPDATE openai_upstreams SET enabled = 0 WHERE id = 1");
    assert.match(await bench.do(["replay", "1"]), /from two/);
    assert.match(await bench.do(["replay", "1", "--upstream", "one"]), /from one/);
    bench.sql("UPDATE openai_upstreams SET enabled = 0");
    assert.match((await bench.run(["replay", "1"])).err, /no upstream is enabled for this request/);
  },
);

test("a replay that is not answered well ends with 1, and shows no key", [RECORD], async (bench) => {
  await using upstream = new FakeUpstream(reply(401, `{"error":{"message":"bad key ${KEY}"}}`));
  bench.sql(insert(upstream.endpoint, "one"));
  const refused = await bench.run(["replay", "1"]);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.err, /the replay on upstream 1 "one" failed: HTTP 401$/);
  assert.match(refused.out, /── replayed: 401 from one .*\n {2}\{"error":\{"message":"bad key sk-…wxyz"\}\}/);
  upstream.script = cutAfter(chatEvents(["half"]).slice(0, 2));
  const cut = await bench.run(["replay", "1", "--json"]);
  assert.equal(cut.exitCode, 1);
  assert.match(cut.err, /failed: the reply broke off: /);
  assert.equal(JSON.parse(cut.out).replay.response, "half");
  bench.sql(`UPDATE openai_upstreams SET endpoint = '${refusingEndpoint()}'`);
  const unreachable = await bench.run(["replay", "1"]);
  assert.deepEqual([unreachable.exitCode, unreachable.out], [1, ""]);
  assert.match(unreachable.err, /failed: .*refused/i);
  assert.doesNotMatch(refused.out + refused.err + cut.out + unreachable.err, /HIDEME/);
});

test("what cannot be sent again as it was is refused in one line", [
  {
    ...RECORD,
    isTruncated: true,
    body: `{"content_type":"multipart/form-data","bytes":9,"fields":{}}`,
    requestBytes: 9,
  },
  { ...RECORD, requestBytes: BYTES + 1 },
  { ...RECORD, path: "/v1/../admin" },
  { ...RECORD, path: "@evil.example/v1" },
  { ...RECORD, method: "CONNECT" },
  { ...RECORD, upstreamId: 2 },
  { ...RECORD, path: "/v1/..%2f..%2fadmin" },
  { ...RECORD, path: "/v1/%252e%252e;x/admin" },
  { ...RECORD, path: "/v1/models/cut\u2026" },
], async (bench) => {
  await using upstream = new FakeUpstream(chatReply("no"));
  bench.sql(insert(upstream.endpoint, "one"));
  bench.sql(insert(upstream.endpoint, "own", "asis"));
  const cases: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [["1"], /record 1 cannot be replayed: its request was described, not kept/],
    [["2"], /record 2 cannot be replayed: its request was not kept as it was sent/],
    [["3"], /record 3 cannot be replayed: its method or path is not one of the API/],
    [["4"], /its method or path is not one of the API/],
    [["5"], /its method or path is not one of the API/],
    [["6"], /upstream 2 forwards the client's own key \(asis\), which is never recorded: choose another/],
    [["7"], /its method or path is not one of the API/],
    [["8"], /its method or path is not one of the API/],
    [["9"], /its method or path is not one of the API/],
    [["6", "--upstream", "own"], /upstream 2 forwards the client's own key/],
    [
      ["6", "--upstream", "9"],
      /there is no such upstream that can be used: see them with `openai-api-route list`/,
    ],
  ];
  for (const [args, expected] of cases) {
    const { exitCode, out, err } = await bench.run(["replay", ...args]);
    assert.match(err, expected, args.join(" "));
    assert.deepEqual([exitCode, out], [1, ""], args.join(" "));
  }
  assert.equal(upstream.requests.length, 0);
});

test("a chat of the Go program is replayed, and a truncated reply is no obstacle", [
  { ...RECORD, isTruncated: true },
], async (bench) => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  bench.sql(insert(upstream.endpoint, "one"));
  bench.sql(
    `INSERT INTO records(body, model, response, status, upstream_id)
      VALUES ('"{\\"messages\\":[]}"', 'gpt-4', 'hello', 200, 1), ('"{}"', 'x', '', 200, 1)`,
  );
  await bench.do(["replay", "1"]);
  await bench.do(["replay", "2"]);
  assert.deepEqual(upstream.requests.map(({ text }) => text), [BODY, '{"messages":[]}']);
  assert.match((await bench.run(["replay", "3"])).err, /its path was not recorded/);
});

Deno.test("diffReplies() compares text and tool calls, not their ids", () => {
  const call = (id: string, value: number) => ({ id, name: "f", arguments: `{"a":${value}}` });
  const before = { response: "same", toolCalls: [call("x", 1)] };
  assert.deepEqual(
    diffReplies(before, { response: "same", toolCalls: [call("y", 1)] })?.map(({ type }) => type),
    [
      "same",
    ],
  );
  assert.deepEqual(diffReplies(before, { response: "same", toolCalls: [call("y", 2)] }), [
    { type: "same", text: "same\ncalls f\n{" },
    { type: "removed", text: '  "a": 1' },
    { type: "added", text: '  "a": 2' },
    { type: "same", text: "}" },
  ]);
  assert.deepEqual(diffReplies({ response: "", toolCalls: [] }, { response: null, toolCalls: [] }), []);
});
