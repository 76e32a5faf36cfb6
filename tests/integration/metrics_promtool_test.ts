/**
 * `/v1/metrics` of the real program passes Prometheus' own check.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chatEvents, chatReply, FakeUpstream, reply, stream } from "../support/upstream.ts";
import { Router } from "../support/router.ts";

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

Deno.test({
  name: "promtool accepts /v1/metrics after mixed traffic",
  // In CI, the tool must be installed.
  ignore: !hasPromtool && Deno.env.get("CI") !== "true",
  fn: async () => {
    await using broken = new FakeUpstream(reply(503, '{"error":{"message":"busy"}}'));
    await using working = new FakeUpstream((request, wire) =>
      request.text.includes('"stream":true')
        ? stream(chatEvents(["hello"]))(request, wire)
        : chatReply("hello")(request, wire)
    );
    await using router = await Router.start({
      upstreams: [
        { name: 'odd "name" \\ of\tan upstream', endpoint: broken.endpoint },
        { name: "working", endpoint: working.endpoint },
      ],
    });
    for (const body of [{}, { stream: true }, { model: 'odd "model" \\' }, { model: "\u4e2d\u6587" }]) {
      await (await router.chat(body)).text();
    }
    await (await router.fetch("/chat/completions", { headers: { authorization: "Bearer wrong" } })).text();
    await (await router.fetch("/embeddings", { method: "POST", body: '{"model":"e","input":"x"}' })).text();
    await router.recorded(5);

    const metrics = await router.metrics();
    assert.match(metrics, /^openai_api_route_requests_total\{/m);
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: metrics,
      encoding: "utf8",
    });
    assert.deepEqual({ status, output: stdout + stderr }, { status: 0, output: "" });
  },
});
