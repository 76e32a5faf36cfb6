/**
 * A budget while the server is killed and started again, over and over: what the upstream has served never costs more than
 * the budget and the stated bound.
 */
import assert from "node:assert/strict";
import { type BudgetStage, budgetStage, LIMITED_SECRET, spentIn } from "../support/budget_stage.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatCompletion,
  chatEvents,
  chunk,
  LAST_CHUNK,
  reply,
  type Script,
  STREAM_HEAD,
} from "../support/upstream.ts";

const BUDGET_NANO = 6_000_000_000;
const REQUESTS = 200;
const KILLS = 2;
const HEADERS = { authorization: `Bearer ${LIMITED_SECRET}` };

/** Requests at once; resolves when all are over, however they ended. */
function flood(router: Router, body: Record<string, unknown>): Promise<unknown> {
  return Promise.all(
    Array.from({ length: REQUESTS }, async () => {
      try {
        const response = await router.chat(body, { headers: HEADERS });
        await response.text();
        return response.status;
      } catch {
        // Its server was killed.
        return null;
      }
    }),
  );
}

interface Case {
  readonly name: string;
  readonly prices: Readonly<Record<string, number>>;
  readonly body: Record<string, unknown>;
  /** What each request costs once it has reached the upstream, at most. */
  readonly costNano: number;
  /** What is reserved for it. */
  readonly reservedNano: number;
  readonly answer: Script;
  /** Answers some of it, and no more. */
  readonly halfAnswer: Script;
}

const WORDS = chatEvents(Array.from({ length: 14 }, (_, at) => `w${at} `));

const CASES: readonly Case[] = [
  {
    name: "whole replies",
    prices: { request: 0.01, input: 0, output: 0 },
    body: {},
    costNano: 10_000_000,
    reservedNano: 10_000_000,
    answer: reply(200, JSON.stringify(chatCompletion("ok"))),
    halfAnswer: async (request) => await request.closed,
  },
  {
    name: "streams of unknown length",
    // 14 tokens, of which the request has announced ten.
    prices: { input: 0, output: 1_000 },
    body: { stream: true, max_tokens: 10 },
    costNano: 14_000_000,
    reservedNano: 10_000_000,
    answer: async (_, wire) => await wire.write(STREAM_HEAD + WORDS.map(chunk).join("") + LAST_CHUNK),
    halfAnswer: async (request, wire) => {
      await wire.write(STREAM_HEAD + WORDS.slice(0, 7).map(chunk).join(""));
      await request.closed;
    },
  },
];

/** Kills the server while some replies are over and others under way. @returns the next one */
async function killUnderWay(
  stage: BudgetStage,
  router: Router,
  each: Case,
  args: readonly string[],
): Promise<Router> {
  let answered = 0;
  const before = stage.upstream.requests.length;
  stage.upstream.script = (request, wire) =>
    (++answered % 2 === 0 ? each.answer : each.halfAnswer)(request, wire);
  const over = flood(router, each.body);
  // Some of what was spent is noted by then, the rest is not.
  const noted = spentIn(router).costNano;
  await eventually(() => {
    const isUnderWay = stage.upstream.requests.length >= before + 40;
    return isUnderWay && spentIn(router).costNano > noted ? true : null;
  }, "requests at the upstream");
  router.signal("SIGKILL");
  await router.exited();
  await over;
  return await Router.start({ directory: router.directory, args });
}

for (const each of CASES) {
  Deno.test(`a budget holds while the server is killed ${KILLS} times: ${each.name}`, async () => {
    const prices = await Deno.makeTempFile({ suffix: ".json" });
    await Deno.writeTextFile(prices, JSON.stringify({ "test-model": each.prices }));
    const args = ["--prices", prices];
    const columns = { budget_usd: String(BUDGET_NANO / 1e9), budget_period: "total" };
    await using stage = await budgetStage(each.answer, { prices: each.prices, ...columns });
    let router = stage.router;
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        const next = await killUnderWay(stage, router, each, args);
        if (router !== stage.router) await router[Symbol.asyncDispose]();
        router = next;
      }
      stage.upstream.script = each.answer;
      for (let turn = 0; turn < 3; turn++) await flood(router, each.body);
      const served = stage.upstream.requests.length;
      const bound = served * (each.costNano - each.reservedNano);
      // What was under way at a kill is charged as it was reserved.
      const spent = await eventually(() => {
        const sums = spentIn(router);
        return router.query("SELECT 1 FROM token_leases").length === 0 ? sums : null;
      }, "the charges");
      console.log(
        `${each.name}: ${served} requests reached the upstream, at most ${
          served * each.costNano / 1e9
        } USD; ` +
          `budget ${BUDGET_NANO / 1e9}, bound ${bound / 1e9}; charged ${spent.costNano / 1e9}, ` +
          `of it estimated ${spent.estimatedNano / 1e9}`,
      );
      assert.ok(served * each.costNano <= BUDGET_NANO + bound);
      assert.ok(spent.costNano <= BUDGET_NANO + bound);
      assert.ok(spent.costNano + bound >= served * each.costNano);
      assert.ok(spent.estimatedNano > 0);
      // It is used up, for this server and for the next.
      assert.equal((await router.chat(each.body, { headers: HEADERS })).status, 429);
    } finally {
      if (router !== stage.router) await router[Symbol.asyncDispose]();
      await Deno.remove(prices);
    }
  });
}
