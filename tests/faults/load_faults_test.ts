/**
 * Faults under load, and what must stay bounded: latencies, labels, memory, concurrent requests.
 */
import assert from "node:assert/strict";
import { FaultTable } from "../support/fault_table.ts";
import { RawClient } from "../support/raw_client.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatCompletion,
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  hang,
  inTurn,
  LAST_CHUNK,
  reply,
  type Script,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const UPLOAD_START = '{"model":"m"';

/** A chunked request whose body has begun to come, and is being waited for. */
async function beginUpload(router: Router): Promise<RawClient> {
  const client = await RawClient.connect(router.port);
  const head = [
    "POST /v1/chat/completions HTTP/1.1",
    "host: x",
    `authorization: Bearer ${router.token}`,
    "content-type: application/json",
    "transfer-encoding: chunked",
    "expect: 100-continue",
  ];
  await client.send(`${head.join("\r\n")}\r\n\r\n`);
  await client.readUntil("100 Continue\r\n\r\n");
  await client.send(`${UPLOAD_START.length.toString(16)}\r\n${UPLOAD_START}\r\n`);
  return client;
}

/** Sends the rest of the framed body; gives the status of the answer. */
async function finishUpload(client: RawClient, rest: string): Promise<number> {
  await client.send(rest);
  const text = await client.readUntil("x-content-type-options");
  return Number(/HTTP\/1\.1 ([2-5]\d\d) /.exec(text)?.[1]);
}

/** The name of the upstream that answers. */
async function answering(router: Router): Promise<string> {
  const response = await router.chat();
  await response.body?.cancel();
  return response.headers.get("x-oar-upstream") ?? `HTTP ${response.status}`;
}

/** Runs `work` for 0 … count - 1, with limited concurrency. */
async function atOnce(
  options: { readonly count: number; readonly width: number },
  work: (at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: options.width }, async () => {
    while (next < options.count) await work(next++);
  }));
}

Deno.test("a dead primary that recovers", async (t) => {
  const table = new FaultTable("Dead and recovering primaries", t);
  await using primary = new FakeUpstream(hang);
  await using backup = new FakeUpstream(chatReply("backup"));
  const upstreams = (timeout: number) => [
    { endpoint: primary.endpoint, name: "primary", timeout },
    { endpoint: backup.endpoint, name: "backup" },
  ];

  await table.case(
    "20 requests in a row, the primary hangs (timeout 1 s)",
    "20 answers, at most 4 of them waited for it",
    async () => {
      await using router = await Router.start({ upstreams: upstreams(1) });
      const before = primary.requests.length;
      for (let at = 0; at < 20; at++) assert.equal(await answering(router), "backup");
      const waited = primary.requests.length - before;
      return `20 answers, ${waited <= 4 ? "at most 4" : waited} of them waited for it: ${waited}`;
    },
  );

  await table.case(
    "Retry-After: 1, then well again; one trial at a time",
    "backup, backup | trial | backup, backup | primary, primary",
    async () => {
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      const before = primary.requests.length;
      const trial: Script = async (request, wire) => {
        await released;
        await chatReply("trial")(request, wire);
      };
      primary.script = inTurn(reply(503, "{}", { "retry-after": "1" }), trial, chatReply("well"));
      await using router = await Router.start({ upstreams: upstreams(30) });
      const names = [await answering(router), await answering(router)];
      const pending: Promise<string>[] = [];
      await eventually(async () => {
        pending.push(answering(router));
        await Promise.race([pending.at(-1), primary.received(before + 2)]);
        return primary.requests.length >= before + 2 ? true : null;
      }, "the trial");
      const meanwhile = [await answering(router), await answering(router)];
      release();
      await Promise.all(pending);
      const after = [await answering(router), await answering(router)];
      // The throttle, the trial, and the two requests after it.
      const trials = primary.requests.length - before - 3;
      return `${names.join(", ")} | ${trials === 1 ? "trial" : `${trials} trials`} | ${
        meanwhile.join(", ")
      } | ${after.join(", ")}`;
    },
  );
  table.print();
});

