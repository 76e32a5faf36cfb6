/**
 * Budgets of tokens, from outside: they hold whatever comes at once, over restarts, and the client is told in time.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import OpenAI from "openai";
import { budgetStage, errorIn, LIMITED_SECRET, spentIn } from "../support/budget_stage.ts";
import { eventually, Router } from "../support/router.ts";
import { chatCompletion, chatEvents, chatReply, cutAfter, hang, reply, stream } from "../support/upstream.ts";

/** One request costs a cent. */
const CENT = { request: 0.01, input: 0, output: 0 };
const CENT_NANO = 10_000_000;
const AS_AMY: RequestInit = { headers: { authorization: `Bearer ${LIMITED_SECRET}` } };

/** Statuses of so many requests at once, with the codes of the refusals. */
async function atOnce(count: number, send: () => Promise<Response>): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  await Promise.all(Array.from({ length: count }, async () => {
    const response = await send();
    const text = await response.text();
    const key = response.ok ? "200" : `${response.status} ${JSON.parse(text).error.code}`;
    found.set(key, (found.get(key) ?? 0) + 1);
  }));
  return found;
}

Deno.test("200 first requests at once against a budget for 20: 20 are served, and no cent more is spent", async () => {
  await using stage = await budgetStage(chatReply("ok"), {
    prices: CENT,
    budget_usd: "0.2",
    budget_period: "day",
  });
  const found = await atOnce(200, () => stage.chat());
  const spent = await eventually(() => {
    const sums = stage.spent();
    return sums.costNano >= 20 * CENT_NANO ? sums : null;
  }, "the spending");
  console.log("200 at once, budget 0.2 USD:", Object.fromEntries(found), spent);
  assert.equal(found.get("200"), 20);
  assert.deepEqual(spent, { costNano: 20 * CENT_NANO, overshootNano: 0, estimatedNano: 0 });
  assert.equal(stage.upstream.requests.length, 20);
  const refused = await stage.chat();
  assert.equal(refused.status, 429);
  const { headers } = refused;
  assert.equal(headers.get("x-should-retry"), "false");
  const seconds = Number(headers.get("retry-after"));
  assert.ok(seconds > 0 && seconds <= 86_400, String(seconds));
  const { type, code, message } = await errorIn(refused);
  assert.deepEqual([type, code], ["insufficient_quota", "insufficient_quota"]);
  assert.match(message ?? "", /0\.2\/day USD of the token amy is used up: 0\.2 are spent/);
  assert.ok(!message?.includes(LIMITED_SECRET));
});

Deno.test("streams of unknown length at once: spent is at most the budget and what they cost beyond their estimate", async () => {
  // A token of the reply costs a tenth of a cent, and a request says that it wants at most ten.
  const words = Array.from({ length: 14 }, (_, at) => `w${at} `);
  await using stage = await budgetStage(stream(chatEvents(words)), {
    prices: { input: 0, output: 1_000 },
    budget_usd: "0.2",
  });
  const found = await atOnce(200, () => stage.chat({ stream: true, max_tokens: 10 }));
  const served = found.get("200") ?? 0;
  // Each costs 14 tenths of a cent, and ten were reserved.
  const [cost, estimate] = [14_000_000, 10_000_000];
  const bound = served * (cost - estimate);
  const spent = await eventually(() => {
    const sums = stage.spent();
    return sums.costNano === served * cost ? sums : null;
  }, "the spending");
  console.log(`streams: spent ${spent.costNano}, budget 200000000, bound of the overshoot ${bound}`, spent);
  assert.ok(served >= 14 && served <= 20, String(served));
  assert.ok(spent.costNano <= 200_000_000 + bound);
  assert.equal(spent.overshootNano, Math.max(0, spent.costNano - 200_000_000));
  const overshoot = await stage.router.metric("budget_overshoot_usd_total");
  assert.ok(Math.abs(overshoot * 1e9 - spent.overshootNano) < 1);
});

