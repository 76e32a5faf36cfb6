/**
 * Limits of tokens, from outside: requests and tokens of a minute, requests at once; what refused clients are told, and
 * that nothing is lost whatever becomes of a request.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { budgetStage, errorIn, LIMITED_SECRET } from "../support/budget_stage.ts";
import { eventually } from "../support/router.ts";
import { chatEvents, chatReply, cutAfter, hang, reply, silentAfter, stream } from "../support/upstream.ts";

const HELLO = { model: "test-model", messages: [{ role: "user" as const, content: "hi" }] };

/** A `fetch` that counts. */
function counting(): { sent: number; fetch: typeof fetch } {
  const counted = {
    sent: 0,
    fetch: ((...parts: Parameters<typeof fetch>) => {
      counted.sent++;
      return fetch(...parts);
    }) as typeof fetch,
  };
  return counted;
}

Deno.test("rpm: so many requests are admitted, the next one is told when to come again, and others are not affected", async () => {
  await using stage = await budgetStage(chatReply("ok"), { rpm: 3 });
  const left = [];
  for (let time = 0; time < 3; time++) {
    const response = await stage.chat();
    assert.equal(response.status, 200);
    left.push(response.headers.get("x-ratelimit-remaining-requests"));
    await response.text();
  }
  assert.deepEqual(left, ["2", "1", "0"]);
  const refused = await stage.chat();
  assert.equal(refused.status, 429);
  const { headers } = refused;
  assert.equal(headers.get("x-ratelimit-limit-requests"), "3");
  assert.equal(headers.get("x-ratelimit-remaining-requests"), "0");
  assert.match(headers.get("x-ratelimit-reset-requests") ?? "", /^(\d+ms|\d+s|1m\d+s)$/);
  const waitMs = Number(headers.get("retry-after-ms"));
  assert.ok(waitMs > 0 && waitMs <= 61_000, String(waitMs));
  assert.equal(headers.get("retry-after"), String(Math.ceil(waitMs / 1000)));
  assert.equal(headers.get("x-should-retry"), null);
  const { type, code, message } = await errorIn(refused);
  assert.deepEqual([type, code], ["requests", "rate_limit_exceeded"]);
  assert.match(message ?? "", /^The token amy may have 3 requests a minute \(rpm\); try again in \d+ s$/);
  assert.equal(stage.upstream.requests.length, 3);
  assert.equal((await stage.router.chat()).status, 200);
  // Look-ups count, too.
  const models = await stage.router.fetch("/models", {
    headers: { authorization: `Bearer ${LIMITED_SECRET}` },
  });
  assert.equal(models.status, 429);
  await models.text();
});

Deno.test("tpm: a request is debited by what it may use, and corrected by what it used", async () => {
  await using stage = await budgetStage(chatReply("ok"), { tpm: 1_000 });
  const first = await stage.chat({ max_tokens: 900 });
  assert.equal(first.status, 200);
  assert.equal(first.headers.get("x-ratelimit-limit-tokens"), "1000");
  await first.text();
  // Twelve were used, so the next one fits.
  const second = await stage.chat({ max_tokens: 900 });
  assert.equal(second.status, 200);
  await second.text();
  stage.upstream.script = hang;
  const leaving = new AbortController();
  const held = stage.chat({ max_tokens: 900 }, { signal: leaving.signal }).catch(() => null);
  await stage.upstream.received(3);
  const refused = await stage.chat({ max_tokens: 900 });
  assert.equal(refused.status, 429);
  assert.match(refused.headers.get("x-ratelimit-reset-tokens") ?? "", /^\d+s$/);
  const { type, code, message } = await errorIn(refused);
  assert.deepEqual([type, code], ["tokens", "rate_limit_exceeded"]);
  assert.match(message ?? "", /1000 tokens a minute \(tpm\)/);
  // What is small fits beside it.
  stage.upstream.script = chatReply("ok");
  assert.equal((await stage.chat({ max_tokens: 10 })).status, 200);
  leaving.abort();
  await held;
});

Deno.test("a request larger than the whole limit is let through alone", async () => {
  await using stage = await budgetStage(chatReply("ok"), { tpm: 100 });
  const response = await stage.chat({ max_tokens: 5_000 });
  assert.equal(response.status, 200);
  await response.text();
});

