/** Streams whose client has not asked for usage: what the upstream is sent, what the client gets, and what is recorded. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { brotliCompressSync, gzipSync } from "node:zlib";
import OpenAI from "openai";
import { GATE_MODES } from "../../src/core/gate_mode.ts";
import { callApi } from "../support/admin.ts";
import { eventually, Router, type RouterOptions, runProgram } from "../support/router.ts";
import { kindOf, pseudoRandomCuts, readSamples, SAMPLES } from "../support/samples.ts";
import {
  chatEvent,
  chatEvents,
  chunk,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  type ReceivedRequest,
  reply,
  type Script,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const OPTION = '"stream_options":{"include_usage":true},';
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function start(upstream: FakeUpstream, options: RouterOptions = {}, columns = {}): Promise<Router> {
  return Router.start({
    upstreams: [{ endpoint: upstream.endpoint, sk: "sk-test-1", name: "one", columns }],
    ...options,
    env: { OAR_USAGE: "auto", ...options.env },
  });
}

function post(router: Router, body: string | Uint8Array<ArrayBuffer>, headers = {}): Promise<Response> {
  const init = { method: "POST", headers: { "content-type": "application/json", ...headers }, body };
  return router.fetch("/chat/completions", init);
}

/** The stream without its last event with empty choices and usage, found in another way than the router does. */
function withoutUsage(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes).toString("latin1");
  const blocks = text.split(/(?<=\n\n|\r\n\r\n|\r\r)/);
  const last = blocks.findLastIndex((block) => {
    try {
      const data = JSON.parse(/^data: ?(.*)/m.exec(block)?.[1] ?? "");
      return data.choices.length === 0 && typeof data.usage === "object" && data.usage !== null;
    } catch {
      return false;
    }
  });
  return Buffer.from(blocks.filter((_, at) => at !== last).join(""), "latin1");
}

function inPieces(bytes: Uint8Array, cuts: readonly number[], fields: Record<string, string>): Script {
  return async (_request, wire) => {
    await wire.write(head(200, { ...fields, "content-length": String(bytes.length) }));
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      await wire.write(bytes.slice(from, to));
      from = to;
    }
  };
}

interface RecordedStream {
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

function recordedStreams(): RecordedStream[] {
  const samples = (readSamples() ?? []).filter((sample) => sample.content_type.includes("event-stream"))
    .map(({ name, path, response }) => ({
      name,
      path: `/${{ chat: "chat/completions" }[String(kindOf(path))] ?? kindOf(path)}`,
      bytes: Deno.readFileSync(new URL(response, SAMPLES)),
    }));
  const folder = new URL("../fixtures/streams/", import.meta.url);
  const fixtures = [...Deno.readDirSync(folder)].map(({ name }) => ({
    name,
    path: /^(messages|responses|completions)/.exec(name)?.[1] ?? "chat/completions",
    bytes: Deno.readFileSync(new URL(name, folder)),
  })).map((fixture) => ({ ...fixture, path: `/${fixture.path}` }));
  return [...samples, ...fixtures.filter(({ name }) => !/^(images|speech|transcription)/.test(name))];
}

Deno.test("clients get every recorded stream less exactly the injected event, however it is cut", async (test) => {
  await using upstream = new FakeUpstream(hang);
  await using router = await start(upstream);
  let shortened = 0;
  for (const { name, path, bytes } of recordedStreams()) {
    const isAsked = path === "/chat/completions" || path === "/completions";
    const expected = isAsked ? withoutUsage(bytes) : Buffer.from(bytes);
    if (expected.length < bytes.length) shortened++;
    const cuts = {
      "whole": [],
      "byte by byte": Array.from({ length: Math.min(bytes.length, 2500) }, (_, at) => at),
      "the end byte by byte": Array.from(
        { length: Math.min(bytes.length, 1500) },
        (_, at) => at + Math.max(0, bytes.length - 1500),
      ),
      "at random cuts": pseudoRandomCuts(bytes.length, 5),
    };
    for (const [manner, places] of Object.entries(cuts)) {
      await test.step(`${name}, ${manner}`, async () => {
        upstream.script = inPieces(bytes, places, { "content-type": "text/event-stream" });
        const response = await router.fetch(path, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"model":"m","stream":true}',
        });
        const received = new Uint8Array(await response.arrayBuffer());
        assert.equal(sha256(received), sha256(expected), `${received.length} of ${expected.length} bytes`);
        const { text } = upstream.requests.at(-1) as ReceivedRequest;
        assert.equal(text, isAsked ? `{${OPTION}"model":"m","stream":true}` : '{"model":"m","stream":true}');
        if (!isAsked) return;
        const record = await router.recordOf(response);
        assert.equal(record.body, '{"model":"m","stream":true}');
        assert.equal(record.response_bytes, bytes.length);
        if (expected.length < bytes.length) assert.notEqual(record.input_tokens, null);
      });
    }
  }
  assert.ok(shortened >= 1);
});

