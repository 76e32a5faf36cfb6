/** What requests cost, from outside: rows of a real router, with failed and lost attempts, and a file of prices that changes. */
import assert from "node:assert/strict";
import { usageOf } from "../../src/core/usage.ts";
import { Router, runProgram } from "../support/router.ts";
import { chatEvents, cutAfter, FakeUpstream, hang, reply, type Script, stream } from "../support/upstream.ts";

const USAGE = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };

function chat(model: string, usage: unknown): string {
  const choices = [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];
  return JSON.stringify({ id: "c", object: "chat.completion", created: 1, model, choices, usage });
}

function usageEvent(model: string, usage: unknown): string {
  return `data: ${
    JSON.stringify({ id: "c", object: "chat.completion.chunk", model, choices: [], usage })
  }\n\n`;
}

Deno.test("a record has the cost of its reply, by the model that replies, times the upstream's factor", async () => {
  await using upstream = new FakeUpstream(reply(200, chat("gpt-4o-2024-08-06", USAGE)));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, columns: { price_factor: "0.5" } }],
  });
  const response = await router.chat({ model: "my-alias" });
  await response.text();
  const record = await router.recordOf(response);
  assert.equal(record.cost_nano, (1000 * 2_500 + 100 * 10_000) / 2);
  assert.deepEqual(router.attempts(record.id).map(({ cost_nano, usage }) => [cost_nano, usage]), [[
    1_750_000,
    null,
  ]]);
});

Deno.test("a reply without usage costs what its estimated tokens do", async () => {
  await using upstream = new FakeUpstream(reply(200, chat("gpt-4o", undefined)));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await router.chat({ model: "gpt-4o" });
  await response.text();
  const { cost_nano, input_tokens, output_tokens, tokens_are_estimated } = await router.recordOf(response);
  assert.equal(tokens_are_estimated, 1);
  assert.ok(Number(input_tokens) > 0);
  assert.equal(cost_nano, Number(input_tokens) * 2_500 + Number(output_tokens) * 10_000);
});

Deno.test("what is unknown is null: no price, an error, a look-up; counting tokens is free", async () => {
  await using upstream = new FakeUpstream(reply(200, chat("nobodys-model", USAGE)));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const costOf = async (response: Response) => {
    await response.text();
    return (await router.recordOf(response)).cost_nano;
  };
  assert.equal(await costOf(await router.chat({ model: "nobodys-model" })), null);
  upstream.script = reply(400, '{"error":{"message":"no"}}');
  assert.equal(await costOf(await router.chat({ model: "gpt-4o" })), null);
  const found = {
    id: "resp_1",
    object: "response",
    model: "gpt-4o",
    status: "completed",
    output: [],
    usage: USAGE,
  };
  upstream.script = reply(200, JSON.stringify(found));
  assert.equal(await costOf(await router.fetch("/responses/resp_1")), null);
  upstream.script = reply(200, '{"input_tokens":2095}');
  const body = JSON.stringify({ model: "claude-sonnet-4-5", messages: [{ role: "user", content: "hi" }] });
  assert.equal(await costOf(await router.fetch("/messages/count_tokens", { method: "POST", body })), 0);
});

Deno.test("failed attempts that were charged are part of the cost", async (t) => {
  await using first = new FakeUpstream(reply(500, "{}"));
  await using second = new FakeUpstream(reply(200, chat("gpt-4o", USAGE)));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
    args: ["--gate", "whole"],
  });
  const own = 1000 * 2_500 + 100 * 10_000;
  const ask = async (body: Record<string, unknown>) => {
    const response = await router.chat({ model: "gpt-4o", ...body });
    await response.text();
    const record = await router.recordOf(response);
    return { record, attempts: router.attempts(record.id) };
  };

  await t.step("an error without usage is not", async () => {
    const { record, attempts } = await ask({});
    assert.equal(record.cost_nano, own);
    assert.deepEqual(attempts.map(({ cost_nano }) => cost_nano), [null, own]);
  });

  await t.step("an empty reply that reports its use is", async () => {
    const usage = { prompt_tokens: 1000, completion_tokens: 1 };
    first.script = reply(200, JSON.stringify({ model: "gpt-4o", choices: [], usage }));
    const { record, attempts } = await ask({});
    const failed = 1000 * 2_500 + 1 * 10_000;
    assert.equal(record.cost_nano, own + failed);
    assert.deepEqual(attempts.map(({ cost_nano }) => cost_nano), [failed, own]);
    assert.equal(usageOf(String(attempts[0]?.usage))?.outputTokens, 1);
  });

  await t.step("a stream that broke off is estimated, and says so", async () => {
    first.script = cutAfter(chatEvents(["four", "four"]).slice(0, 2));
    second.script = stream([
      ...chatEvents(["ok"]).slice(0, -1),
      usageEvent("gpt-4o", USAGE),
      "data: [DONE]\n\n",
    ]);
    const { record, attempts } = await ask({ stream: true });
    const usage = usageOf(String(attempts[0]?.usage));
    assert.equal(usage?.details?.isEstimated, true);
    assert.ok((usage.outputTokens ?? 0) > 0);
    const failed = (usage.inputTokens ?? 0) * 2_500 + (usage.outputTokens ?? 0) * 10_000;
    assert.equal(attempts[0]?.cost_nano, failed);
    assert.equal(record.cost_nano, failed + own);
  });
});

