import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, askApi, callApi, EventReader } from "../support/admin.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  LAST_CHUNK,
  STREAM_HEAD,
} from "../support/upstream.ts";

interface Live {
  readonly requestId: string;
  readonly model: string;
  readonly upstreamName: string | null;
  readonly isStream: boolean;
  readonly replyBytes: number;
}

/** An upstream that sends the next event of a chat stream on request. */
function steppedUpstream(events: readonly string[]): { upstream: FakeUpstream; step: () => void } {
  let go: () => void = () => {};
  let isDue = 0;
  const next = async () => {
    while (isDue === 0) await new Promise<void>((resolve) => go = resolve);
    isDue--;
  };
  const upstream = new FakeUpstream(async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) {
      await next();
      await wire.write(chunk(event));
    }
    await wire.write(LAST_CHUNK);
  });
  return {
    upstream,
    step: () => {
      isDue++;
      go();
    },
  };
}

Deno.test("a request in flight is shown, its reply can be watched, and its end is reported", async () => {
  const words = chatEvents(["Hello", " world", "!"]);
  const { upstream, step } = steppedUpstream(words);
  await using _upstream = upstream;
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "slow" }] });
  await using events = new EventReader(await callApi(router, "/live"));
  assert.deepEqual(await events.next(), { event: "in_flight", data: [] });

  const asked = router.chat({ stream: true });
  await upstream.received(1);
  step();
  step();
  const response = await asked;
  const listed = await events.find(({ event, data }) => event === "in_flight" && (data as Live[]).length > 0);
  const [live] = listed.data as Live[];
  const requestId = response.headers.get("x-oar-request-id") ?? "";
  assert.equal(live?.requestId, requestId);
  assert.deepEqual([live?.model, live?.isStream, live?.upstreamName], ["test-model", true, "slow"]);

  await using watch = new EventReader(await callApi(router, `/live/${requestId}`));
  const first = await watch.next();
  assert.deepEqual((first?.data as { text: string; isReset: boolean }).text, "Hello");
  let text = "Hello";
  for (const _ of words.slice(2)) step();
  for (let event = await watch.next(); event !== null; event = await watch.next()) {
    if (event.event === "ended") {
      assert.deepEqual(event.data, { requestId });
      break;
    }
    const delta = event.data as { text: string; isReset: boolean };
    assert.equal(delta.isReset, false);
    text += delta.text;
  }
  assert.equal(text, "Hello world!");
  assert.equal(await watch.next(), null);
  await response.text();

  const { data } = await events.find(({ event }) => event === "finished");
  const finished = data as { requestId: string; outcome: string; upstreamName: string; status: number };
  assert.deepEqual([finished.requestId, finished.outcome, finished.status, finished.upstreamName], [
    requestId,
    "complete",
    200,
    "slow",
  ]);
  await events.find(({ event, data }) => event === "in_flight" && (data as Live[]).length === 0);
});

Deno.test("a watched reply is masked like its record", async () => {
  const key = "sk-watched-secret-0123456789";
  const { upstream, step } = steppedUpstream([
    chatEvent({ content: `key ${key.slice(0, 14)}` }),
    chatEvent({ content: `${key.slice(14)} said` }),
    chatEvent({}, "stop"),
    "data: [DONE]\n\n",
  ]);
  await using _upstream = upstream;
  await using router = await Router.start({ upstreams: [{ sk: key, endpoint: upstream.endpoint }] });
  const asked = router.chat({ stream: true });
  await upstream.received(1);
  step();
  const response = await asked;
  await using watch = new EventReader(
    await callApi(router, `/live/${response.headers.get("x-oar-request-id")}`),
  );
  let shown = "";
  const seen: string[] = [];
  const read = async () => {
    const event = await watch.next();
    if (event?.event !== "delta") return false;
    const { isReset, text } = event.data as { isReset: boolean; text: string };
    seen.push(text);
    shown = isReset ? text : shown + text;
    return true;
  };
  await read();
  for (let n = 0; n < 3; n++) step();
  while (await read());
  assert.equal(shown, "key sk-…6789 said");
  assert.ok(!seen.join("").includes(key.slice(0, 14)));
  await response.text();
});

Deno.test("a finished request cannot be watched", async () => {
  await using upstream = new FakeUpstream(chatReply("done"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await router.chat();
  await response.text();
  const watched = await callApi(router, `/live/${response.headers.get("x-oar-request-id")}`);
  assert.equal(watched.status, 404);
  assert.equal((await watched.json()).error.code, "not_found");
});

Deno.test("a server that stops ends the streams of watchers", async () => {
  await using router = await Router.start();
  const live = await callApi(router, "/live");
  assert.equal(live.headers.get("content-type"), "text/event-stream");
  await using events = new EventReader(live);
  await events.next();
  router.signal("SIGTERM");
  while (await events.next() !== null);
  assert.equal(await router.exited(), 0);
});

Deno.test("streams of readers that left are released; more than 64 are refused", async () => {
  await using router = await Router.start();
  const headers = { authorization: `Bearer ${adminTokenOf(router)}` };
  const controllers = Array.from({ length: 64 }, () => new AbortController());
  const open = (signal: AbortSignal) => fetch(adminUrl(router, "/api/live"), { headers, signal });
  const streams = await Promise.all(controllers.map(({ signal }) => open(signal)));
  assert.ok(streams.every(({ status }) => status === 200));
  const refused = await callApi(router, "/live");
  assert.equal(refused.status, 429);
  assert.equal((await refused.json()).error.code, "too_many_requests");
  for (const controller of controllers) controller.abort();
  await Promise.allSettled(streams.map(({ body }) => body?.cancel()));
  await eventually(async () => {
    const again = await callApi(router, "/live");
    await again.body?.cancel();
    return again.status === 200 ? true : null;
  }, "a stream after the others have left");
  await askApi(router, "/settings");
});