const EVENTS = chatEvents(["Hello", " world"]);
const SHORT = EVENTS.filter((event) => !event.includes('"choices":[]')).join("");

/** Bodies of clients, and what the upstream is sent; null: the same. */
const BODIES: readonly (readonly [body: string, sent: string | null])[] = [
  ['{"stream":true,"model":"m"}', `{${OPTION}"stream":true,"model":"m"}`],
  [' {\n "stream" : true }', ` {${OPTION}\n "stream" : true }`],
  ['{"stream":true,"n":1.0,"x":"日本\\u0041"}', `{${OPTION}"stream":true,"n":1.0,"x":"日本\\u0041"}`],
  ['{"stream":true,"stream_options":null}', '{"stream":true,"stream_options":{"include_usage":true}}'],
  ['{"stream":true,"stream_options":{}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
  [
    '{"x":"日本","stream":true,"stream_options":{ "include_usage" : false , "a":1}}',
    '{"x":"日本","stream":true,"stream_options":{ "include_usage" : true , "a":1}}',
  ],
  [
    '{"stream":true,"stream_options":{"include_obfuscation":false}}',
    '{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}',
  ],
  ['{"stream":true,"stream_options":{"include_usage":true}}', null],
  ['{"stream":true,"stream_options":{"include_usage":"yes"}}', null],
  ['{"stream":true,"stream_options":{"include_usage":false,"include_usage":true}}', null],
  ['{"stream":true,"stream_options":5}', null],
  ['{"stream":true,"stream_options":[]}', null],
  ['{"stream":true,"stream_options":{},"stream_options":{"include_usage":true}}', null],
  ['{"stream":true,"Stream_Options":{"include_usage":true}}', null],
  ['{"stream":true,"stream_\\u006fptions":{"include_usage":true}}', null],
  ['{"stream":true,"stream":false}', null],
  ['{"stream":"true"}', null],
  ['{"stream":false}', null],
  ['{"messages":[{"stream":true}]}', null],
  ["\ufeff" + '{"stream":true}', null],
  ['{"stream":true', null],
  ['[{"stream":true}]', null],
];

Deno.test("the option is spliced into the client's bytes, and in doubt it is not", async () => {
  await using upstream = new FakeUpstream(stream(EVENTS));
  await using router = await start(upstream);
  for (const [body, sent] of BODIES) {
    const received = await (await post(router, body)).text();
    assert.equal(
      upstream.requests.at(-1)?.text.replace(/^\ufeff/, ""),
      (sent ?? body).replace(/^\ufeff/, ""),
    );
    assert.equal(received, sent === null ? EVENTS.join("") : SHORT, body);
  }
  const form = new FormData();
  form.set("stream", "true");
  await (await router.fetch("/chat/completions", { method: "POST", body: form })).text();
  assert.ok(!upstream.requests.at(-1)?.text.includes("stream_options"));
  const large = JSON.stringify({ stream: true, x: "x".repeat(17_000_000) });
  assert.equal(await (await post(router, large)).text(), EVENTS.join(""));
  const utf16 = new Uint8Array(Buffer.from('{"stream":true}', "utf16le"));
  await (await post(router, utf16)).text();
  assert.deepEqual(Buffer.from(upstream.requests.at(-1)?.body ?? []), Buffer.from(utf16));
});

Deno.test("coded, renamed and patched bodies are asked for usage, unless the patch says something of it", async () => {
  await using upstream = new FakeUpstream(stream(EVENTS));
  await using router = await start(upstream, {
    upstreams: [
      {
        endpoint: upstream.endpoint,
        name: "a",
        modelMap: '{"m":"other"}',
        allow: "m",
        columns: { body_patch: '{"seed":1}' },
      },
      {
        endpoint: upstream.endpoint,
        name: "b",
        allow: "p",
        columns: { body_patch: '{"stream_options":null}' },
      },
      { endpoint: upstream.endpoint, name: "c", allow: "n", columns: { usage_injection: "never" } },
    ],
  });
  const coded = gzipSync('{"model":"m","stream":true}');
  assert.equal(
    await (await post(router, new Uint8Array(coded), { "content-encoding": "gzip" })).text(),
    SHORT,
  );
  const [request] = upstream.requests;
  assert.equal(request?.headers.get("content-encoding"), null);
  assert.deepEqual(JSON.parse(request?.text ?? ""), {
    stream_options: { include_usage: true },
    model: "other",
    stream: true,
    seed: 1,
  });
  for (const model of ["p", "n"]) {
    const body = JSON.stringify({ model, stream: true });
    assert.equal(await (await post(router, body)).text(), EVENTS.join(""));
    assert.equal(upstream.requests.at(-1)?.text, body);
  }
});

Deno.test("usage elsewhere in a stream stays where it is", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await start(upstream);
  const usage = '"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}';
  const nulls = [chatEvent({ content: "a" }), chatEvent({}, "stop")].map((event) =>
    event.replace("}\n", ',"usage":null}\n')
  );
  const end = `data: {"id":"1","object":"chat.completion.chunk","choices":[],${usage}}\n\n`;
  const cases: Record<string, [sent: string[], got: string[]]> = {
    "in the last chunk": [
      [chatEvent({ content: "a" }), chatEvent({}, "stop").replace("}\n", `,${usage}}\n`), "data: [DONE]\n\n"],
      [chatEvent({ content: "a" }), chatEvent({}, "stop").replace("}\n", `,${usage}}\n`), "data: [DONE]\n\n"],
    ],
    "null everywhere": [[...nulls, end, "data: [DONE]\n\n"], [...nulls, "data: [DONE]\n\n"]],
    "in every chunk": [
      [...nulls.map((event) => event.replace('"usage":null', usage)), end, "data: [DONE]\n\n"],
      [...nulls.map((event) => event.replace('"usage":null', usage)), "data: [DONE]\n\n"],
    ],
  };
  for (const [name, [sent, got]] of Object.entries(cases)) {
    upstream.script = stream(sent);
    const response = await post(router, '{"model":"m","stream":true}');
    assert.equal(await response.text(), got.join(""), name);
    const record = await router.recordOf(response);
    assert.deepEqual([record.input_tokens, record.output_tokens], [3, 4], name);
  }
});