Deno.test("500 streams at once while the primary dies", async (t) => {
  const table = new FaultTable("500 streams while the primary dies", t);
  const count = 500;
  const { promise: dead, resolve: die } = Promise.withResolvers<void>();
  const idOf = (text: string) => /client-(\d+)-/.exec(text)?.[1] ?? "";
  await using primary = new FakeUpstream(async (request, wire) => {
    const id = idOf(request.text);
    await wire.write(STREAM_HEAD + chunk(chatEvent({ role: "assistant", content: "" })));
    if (Number(id) % 2 === 0) await wire.write(chunk(chatEvent({ content: `half-${id}-` })));
    await dead;
    wire.close();
  });
  await using backup = new FakeUpstream((request, wire) => {
    const id = idOf(request.text);
    return stream(chatEvents(Array.from({ length: 20 }, (_, at) => `whole-${id}-${at} `)))(request, wire);
  });
  await using router = await Router.start({
    upstreams: [
      { endpoint: primary.endpoint, name: "primary", timeout: 30 },
      { endpoint: backup.endpoint, name: "backup", timeout: 30 },
    ],
    args: ["--gate-ms", "30000"],
  });

  const clients = Array.from({ length: count }, async (_, id) => {
    const response = await router.chat({
      stream: true,
      messages: [{ role: "user", content: `client-${id}-` }],
    });
    const decoder = new TextDecoder();
    let text = "";
    let isWhole = true;
    try {
      for await (const bytes of response.body ?? []) text += decoder.decode(bytes, { stream: true });
    } catch {
      isWhole = false;
    }
    return { id, text, isWhole, requestId: response.headers.get("x-oar-request-id") ?? "" };
  });
  await primary.received(count);
  die();
  const results = await Promise.all(clients);
  const records = new Map(
    (await router.recorded(count)).map((record) => [record.request_id, record]),
  );
  const said = (id: number) => Array.from({ length: 20 }, (_, at) => `whole-${id}-${at} `);

  await table.case("each stream holds its own words", "500 of 500", () => {
    const right = results.filter(({ id, text, isWhole }) =>
      id % 2 === 0
        ? !isWhole && text.includes(`"half-${id}-"`) && !/whole-/.test(text)
        : isWhole && text === chatEvents(said(id)).join("")
    );
    const foreign = results.filter(({ id, text }) =>
      [...text.matchAll(/(?:half|whole)-(\d+)-/g)].some((match) => match[1] !== String(id))
    );
    assert.equal(foreign.length, 0);
    return Promise.resolve(`${right.length} of ${count}`);
  });
  await table.case(
    "each record is right",
    "250 upstream_cut with the half, 250 complete from the backup",
    () => {
      let cut = 0;
      let complete = 0;
      for (const { id, requestId } of results) {
        const record = records.get(requestId);
        const isHalf = record?.outcome === "upstream_cut" && record.response === `half-${id}-`;
        const isWhole = record?.outcome === "complete" && record.response === said(id).join("") &&
          record.upstream_id === 2 && record.attempts === 2;
        if (id % 2 === 0 && isHalf) cut++;
        if (id % 2 === 1 && isWhole) complete++;
      }
      return Promise.resolve(`${cut} upstream_cut with the half, ${complete} complete from the backup`);
    },
  );
  table.print();
});