Deno.test("an error that reports its use is charged, whether another upstream answers or not", async () => {
  const usage = { prompt_tokens: 1000, completion_tokens: 2 };
  const failing = reply(503, JSON.stringify({ model: "gpt-4o", error: { message: "overloaded" }, usage }));
  await using first = new FakeUpstream(failing);
  const answering = reply(200, chat("gpt-4o", USAGE));
  await using second = new FakeUpstream(answering);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
  });
  const failed = 1000 * 2_500 + 2 * 10_000;
  const own = 1000 * 2_500 + 100 * 10_000;
  for (
    const [script, costs, total] of [
      [answering, [failed, own], failed + own],
      [failing, [failed, failed], 2 * failed],
    ] as const
  ) {
    second.script = script;
    const response = await router.chat({ model: "gpt-4o" });
    await response.text();
    const record = await router.recordOf(response);
    assert.deepEqual(router.attempts(record.id).map(({ cost_nano }) => cost_nano), costs);
    assert.equal(record.cost_nano, total);
  }
});

Deno.test("of a stream that broke off, what it counted counts, and no image is text", async () => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(stream(chatEvents(["ok"])));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
    args: ["--gate", "whole"],
  });
  const failedUsage = async (script: Script, body: Record<string, unknown> = {}) => {
    first.script = script;
    const response = await router.chat({ model: "gpt-4o", stream: true, ...body });
    await response.text();
    const { id } = await router.recordOf(response);
    return usageOf(String(router.attempts(id)[0]?.usage));
  };
  const counted = { prompt_tokens: 7, completion_tokens: 1, total_tokens: 8 };
  const long = JSON.stringify({
    choices: [{ index: 0, delta: { content: "four ".repeat(50) } }],
    usage: counted,
  });
  assert.deepEqual(await failedUsage(cutAfter([`data: ${long}\n\n`])), {
    ...{ inputTokens: 7, outputTokens: 1, cachedTokens: null, reasoningTokens: null },
  });

  const url = `data:image/png;base64,${"iVBORw0KGgo".repeat(20_000)}`;
  const content = [{ type: "image_url", image_url: { url } }];
  const usage = await failedUsage(cutAfter(chatEvents(["four", "four"]).slice(0, 2)), {
    messages: [{ role: "user", content }],
  });
  assert.equal(usage?.details?.isEstimated, true);
  assert.ok((usage.inputTokens ?? Infinity) < 100, `${usage.inputTokens} tokens`);
});