Deno.test("every gate, an end without marker, a cut, and keepalives", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await start(upstream, { args: ["--keepalive", "0.001", "--gate-ms", "0"] });
  for (const gate of GATE_MODES) {
    for (const events of [EVENTS, EVENTS.slice(0, -1), [EVENTS.join("")], [...EVENTS.join("")]]) {
      upstream.script = stream(events);
      const received = await (await post(router, '{"stream":true}', { "x-oar-gate": gate })).text();
      const expected = events.length === EVENTS.length - 1 ? SHORT.replace("data: [DONE]\n\n", "") : SHORT;
      assert.equal(received.replace(/^(:\n)+/, ""), expected, gate);
    }
  }
  // What is held back when the stream breaks off is passed on.
  const begun = 'data: {"choices":[],"us';
  upstream.script = async (_request, wire) => {
    await wire.write(STREAM_HEAD + chunk(EVENTS.slice(0, 2).join("")) + chunk(begun));
    wire.close();
  };
  const response = await post(router, '{"stream":true}');
  let text = "";
  await assert.rejects(async () => {
    for await (const piece of response.body ?? []) text += new TextDecoder().decode(piece);
  });
  assert.equal(text.replace(/^(:\n)+/, ""), EVENTS.slice(0, 2).join("") + begun);
});

Deno.test("a delta does not wait for what follows it", async () => {
  const next = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (_request, wire) => {
    await wire.write(STREAM_HEAD + chunk(EVENTS[1] ?? ""));
    await next.promise;
    await wire.write(chunk(EVENTS.slice(2).join("")) + LAST_CHUNK);
  });
  await using router = await start(upstream);
  const reader = (await post(router, '{"stream":true}')).body?.getReader();
  const first = await reader?.read();
  assert.equal(new TextDecoder().decode(first?.value), EVENTS[1]);
  next.resolve();
  while (!(await reader?.read())?.done);
});

/** Refuses the option with this answer, and streams otherwise. */
function refusing(status: number, body: string): Script {
  return (request, wire) =>
    request.text.includes("stream_options")
      ? reply(status, body)(request, wire)
      : stream(EVENTS.filter((event) => !event.includes('"choices":[]')))(request, wire);
}

