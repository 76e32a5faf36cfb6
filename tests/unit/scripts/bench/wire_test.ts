import assert from "node:assert/strict";
import { chatRequest, MessageReader } from "../../../../scripts/bench/http1.ts";
import type { StreamFindings, StreamOrder } from "../../../../scripts/bench/load/stream_client.ts";
import { EVENT_TEMPLATE, nowUs, readEvent, stampEvent } from "../../../../scripts/bench/paced_events.ts";
import {
  chunked,
  replyBody,
  requestBody,
  streamEvents,
  streamText,
} from "../../../../scripts/bench/payloads.ts";
import { Processes } from "../../../../scripts/bench/processes.ts";
import { startUpstream } from "../../../../scripts/bench/upstreams/upstream.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function readInParts(message: Uint8Array<ArrayBuffer>, size: number): { body: string; isDoneAt: number } {
  let body = "";
  const reader = new MessageReader((part) => body += decoder.decode(part));
  for (let at = 0; at < message.length; at += size) {
    if (reader.push(message.slice(at, at + size))) {
      return { body, isDoneAt: Math.min(message.length, at + size) };
    }
  }
  return { body, isDoneAt: -1 };
}

Deno.test("MessageReader reads both kinds of bodies however they are cut", () => {
  const messages: readonly (readonly [string, string])[] = [
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""],
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nt: railer\r\n\r\n",
      "hello",
    ],
  ];
  for (const [message, expected] of messages) {
    for (const size of [1, 2, 3, 7, 1_000]) {
      const { body, isDoneAt } = readInParts(encoder.encode(message), size);
      assert.equal(body, expected);
      assert.equal(isDoneAt, message.length, `${size} bytes at a time`);
    }
  }
});

Deno.test("MessageReader refuses what is not a message", () => {
  const reader = () => new MessageReader(() => {});
  const head = "HTTP/1.1 200 OK\r\n";
  assert.throws(() => reader().push(encoder.encode(`${head}content-length: 1\r\n\r\nab`)), /after the end/);
  assert.throws(
    () => reader().push(encoder.encode(`${head}transfer-encoding: chunked\r\n\r\nzz\r\n`)),
    /not the size of a chunk/,
  );
});

Deno.test("payloads have exactly the requested size, and are valid requests and replies", () => {
  const request = requestBody({ bytes: 1_024, isStream: true, maxTokens: 7 });
  assert.equal(encoder.encode(request).length, 1_024);
  const { stream, max_tokens } = JSON.parse(request);
  assert.deepEqual([stream, max_tokens], [true, 7]);
  assert.equal(encoder.encode(replyBody(400)).length, 400);
  assert.equal(JSON.parse(replyBody(400)).choices[0].finish_reason, "stop");
  const events = streamEvents(12);
  assert.equal(events.length, 14);
  const contents = events.slice(0, 12).map((event) => JSON.parse(event.slice(6)).choices[0].delta.content);
  assert.equal(contents.join(""), streamText(12));
});

Deno.test("a request and a chunked stream survive the wire", () => {
  const body = requestBody({ bytes: 600 });
  assert.equal(readInParts(chatRequest({ port: 1, headers: { a: "b" }, body }), 10).body, body);
  const events = streamEvents(3);
  const head = encoder.encode("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
  const whole = new Uint8Array([...head, ...chunked(events)]);
  assert.equal(readInParts(whole, 11).body, events.join(""));
});

Deno.test("an event contains its send time, and a changed or missing one is detected", () => {
  const event = EVENT_TEMPLATE.slice();
  const beforeUs = nowUs();
  stampEvent(event, 0, 123);
  const sentUs = readEvent(event, 123);
  assert.ok(beforeUs <= sentUs && sentUs <= nowUs());
  assert.throws(() => readEvent(event, 122), /event 123 came instead of 122/);
  event[10] = 0;
  assert.throws(() => readEvent(event, 123), /wrong byte at 10/);
});

Deno.test("the paced upstream and its client agree about every event", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await using processes = new Processes(directory);
    const upstream = await startUpstream({ processes, directory, core: null, nginx: null }, {
      kind: "paced",
      periodMs: 10,
    });
    const order: StreamOrder = {
      port: upstream.port,
      headers: {},
      body: requestBody({ bytes: 512, isStream: true, maxTokens: 4 }),
      streams: 6,
      measured: 3,
      events: 4,
      spreadMs: 20,
      limitMs: 20_000,
    };
    const client = new URL("../../../../scripts/bench/load/stream_client.ts", import.meta.url).pathname;
    const run = async (changed: Partial<StreamOrder>): Promise<StreamFindings> => {
      const { stdout } = await processes.run({
        name: "client",
        command: Deno.execPath(),
        args: ["run", "-A", "--no-check", client, JSON.stringify({ ...order, ...changed })],
      }, 60_000);
      return JSON.parse(stdout);
    };
    const whole = await run({});
    assert.deepEqual([whole.completed, whole.received, whole.failures], [6, 24, []]);
    assert.ok(whole.delayP50Us > 0 && whole.delayP50Us <= whole.delayP99Us);
    const short = await run({ events: 5 });
    assert.equal(short.completed, 0);
    assert.match(short.failures[0] ?? "", /only 4 of 5 events|wrong byte/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