Deno.test("a request that fits when others have cost less than was reserved is told to come again soon", async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  await using stage = await budgetStage(async (request, wire) => {
    await gate;
    await chatReply("ok")(request, wire);
  }, { prices: { input: 0, output: 1_000 }, budget_usd: "0.2" });
  const first = stage.chat({ max_tokens: 150 });
  await stage.upstream.received(1);
  const refused = await stage.chat({ max_tokens: 100 });
  assert.deepEqual(
    [refused.status, refused.headers.get("retry-after"), refused.headers.get("x-should-retry")],
    [429, "1", null],
  );
  assert.equal((await errorIn(refused)).code, "budget_reserved");
  open();
  await (await first).text();
  // Seven tokens, not 150.
  assert.equal((await stage.chat({ max_tokens: 100 })).status, 200);
});

Deno.test("a budget holds over SIGKILL: what was reserved counts as spent", async () => {
  await using stage = await budgetStage(hang, { prices: CENT, budget_usd: "0.2" });
  const { router } = stage;
  const sent = Array.from(
    { length: 30 },
    () => stage.chat().then((response) => response.text(), () => "gone"),
  );
  await stage.upstream.received(20);
  router.signal("SIGKILL");
  await router.exited();
  await Promise.all(sent);
  stage.upstream.script = chatReply("ok");
  await using again = await Router.start({ directory: router.directory, args: stage.priceArgs });
  const found = await atOnce(30, () => again.chat({}, AS_AMY));
  const spent = spentIn(again);
  console.log("after SIGKILL with 20 under way:", Object.fromEntries(found), spent);
  assert.equal(found.get("200") ?? 0, 0);
  assert.ok(spent.costNano <= 20 * CENT_NANO);
});

Deno.test("a model without a price is refused for a token with a budget, with what to do, and with a price of 0 it is not", async () => {
  await using stage = await budgetStage(chatReply("ok"), {
    prices: { input: 0, output: 0 },
    budget_usd: "0",
  });
  const refused = await stage.chat({ model: "nobody-knows" });
  assert.equal(refused.status, 403);
  const { code, message } = await errorIn(refused);
  assert.equal(code, "price_unknown");
  assert.match(
    message ?? "",
    /price of the model nobody-knows at the upstream only is not known; .*--prices/,
  );
  // Nothing may be spent, and this costs nothing.
  const free = await stage.chat();
  assert.deepEqual([free.status, free.headers.get("x-oar-cost")], [200, "0"]);
  // Without a budget, nobody counts.
  assert.equal((await stage.router.chat({ model: "nobody-knows" })).status, 200);
});

Deno.test("a reply says what it cost, and an estimate is charged where nobody says", async () => {
  const unsaid = { ...chatCompletion("ok") };
  delete unsaid["usage"];
  await using stage = await budgetStage(chatReply("ok"), {
    prices: { input: 1, output: 10, request: 0.01 },
    budget_usd: "1",
  });
  const known = await stage.chat();
  // 5 and 7 tokens, in millionths of a dollar, and a cent.
  assert.equal(known.headers.get("x-oar-cost"), "0.010075");
  await known.text();
  stage.upstream.script = reply(200, JSON.stringify(unsaid));
  const unknown = await stage.chat({ max_tokens: 100 });
  await unknown.text();
  const spent = await eventually(
    () => stage.spent().estimatedNano > 0 ? stage.spent() : null,
    "the estimate",
  );
  // By the texts of request and reply, not by what was reserved.
  assert.ok(
    spent.estimatedNano > 10_000_000 && spent.estimatedNano < 11_000_000,
    String(spent.estimatedNano),
  );
  assert.equal(spent.costNano, 10_075_000 + spent.estimatedNano);
});