const REFUSALS: readonly (readonly [status: number, body: string])[] = [
  [
    400,
    '{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error"}}',
  ],
  [
    422,
    '{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}',
  ],
  [400, '{"object":"error","message":"include_usage is not supported","code":400}'],
  [422, "unknown field `stream_options`, expected one of `model`, `messages`"],
  [422, '{"detail":"Extra inputs are not permitted"}'],
  [400, '{"error":{"message":"Additional properties are not allowed"}}'],
];

Deno.test("an upstream that refuses the option is asked again without it, and is remembered", async () => {
  for (const [status, body] of REFUSALS) {
    await using upstream = new FakeUpstream(refusing(status, body));
    await using router = await start(upstream, { args: ["--max-attempts", "1"] });
    for (let n = 0; n < 2; n++) {
      const response = await post(router, '{"model":"m","stream":true}');
      assert.equal(response.status, 200, body);
      assert.equal(await response.text(), SHORT);
      const record = await router.recordOf(response);
      const classes = router.attempts(record.id).map((attempt) => [attempt.status, attempt.error_class]);
      assert.deepEqual(classes, n === 0 ? [[status, "usage_refused"], [200, null]] : [[200, null]]);
    }
    assert.equal(upstream.requests.length, 3);
    assert.equal(upstream.requests.at(-1)?.text, '{"model":"m","stream":true}');
    assert.equal(await router.metric('attempts_total{upstream="one",result="error"}'), 0);
    await eventually(() => {
      const row = router.query("SELECT usage_refused FROM upstream_checks")[0];
      return typeof row?.usage_refused === "number" ? true : null;
    }, "the refusal");
  }
});