Deno.test("requests at once: the next one is refused, and whatever becomes of the first, its place is free again", async () => {
  await using stage = await budgetStage(hang, { max_parallel: 1 });
  const free = async (what: string) => {
    stage.upstream.script = chatReply("ok");
    await eventually(async () => {
      const response = await stage.chat();
      await response.text();
      return response.status === 200 ? true : null;
    }, `a place after ${what}`);
  };
  await free("the start");
  const leave = async (script: typeof hang | ReturnType<typeof stream>, body: Record<string, unknown>) => {
    stage.upstream.script = script;
    const leaving = new AbortController();
    const before = stage.upstream.requests.length;
    const answer = stage.chat(body, { signal: leaving.signal });
    await stage.upstream.received(before + 1);
    const refused = await stage.chat();
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("retry-after"), "1");
    assert.equal((await errorIn(refused)).code, "rate_limit_exceeded");
    leaving.abort();
    await answer.then((response) => response.body?.cancel(), () => {});
  };
  await leave(hang, {});
  await free("leaving before an answer");
  await leave(silentAfter(chatEvents(["one", "two"]).slice(0, 3)), { stream: true });
  await free("leaving in a stream");
  for (
    const [what, script, body] of [
      ["an error", reply(500, "{}"), {}],
      ["a refusal", reply(400, '{"error":{"message":"no"}}'), {}],
      ["a stream that is cut", cutAfter(chatEvents(["one"]).slice(0, 2)), { stream: true }],
      ["a stream", stream(chatEvents(["one"])), { stream: true }],
      ["a bad gate", chatReply("ok"), { headers: { "x-oar-gate": "never" } }],
    ] as const
  ) {
    stage.upstream.script = script;
    const { headers, ...rest } = body as { headers?: HeadersInit };
    await (await stage.chat(
      rest,
      headers === undefined ? {} : { headers: { ...headers as Record<string, string> } },
    )).text()
      .catch(() => "");
    await free(what);
  }
  const [gauge] = [await stage.router.metric('client_refused_total{client="amy",reason="parallel"}')];
  assert.ok(gauge >= 2);
});

Deno.test("what an upstream says of its own limits is kept under another name for such a token, and as it is for others", async () => {
  await using stage = await budgetStage(
    reply(200, "{}", {
      "x-ratelimit-remaining-requests": "77",
      "anthropic-ratelimit-tokens-remaining": "88",
    }),
    { rpm: 50 },
  );
  const ours = (await stage.chat()).headers;
  assert.equal(ours.get("x-oar-upstream-ratelimit-remaining-requests"), "77");
  assert.equal(ours.get("x-oar-upstream-ratelimit-tokens-remaining"), "88");
  assert.equal(ours.get("anthropic-ratelimit-tokens-remaining"), null);
  assert.ok(Number(ours.get("x-ratelimit-remaining-requests")) <= 49);
  const others = (await stage.router.chat()).headers;
  assert.equal(others.get("x-ratelimit-remaining-requests"), "77");
  assert.equal(others.get("anthropic-ratelimit-tokens-remaining"), "88");
  assert.equal(others.get("x-ratelimit-limit-requests"), null);
});

Deno.test("OpenAI's SDK waits as long as it is told, and succeeds", async () => {
  await using stage = await budgetStage(hang, { max_parallel: 1 });
  const leaving = new AbortController();
  const held = stage.chat({}, { signal: leaving.signal }).catch(() => null);
  await stage.upstream.received(1);
  stage.upstream.script = chatReply("ok");
  const counted = counting();
  const client = new OpenAI({
    ...{ baseURL: stage.router.url, apiKey: LIMITED_SECRET, maxRetries: 5 },
    fetch: async (...parts) => {
      const response = await counted.fetch(...parts);
      if (response.status === 429) leaving.abort();
      return response;
    },
  });
  const answer = await client.chat.completions.create(HELLO);
  assert.equal(answer.choices[0]?.message.content, "ok");
  await held;
  assert.equal(counted.sent, 2);
});

Deno.test("Anthropic's SDK gets its own form of the refusal, stops at a used up budget, and waits at a limit", async () => {
  const message = {
    ...{ id: "msg_1", type: "message", role: "assistant", model: "test-model", stop_reason: "end_turn" },
    ...{ content: [{ type: "text", text: "ok" }], usage: { input_tokens: 5, output_tokens: 7 } },
  };
  await using stage = await budgetStage(hang, { max_parallel: 1, budget_usd: "1", prices: { request: 0.6 } });
  const counted = counting();
  const leaving = new AbortController();
  const client = new Anthropic({
    ...{ baseURL: stage.router.url.replace(/\/v1$/, ""), apiKey: LIMITED_SECRET, maxRetries: 5 },
    fetch: async (...parts) => {
      const response = await counted.fetch(...parts);
      if (response.status === 429) leaving.abort();
      return response;
    },
  });
  const held = stage.chat({ model: "nobody" }).then((response) => response.text());
  await held;
  const slow = stage.router.fetch("/files", {
    headers: { authorization: `Bearer ${LIMITED_SECRET}` },
    signal: leaving.signal,
  }).catch(() => null);
  await stage.upstream.received(1);
  stage.upstream.script = reply(200, JSON.stringify(message));
  const ask = () => client.messages.create({ ...HELLO, max_tokens: 10 });
  assert.equal((await ask()).content[0]?.type, "text");
  await slow;
  assert.equal(counted.sent, 2);
  counted.sent = 0;
  await assert.rejects(
    ask(),
    (error) =>
      error instanceof Anthropic.RateLimitError &&
      /budget of \$1\.00 a month of the token amy is too small for this request: \$0\.60 of it/.test(
        error.message,
      ),
  );
  assert.equal(counted.sent, 1);
});