Deno.test("limits, labels and channels", async (t) => {
  const table = new FaultTable("Limits, labels and channels", t);
  await using upstream = new FakeUpstream(chatReply("ok"));
  const upstreams = [{ endpoint: upstream.endpoint, name: "only" }];

  await table.case(
    "10,000 models and paths",
    "10000 answers, 100 models, other and none, no path",
    async () => {
      await using router = await Router.start({ upstreams, args: ["--log-level", "warning"] });
      let answers = 0;
      await atOnce({ count: 10_000, width: 32 }, async (at) => {
        const response = at % 2 === 0
          ? await router.chat({ model: `model-${at}` })
          : await router.fetch(`/path-${at}`, { method: "GET" });
        await response.body?.cancel();
        if (response.status === 200) answers++;
      });
      const metrics = await router.metrics();
      const models = new Set([...metrics.matchAll(/model="([^"]*)"/g)].map((match) => match[1]));
      const bounded = models.size === 102 ? "100 models, other and none" : `${models.size} models`;
      const path = metrics.includes("path-1") ? "a path" : "no path";
      return `${answers} answers, ${bounded}, ${path}: ${models.size} label values, ${metrics.length} bytes`;
    },
  );

  await table.case("--max-concurrent 2", "429 retry-after 1, then 200", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const before = upstream.requests.length;
    upstream.script = async (request, wire) => {
      await released;
      await chatReply("ok")(request, wire);
    };
    await using router = await Router.start({ upstreams, args: ["--max-concurrent", "2"] });
    const pending = [router.chat(), router.chat()];
    await upstream.received(before + 2);
    const refused = await router.chat();
    assert.equal((await refused.json()).error.code, "too_many_requests");
    release();
    for (const response of await Promise.all(pending)) await response.text();
    const after = await router.chat();
    await after.text();
    return `${refused.status} retry-after ${refused.headers.get("retry-after")}, then ${after.status}`;
  });

  await table.case(
    "--max-concurrent 1, uploads",
    "429 200, room; 429 400, room; 429 gone, room",
    async () => {
      upstream.script = chatReply("ok");
      await using router = await Router.start({ upstreams, args: ["--max-concurrent", "1"] });
      const seen: string[] = [];
      // One that is completed, one that is refused, and one whose client leaves, while their bodies are still coming.
      for (const rest of ["1\r\n}\r\n0\r\n\r\n", "no size\r\n", null]) {
        let ending: string;
        {
          using client = await beginUpload(router);
          const refused = await router.chat();
          assert.equal((await refused.json()).error.code, "too_many_requests");
          ending = `${refused.status} ${rest === null ? "gone" : await finishUpload(client, rest)}`;
        }
        await eventually(async () => {
          const response = await router.chat();
          await response.text();
          return response.status === 200 ? response : null;
        }, "room for a request");
        seen.push(`${ending}, room`);
      }
      return seen.join("; ");
    },
  );

  await table.case("--max-held 0", "40 of 40 replies right", async () => {
    const text = "word ".repeat(4_000);
    const events = chatEvents([text]);
    upstream.script = (request, wire) =>
      request.text.includes('"stream":true')
        ? stream(events)(request, wire)
        : reply(200, JSON.stringify(chatCompletion(text)))(request, wire);
    await using router = await Router.start({ upstreams, args: ["--max-held", "0"] });
    let right = 0;
    await atOnce({ count: 40, width: 20 }, async (at) => {
      const isStream = at % 2 === 0;
      const response = await router.chat({ stream: isStream });
      const body = await response.text();
      const record = await router.recordOf(response);
      const expected = isStream ? events.join("") : JSON.stringify(chatCompletion(text));
      if (body === expected && record.outcome === "complete" && record.response === text) right++;
    });
    return `${right} of 40 replies right`;
  });

  await table.case("a webhook that hangs", "20 answers before it said anything", async () => {
    await using webhook = new FakeUpstream(hang);
    upstream.script = reply(500, "{}");
    await using router = await Router.start({ upstreams, env: { ALERT_WEBHOOK: webhook.endpoint } });
    const latenciesMs: number[] = [];
    for (let at = 0; at < 20; at++) {
      const startedMs = performance.now();
      const response = await router.chat();
      await response.text();
      latenciesMs.push(performance.now() - startedMs);
      assert.equal(response.status, 500);
    }
    await webhook.received(1);
    // Stopping would wait for the channel, which does not affect traffic.
    router.signal("SIGKILL");
    await router.exited();
    return `${latenciesMs.length} answers before it said anything: at most ${
      Math.round(Math.max(...latenciesMs))
    } ms`;
  });

  for (
    const [name, sql] of [
      ["edited", "UPDATE openai_upstreams SET endpoint = 'http://127.0.0.1:9/v1', sk = 'sk-other'"],
      ["deleted", "DELETE FROM openai_upstreams"],
    ] as const
  ) {
    await table.case(
      `upstream ${name} in the middle of a stream`,
      "whole, complete, then not used",
      async () => {
        const events = chatEvents(["before ", "after"]);
        const { promise: released, resolve: release } = Promise.withResolvers<void>();
        upstream.script = async (_request, wire) => {
          await wire.write(STREAM_HEAD);
          for (const event of events.slice(0, 2)) await wire.write(chunk(event));
          await released;
          for (const event of events.slice(2)) await wire.write(chunk(event));
          await wire.write(LAST_CHUNK);
        };
        await using router = await Router.start({ upstreams });
        const response = await router.chat({ stream: true });
        router.execute(sql);
        await eventually(async () => {
          const other = await router.chat({ stream: true });
          await other.body?.cancel();
          return other.status === 200 ? null : other.status;
        }, "the change");
        release();
        const body = await response.text();
        const record = await router.recordOf(response);
        return `${body === events.join("") ? "whole" : "not whole"}, ${record.outcome}, then not used`;
      },
    );
  }
  table.print();
});
