/**
 * What the client gets when every upstream fails: the best of their answers, whatever the order.
 */
import assert from "node:assert/strict";
import { decodeChunked, isTerminated, rawChat, RawClient } from "../support/raw_client.ts";
import { Router } from "../support/router.ts";
import {
  chatEvent,
  chunk,
  cutAfter,
  FakeUpstream,
  hang,
  head,
  refusingEndpoint,
  reply,
  type Script,
  silentAfter,
  stream,
} from "../support/upstream.ts";

const KEY = "sk-best-0123456789abcdef";
const PING = ": ping\n\n";

function error(status: number, message: string, code: string | null = null): Script {
  return reply(status, JSON.stringify({ error: { message, type: "t", code } }));
}

const FINISHED = [chatEvent({ role: "assistant", content: "" }), chatEvent({}, "length"), "data: [DONE]\n\n"];

/** Best first: the status that the client gets, and what the upstream does. */
const ANSWERS: readonly (readonly [name: string, status: number, Script])[] = [
  ["a finished stream", 200, stream(FINISHED)],
  ["400", 400, error(400, "this is wrong")],
  ["404", 404, error(404, "no such model")],
  ["429", 429, error(429, "slow down")],
  ["403", 403, error(403, "not allowed")],
  ["503", 503, error(503, "overloaded")],
  ["418", 418, error(418, "a teapot")],
  ["a connection that ends", 0, (_request, wire) => wire.close()],
  ["a stream that is cut", 0, cutAfter([FINISHED[0] ?? ""])],
];

class Pair implements AsyncDisposable {
  constructor(readonly first: FakeUpstream, readonly second: FakeUpstream, readonly router: Router) {}

  static async start(args: readonly string[] = []): Promise<Pair> {
    const [first, second] = [new FakeUpstream(hang), new FakeUpstream(hang)];
    const upstreams = [first, second].map(({ endpoint }, at) => ({ endpoint, name: `u${at + 1}`, sk: KEY }));
    return new Pair(first, second, await Router.start({ upstreams, args }));
  }

