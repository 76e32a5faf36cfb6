/**
 * LiteLLM's SDK at limits of a token: it stops where the budget is used up, and waits where it is told to.
 *
 * Needs Python with pip; skipped where it is missing, except with `CI=true`.
 */
import assert from "node:assert/strict";
import { budgetStage, LIMITED_SECRET } from "../support/budget_stage.ts";
import { eventually } from "../support/router.ts";
import { chatReply, hang } from "../support/upstream.ts";
import { liteLlmClient, runs } from "./toolchains.ts";

Deno.test("LiteLLM's SDK stops at a used up budget after one request, and waits at a limit", async () => {
  const folder = await Deno.makeTempDir({ prefix: "oar-clients-" });
  try {
    const client = await liteLlmClient(folder);
    if (client === null) return;
    {
      await using stage = await budgetStage(chatReply("ok"), { prices: { request: 0.01 }, budget_usd: "0" });
      const { error } = await runs(client, [stage.router.url, LIMITED_SECRET]);
      assert.equal(error, "RateLimitError");
      assert.equal(await stage.router.metric('client_refused_total{client="amy",reason="budget"}'), 1);
    }
    await using stage = await budgetStage(hang, { max_parallel: 1 });
    const leaving = new AbortController();
    const held = stage.chat({}, { signal: leaving.signal }).catch(() => null);
    await stage.upstream.received(1);
    stage.upstream.script = chatReply("worth the wait");
    const answered = runs(client, [stage.router.url, LIMITED_SECRET]);
    const refusals = () => stage.router.metric('client_refused_total{client="amy",reason="parallel"}');
    await eventually(async () => await refusals() > 0 ? true : null, "a refusal");
    leaving.abort();
    await held;
    assert.equal((await answered)["text"], "worth the wait");
    assert.ok(await refusals() <= 2, String(await refusals()));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