Deno.test("what was learned outlives the program, but not another key", async () => {
  const [[status, body] = [400, ""]] = REFUSALS;
  await using upstream = new FakeUpstream(refusing(status, body));
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    {
      await using router = await start(upstream);
      await (await post(router, '{"stream":true}')).text();
      await eventually(
        () => router.query("SELECT * FROM upstream_checks WHERE usage_refused > 0")[0] ?? null,
        "it",
      );
      Deno.copyFileSync(`${router.directory}/db.sqlite`, `${directory}/db.sqlite`);
      for (const suffix of ["-wal", "-shm"]) {
        try {
          Deno.copyFileSync(`${router.directory}/db.sqlite${suffix}`, `${directory}/db.sqlite${suffix}`);
        } catch {
          // There is none.
        }
      }
    }
    await using router = await Router.start({ directory, env: { OAR_USAGE: "auto" } });
    const before = upstream.requests.length;
    await (await post(router, '{"stream":true}')).text();
    assert.equal(upstream.requests.length, before + 1);
    const doctor = await runProgram(["doctor"], { cwd: directory });
    assert.match(doctor.stdout, /refuses stream_options/);
    router.execute("UPDATE openai_upstreams SET sk = 'sk-test-2'");
    await eventually(async () => {
      const seen = upstream.requests.length;
      await (await post(router, '{"stream":true}')).text();
      return upstream.requests.length === seen + 2 ? true : null;
    }, "another question");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("an error that is not about the option is the client's, and nothing is remembered", async () => {
  const other = '{"error":{"message":"messages is required"}}';
  const echo = (request: ReceivedRequest) =>
    JSON.stringify({ detail: [{ loc: ["messages"], input: JSON.parse(request.text) }] });
  await using upstream = new FakeUpstream(reply(400, other));
  await using router = await start(upstream);
  const refused = await post(router, '{"stream":true}');
  assert.deepEqual([refused.status, await refused.text()], [400, other]);
  assert.equal(upstream.requests.length, 1);
  // One that quotes the request fails all the same without the option.
  upstream.script = (request, wire) => reply(422, echo(request))(request, wire);
  for (let n = 0; n < 2; n++) {
    const response = await post(router, '{"stream":true}');
    assert.deepEqual([response.status, await response.json()], [422, {
      detail: [{ loc: ["messages"], input: { stream: true } }],
    }]);
  }
  assert.equal(upstream.requests.length, 5);
  // The client has asked itself.
  const [[status, body] = [400, ""]] = REFUSALS;
  upstream.script = refusing(status, body);
  const own = await post(router, '{"stream":true,"stream_options":{"include_usage":true}}');
  assert.deepEqual([own.status, await own.text()], [status, body]);
  assert.equal(upstream.requests.length, 6);
  // JSON instead of a stream.
  upstream.script = reply(200, '{"choices":[{"message":{"content":"x"}}],"usage":{}}');
  assert.equal(
    await (await post(router, '{"stream":true}')).text(),
    '{"choices":[{"message":{"content":"x"}}],"usage":{}}',
  );
  assert.equal(router.query("SELECT * FROM upstream_checks WHERE usage_refused IS NOT NULL").length, 0);
});

Deno.test("a reply with a content coding passes as it is, and that upstream is not asked again", async () => {
  const coded = brotliCompressSync(EVENTS.join(""));
  await using upstream = new FakeUpstream(
    inPieces(coded, [], { "content-type": "text/event-stream", "content-encoding": "br" }),
  );
  await using router = await start(upstream);
  assert.equal(await (await post(router, '{"stream":true}')).text(), EVENTS.join(""));
  assert.ok(upstream.requests[0]?.text.includes("stream_options"));
  await (await post(router, '{"stream":true}')).text();
  assert.equal(upstream.requests[1]?.text, '{"stream":true}');
});

Deno.test("the official SDK reads such a stream, and gets usage only if it asks", async () => {
  await using upstream = new FakeUpstream(stream(EVENTS));
  await using router = await start(upstream);
  const client = new OpenAI({ apiKey: router.token, baseURL: router.url, maxRetries: 0 });
  const request = { model: "m", messages: [{ role: "user" as const, content: "hi" }] };
  const { data, response } = await client.chat.completions.create({ ...request, stream: true })
    .withResponse();
  let text = "";
  for await (const part of data) {
    text += part.choices[0]?.delta.content ?? "";
    assert.equal(part.usage ?? null, null);
  }
  assert.equal(text, "Hello world");
  assert.equal((await router.recordOf(response)).output_tokens, 2);
  const asked = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
  assert.equal((await asked.finalChatCompletion()).usage?.completion_tokens, 2);
});

Deno.test("without any count, a record holds an estimate that is marked as one everywhere", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await start(upstream, {}, { usage_injection: "never" });
  const bare = EVENTS.filter((event) => !event.includes('"choices":[]'));
  const ask = async (script: Script, path: string, body: Record<string, unknown>) => {
    upstream.script = script;
    const response = await router.fetch(path, {
      method: "POST",
      body: JSON.stringify({ model: "m", ...body }),
    });
    await response.arrayBuffer();
    const record = await router.recordOf(response);
    return [record.input_tokens, record.output_tokens, record.tokens_are_estimated];
  };
  const messages = [{ role: "user", content: "Say hello, please." }];
  assert.deepEqual(await ask(stream(bare), "/chat/completions", { messages, stream: true }), [9, 2, 1]);
  const json =
    '{"choices":[{"message":{"role":"assistant","content":"Hello world"},"finish_reason":"stop"}]}';
  assert.deepEqual(await ask(reply(200, json), "/chat/completions", { messages }), [9, 2, 1]);
  const vectors = '{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}]}';
  assert.deepEqual(await ask(reply(200, vectors), "/embeddings", { input: "hello world" }), [3, null, 1]);
  // Reported ones are, and errors use nothing.
  assert.deepEqual(await ask(stream(EVENTS), "/chat/completions", { messages, stream: true }), [5, 2, null]);
  const error = '{"error":{"message":"no"}}';
  assert.deepEqual(await ask(reply(400, error), "/chat/completions", { messages }), [null, null, null]);
  const labels = 'upstream="one",model="m"';
  assert.equal(await router.metric(`estimated_tokens_total{${labels},type="input"}`), 21);
  assert.equal(await router.metric(`tokens_total{${labels},type="input"}`), 5);
  const list = await runProgram(["records", "list"], { cwd: router.directory });
  assert.match(list.stdout, /~9 +~2/);
  const shown = await runProgram(["records", "show", "1"], { cwd: router.directory });
  assert.match(shown.stdout, /~9 in, ~2 out/);
  const page = await callApi(router, "/records?limit=10");
  const { records } = await page.json();
  const marks = records.map((each: { areTokensEstimated: boolean }) => each.areTokensEstimated);
  assert.deepEqual(marks.toReversed(), [true, true, true, false, false]);
});

Deno.test("--usage of an upstream is a flag, and shown when it is set", async () => {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await runProgram(args, { cwd: directory });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await run(
      "add",
      "--key",
      "sk-a",
      "--endpoint",
      "http://127.0.0.1:9/v1",
      "--usage",
      "never",
    );
    assert.match(await run("list"), /usage never/);
    await run("edit", "1", "--usage", "auto");
    assert.equal(JSON.parse(await run("list", "--json"))[0].usage, "auto");
    await run("edit", "1", "--usage", "none");
    assert.doesNotMatch(await run("list"), /usage/);
    const wrong = await runProgram(["edit", "1", "--usage", "always"], { cwd: directory });
    assert.notEqual(wrong.code, 0);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