  async ask(first: Script, second: Script): Promise<Response> {
    this.first.script = first;
    this.second.script = second;
    return await this.router.chat({ stream: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    await this.first[Symbol.asyncDispose]();
    await this.second[Symbol.asyncDispose]();
  }
}

Deno.test("the better of two failures is given, whichever came first", async (t) => {
  await using pair = await Pair.start();
  for (const [at, [better, status, betterScript]] of ANSWERS.entries()) {
    for (const [worse, , worseScript] of ANSWERS.slice(at + 1)) {
      if (status === 0) continue;
      await t.step(`${better} and ${worse}`, async () => {
        const texts: string[] = [];
        for (const isFirst of [true, false]) {
          const response = isFirst
            ? await pair.ask(betterScript, worseScript)
            : await pair.ask(worseScript, betterScript);
          assert.equal(response.status, status);
          // Cooling upstreams are asked last, so either may have been asked first.
          assert.equal(response.headers.get("x-oar-upstream"), isFirst ? "u1" : "u2");
          texts.push(await response.text());
          const record = await pair.router.recordOf(response);
          assert.deepEqual([record.status, record.attempts], [status, 2]);
          assert.equal(record.upstream_id, isFirst ? 1 : 2);
          const classes = pair.router.attempts(record.id).filter(({ upstream_id }) =>
            upstream_id === record.upstream_id
          ).map(({ error_class }) => error_class);
          assert.deepEqual(classes, status === 200 ? [null] : ["http_status"]);
          assert.equal(record.outcome, status === 200 ? "complete" : "upstream_error");
        }
        assert.equal(texts[0], texts[1]);
        if (status === 200) assert.equal(texts[0], FINISHED.join(""));
      });
    }
  }
});

Deno.test("among equals, the last answer is given", async () => {
  await using pair = await Pair.start();
  const response = await pair.ask(error(400, "the first"), error(413, "the last"));
  assert.equal(response.status, 413);
  assert.match(await response.text(), /the last/);
});

Deno.test("an error that came with status 200 counts as what it says, behind one with its own status", async (t) => {
  await using pair = await Pair.start();
  const inBand = (type: string) =>
    reply(200, JSON.stringify({ error: { message: `in band: ${type}`, type } }));
  await t.step("a client's mistake before a 503", async () => {
    const response = await pair.ask(inBand("invalid_request_error"), error(503, "down"));
    assert.equal(
      await response.text(),
      '{"error":{"message":"in band: invalid_request_error","type":"invalid_request_error"}}',
    );
  });
  await t.step("an overload after a 503", async () => {
    const response = await pair.ask(error(503, "down"), inBand("overloaded_error"));
    assert.equal(response.status, 503);
    await response.body?.cancel();
  });
});

Deno.test("a kept answer has its upstream's key masked, and its headers", async () => {
  await using pair = await Pair.start();
  const body = JSON.stringify({ error: { message: `wrong: ${KEY}` } });
  const response = await pair.ask(
    reply(400, body, { "retry-after": "3", "x-said": KEY }),
    error(503, "down"),
  );
  const text = await response.text();
  assert.equal(text, body.replace(KEY, `sk-${"*".repeat(KEY.length - 3)}`));
  assert.equal(response.headers.get("retry-after"), "3");
  assert.equal(response.headers.get("x-said")?.includes(KEY), false);
  assert.equal(JSON.stringify(await pair.router.recordOf(response)).includes(KEY), false);
});

Deno.test("an answer is kept within bounds", async (t) => {
  await using pair = await Pair.start();
  const long = (bytes: number) => JSON.stringify({ error: { message: "m", input: "x".repeat(bytes) } });
  await t.step("one that quotes a long request is kept in full", async () => {
    const response = await pair.ask(reply(422, long(500_000)), error(503, "down"));
    assert.equal(response.status, 422);
    assert.equal((await response.text()).length, long(500_000).length);
  });
  await t.step("a larger one gives way to the next best", async () => {
    const response = await pair.ask(reply(400, long(1_100_000)), error(503, "down"));
    assert.equal(response.status, 503);
    await response.body?.cancel();
  });
  await t.step("one that does not end gives way, too", async () => {
    const endless: Script = async (request, wire) => {
      await wire.write(head(503, { "content-type": "text/plain", "transfer-encoding": "chunked" }));
      await wire.write(chunk("going on"));
      await request.closed;
    };
    const response = await pair.ask(endless, error(418, "a teapot"));
    assert.equal(response.status, 418);
    await response.body?.cancel();
  });
  await t.step("with no memory for it, the last answer is given", async () => {
    await using small = await Pair.start(["--max-held", "0"]);
    const response = await small.ask(error(400, "wrong"), error(503, "down"));
    assert.equal(response.status, 503);
    await response.body?.cancel();
  });
});

Deno.test("upstreams count as unreachable only when none was reached", async () => {
  await using upstream = new FakeUpstream(cutAfter([]));
  const gone = { endpoint: refusingEndpoint(), name: "gone" };
  const reached = { endpoint: upstream.endpoint, name: "reached" };
  await using router = await Router.start({ upstreams: [reached, gone] });
  const mixed = await (await router.chat({ stream: true })).json();
  assert.equal(mixed.error.code, "upstream_unreachable");
  assert.match(
    mixed.error.message,
    /^The last upstream could not be reached: .*; one before it: the stream broke off/,
  );
  await using alone = await Router.start({ upstreams: [gone] });
  assert.match(
    (await (await alone.chat()).json()).error.message,
    /^No upstream could be reached; the last one said: /,
  );
});

Deno.test("an answer in hand is given when the deadline passes", async () => {
  await using pair = await Pair.start(["--deadline", "1"]);
  const response = await pair.ask(error(400, "wrong"), hang);
  assert.equal(response.status, 400);
  const record = await pair.router.recordOf(response);
  assert.deepEqual(
    pair.router.attempts(record.id).map(({ error_class }) => error_class),
    ["http_status", "deadline_exceeded"],
  );
});

Deno.test("once a stream has begun, the best answer is conveyed as its error", async (t) => {
  await using pair = await Pair.start(
    "--gate-ms 50 --first-token-timeout 1 --idle-timeout 1 --keepalive 0".split(" "),
  );
  const cases: [name: string, Script, Script][] = [
    ["first", error(400, "too wrong", "very_wrong"), silentAfter([PING])],
    ["last", silentAfter([PING]), error(400, "too wrong", "very_wrong")],
  ];
  for (const [name, first, second] of cases) {
    await t.step(`from the ${name} upstream`, async () => {
      pair.first.script = first;
      pair.second.script = second;
      using client = await RawClient.connect(pair.router.port);
      await client.send(rawChat(pair.router.token, { stream: true }));
      const text = await client.readToEnd();
      assert.equal(isTerminated(text), false);
      const body = decodeChunked(client);
      assert.match(body, /"message":"too wrong"/);
      assert.match(body, /"code":"very_wrong"/);
      const record = (await pair.router.recorded(1)).at(-1);
      assert.deepEqual([record?.outcome, record?.status], ["upstream_error", 400]);
      assert.equal(record?.upstream_id, name === "first" ? 1 : 2);
    });
  }
  await t.step("a finished stream goes on in it", async () => {
    pair.first.script = stream(FINISHED);
    pair.second.script = silentAfter([PING]);
    using client = await RawClient.connect(pair.router.port);
    await client.send(rawChat(pair.router.token, { stream: true }));
    await client.readToEnd();
    assert.equal(decodeChunked(client).replaceAll(PING, ""), FINISHED.join(""));
  });
});