Deno.test("a run in the background costs what was reserved, whatever its first reply says", async () => {
  const begun = { id: "resp_1", object: "response", status: "queued", model: "test-model", output: [] };
  await using stage = await budgetStage(reply(200, JSON.stringify(begun)), {
    prices: { input: 1, output: 10 },
    budget_usd: "1",
  });
  const answer = await fetch(`${stage.router.url}/responses`, {
    method: "POST",
    headers: { "authorization": `Bearer ${LIMITED_SECRET}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "test-model", input: "x", background: true }),
  });
  await answer.text();
  const spent = await eventually(() => stage.spent().costNano > 0 ? stage.spent() : null, "the charge");
  // 4,096 tokens of output.
  assert.ok(spent.estimatedNano >= 40_960_000, String(spent.estimatedNano));
});

Deno.test("an attempt that fails before any output costs nothing, and its reservation is free again", async () => {
  await using stage = await budgetStage(reply(400, '{"error":{"message":"no"}}'), {
    prices: CENT,
    budget_usd: "0.01",
  });
  for (let time = 0; time < 3; time++) assert.equal((await stage.chat()).status, 400);
  stage.upstream.script = chatReply("ok");
  assert.equal((await stage.chat()).status, 200);
  assert.equal((await stage.chat()).status, 429);
});

Deno.test("a larger budget lets requests in within a second", async () => {
  await using stage = await budgetStage(chatReply("ok"), { prices: CENT, budget_usd: "0.01" });
  assert.equal((await stage.chat()).status, 200);
  assert.equal((await stage.chat()).status, 429);
  stage.router.execute("UPDATE client_tokens SET budget_usd = '0.02'");
  await eventually(async () => (await stage.chat()).status === 200 ? true : null, "the larger budget");
  assert.equal((await stage.chat()).status, 429);
});

Deno.test("OpenAI's SDK stops at once where the budget is used up", async () => {
  await using stage = await budgetStage(chatReply("ok"), { prices: CENT, budget_usd: "0" });
  let sent = 0;
  const client = new OpenAI({
    baseURL: stage.router.url,
    apiKey: LIMITED_SECRET,
    maxRetries: 5,
    fetch: (...parts: Parameters<typeof fetch>) => {
      sent++;
      return fetch(...parts);
    },
  });
  await assert.rejects(
    client.chat.completions.create({ model: "test-model", messages: [{ role: "user", content: "hi" }] }),
    (error) => error instanceof OpenAI.RateLimitError && error.code === "insufficient_quota",
  );
  assert.equal(sent, 1);
  assert.equal(stage.upstream.requests.length, 0);
});

Deno.test("metrics and the page's numbers tell who was refused, and what is left", async () => {
  await using stage = await budgetStage(chatReply("ok"), { prices: CENT, budget_usd: "0.02" });
  for (let time = 0; time < 3; time++) await (await stage.chat()).text();
  const { router } = stage;
  assert.equal(await router.metric('client_budget_usd{client="amy"}'), 0.02);
  assert.equal(await router.metric('client_budget_spent_usd{client="amy"}'), 0.02);
  assert.equal(await router.metric('client_budget_remaining_usd{client="amy"}'), 0);
  assert.equal(await router.metric('client_refused_total{client="amy",reason="budget"}'), 1);
  const refusals = () =>
    router.text.split("\n").filter((line) => /refused a request of the token "?amy"?: "?budget/.test(line));
  await eventually(() => refusals().length > 0 ? true : null, "the line");
  assert.equal(refusals().length, 1, router.text);
});

Deno.test("a stop gives the lease back, and the next start spends exactly what is left", async () => {
  await using stage = await budgetStage(chatReply("ok"), {
    prices: CENT,
    budget_usd: "0.1",
    budget_period: "total",
  });
  const { router } = stage;
  for (let time = 0; time < 3; time++) await (await stage.chat()).text();
  router.signal("SIGTERM");
  assert.equal(await router.exited(), 0);
  assert.equal(stage.spent().costNano, 3 * CENT_NANO);
  assert.deepEqual(router.query("SELECT * FROM token_leases WHERE nano > 0"), []);
  await using again = await Router.start({ directory: router.directory, args: stage.priceArgs });
  const found = await atOnce(30, () => again.chat({}, AS_AMY));
  assert.equal(found.get("200"), 7);
  const refused = await eventually(async () => {
    const response = await again.chat({}, AS_AMY);
    const { code } = await errorIn(response);
    return code === "insufficient_quota" ? response : null;
  }, "the budget's end");
  // Nobody knows when a total begins anew.
  assert.deepEqual([refused.headers.get("retry-after"), refused.headers.get("x-should-retry")], [
    null,
    "false",
  ]);
});

Deno.test("a database that cannot be written: beyond the lease 503, others are served, and who leaves meanwhile keeps nothing", async () => {
  await using stage = await budgetStage(chatReply("ok"), {
    prices: CENT,
    budget_usd: "0.01",
    max_parallel: 1,
  });
  const { router } = stage;
  const locked = new DatabaseSync(`${router.directory}/db.sqlite`);
  try {
    locked.exec("BEGIN IMMEDIATE");
    const leaving = new AbortController();
    const waiting = stage.chat({}, { signal: leaving.signal }).catch(() => null);
    // It has its place, and waits for its lease.
    await eventually(async () => {
      const response = await stage.chat();
      const { code } = await errorIn(response);
      return code === "rate_limit_exceeded" ? true : null;
    }, "the place to be taken");
    assert.equal((await router.chat()).status, 200);
    leaving.abort();
    await waiting;
    const refused = await eventually(async () => {
      const response = await stage.chat();
      const { code } = await errorIn(response);
      return code === "budget_unavailable" ? response : null;
    }, "the refusal");
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
    locked.exec("ROLLBACK");
  } finally {
    locked.close();
  }
  // There is money for one, and a place for one: neither was lost.
  await eventually(async () => {
    const response = await stage.chat();
    await response.text();
    return response.status === 200 ? true : null;
  }, "the one request");
  assert.equal(stage.upstream.requests.length, 2);
  assert.equal(await router.metric('client_budget_reserved_usd{client="amy"}'), 0);
});

Deno.test("failed attempts and hedges are charged once, and nothing stays reserved", async () => {
  await using stage = await budgetStage(chatReply("ok"), { prices: CENT, budget_usd: "1" });
  const { router, upstream } = stage;
  for (
    const [script, body] of [
      [cutAfter(chatEvents(["one"]).slice(0, 2)), { stream: true }],
      [reply(500, "{}"), {}],
      [reply(200, "not JSON"), {}],
      [stream(chatEvents(["one"])), { stream: true }],
    ] as const
  ) {
    upstream.script = script;
    await (await stage.chat(body)).text().catch(() => "");
  }
  await eventually(async () => {
    const reserved = await router.metric('client_budget_reserved_usd{client="amy"}');
    return reserved === 0 && stage.spent().costNano > 0 ? true : null;
  }, "nothing to be reserved");
  const records = await router.recorded(4);
  await eventually(() => {
    const [{ requests } = {}] = router.query("SELECT sum(requests) AS requests FROM token_spend");
    return requests === 4 ? true : null;
  }, "four requests to be noted");
  const known = records.reduce((sum, { cost_nano: nano }) => sum + Number(nano ?? 0), 0);
  const { costNano, estimatedNano } = stage.spent();
  assert.ok(costNano >= known && costNano - known <= estimatedNano, `${costNano} ${known} ${estimatedNano}`);
});

Deno.test("requests that a stop ends are charged what was reserved, and noted before the end", async () => {
  await using stage = await budgetStage(hang, {
    prices: CENT,
    budget_usd: "1",
    args: ["--drain-timeout", "0"],
  });
  const held = Array.from({ length: 3 }, () => stage.chat().then((response) => response.text(), () => ""));
  await stage.upstream.received(3);
  stage.router.signal("SIGTERM");
  assert.equal(await stage.router.exited(), 0);
  await Promise.all(held);
  const { costNano, estimatedNano } = stage.spent();
  assert.deepEqual([costNano, estimatedNano], [3 * CENT_NANO, 3 * CENT_NANO]);
  assert.deepEqual(stage.router.query("SELECT * FROM token_leases WHERE nano > 0"), []);
});