Deno.test("--prices: read at the start, refused when it is broken, and recost finds what has changed", async () => {
  await using upstream = new FakeUpstream(reply(200, chat("house-model", USAGE)));
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    const path = `${directory}/prices.json`;
    await Deno.writeTextFile(path, '{"house-*":{"input":-1}}');
    const broken = await runProgram(["serve", "--addr", "127.0.0.1:0", "--prices", path], { cwd: directory });
    assert.notEqual(broken.code, 0);
    assert.match(broken.stderr, /--prices .*prices\.json: "house-\*": "input" is not a number/);

    await Deno.writeTextFile(path, '{"house-*":{"input":2,"output":4}}');
    await using router = await Router.start({
      upstreams: [{ endpoint: upstream.endpoint }],
      args: ["--prices", path],
    });
    const response = await router.chat({ model: "house-model" });
    await response.text();
    const { id, cost_nano } = await router.recordOf(response);
    assert.equal(cost_nano, 1000 * 2_000 + 100 * 4_000);

    const cwd = router.directory;
    await Deno.writeTextFile(path, '{"house-*":{"input":20,"output":40}}');
    const recost = await runProgram(["records", "recost", "--since", "1d", "--prices", path], { cwd });
    assert.equal(recost.code, 0, recost.stderr);
    assert.deepEqual(recost.stdout.trim().split("\n"), [
      "1 of 1 records have another cost now",
      "before  0.0024 USD, 0 unknown",
      "after   0.024 USD, 0 unknown",
    ]);
    assert.equal(router.records()[0]?.cost_nano, 24_000_000);
    assert.deepEqual(router.attempts(id).map((each) => each.cost_nano), [24_000_000]);
    const others = ["records", "recost", "--since", "1d", "--model", "x*", "--prices", path, "--json"];
    assert.equal(JSON.parse((await runProgram(others, { cwd })).stdout).records, 0);
    const unknown = await runProgram(["records", "recost", "--since", "1d"], { cwd });
    assert.match(unknown.stdout, /after {3}0 USD, 1 unknown/);
    assert.equal((await runProgram(["records", "recost"], { cwd })).code, 2);

    const shown = await runProgram(["records", "show", String(id)], { cwd });
    assert.match(shown.stdout, /^cost +unknown$/m);
    const doctor = await runProgram(["doctor", "--json"], { cwd });
    assert.match(doctor.stdout, /no price is known for models of lately: house-model/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("cheapest: by price of the model and the upstream's factor, unknown prices last, ties in their order", async () => {
  await using upstream = new FakeUpstream(reply(200, chat("gpt-4o", USAGE)));
  await using router = await Router.start({
    upstreams: [
      { endpoint: `${upstream.endpoint}/unknown`, name: "unknown", modelMap: '{"gpt-4o":"house-model"}' },
      { endpoint: `${upstream.endpoint}/list`, name: "list" },
      { endpoint: `${upstream.endpoint}/half`, name: "half", columns: { price_factor: "0.5" } },
      { endpoint: `${upstream.endpoint}/same`, name: "same", columns: { price_factor: "0.5" } },
      { endpoint: `${upstream.endpoint}/mini`, name: "mini", modelMap: '{"gpt-5":"gpt-5-nano"}' },
    ],
    args: ["--policy", "cheapest", "--affinity", "off"],
  });
  const order = async (model: string) => {
    const names: string[] = [];
    upstream.script = async (request, wire) => {
      names.push(/\/v1\/(\w+)\//.exec(request.target)?.[1] ?? "");
      await reply(503, "{}")(request, wire);
    };
    await (await router.chat({ model })).text();
    // The last one is asked again.
    return [...new Set(names)];
  };
  assert.deepEqual(await order("gpt-4o"), ["half", "same", "list", "mini", "unknown"]);
  assert.deepEqual((await order("gpt-5")).slice(0, 2), ["mini", "half"]);
});

Deno.test("--price-factor: set, shown, taken back, and refused", async () => {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    const run = (...args: string[]) => runProgram(args, { cwd: directory });
    const endpoint = "http://127.0.0.1:1/v1";
    const added = await run(
      "add",
      "--sk",
      "sk-x-0123456789",
      "--endpoint",
      endpoint,
      "--price-factor",
      "0.3",
    );
    assert.equal(added.code, 0, added.stderr);
    assert.match((await run("list")).stdout, /prices x 0\.3/);
    const factor = async () => JSON.parse((await run("list", "--json")).stdout)[0].priceFactor;
    assert.equal(await factor(), 0.3);
    assert.equal((await run("edit", "1", "--price-factor", "0")).code, 0);
    assert.equal(await factor(), 0);
    assert.equal((await run("edit", "1", "--price-factor", "none")).code, 0);
    assert.equal(await factor(), 1);
    for (const value of ["-1", "1e3", "2000", "0.1234567", "x"]) {
      const { code, stderr } = await run("edit", "1", `--price-factor=${value}`);
      assert.equal(code, 2, value);
      assert.match(stderr, /--price-factor/);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
