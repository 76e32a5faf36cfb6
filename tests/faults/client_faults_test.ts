/**
 * Faulty and unusual clients, and that other clients do not notice them.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FaultTable } from "../support/fault_table.ts";
import { rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { writeAll } from "../support/connection_server.ts";
import { RawUpstream, readRequest } from "../support/raw_upstream.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatEvent,
  chatReply,
  chunk,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  type ReceivedRequest,
  reply,
  type Script,
  STREAM_HEAD,
} from "../support/upstream.ts";

const MIB = 1024 * 1024;

function statusOf(response: string): string {
  return /^HTTP\/1\.1 (\d{3})/.exec(response)?.[1] ?? "no status";
}

/** Whether a connection was released, long before the timeout (300 s) would end it. */
async function isReleased(request: ReceivedRequest | undefined): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), 10_000);
  try {
    return await Promise.race([request?.closed.then(() => true) ?? false, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Peak resident memory of a process. */
function peakMemoryMib(pid: number): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Math.round(Number(kib) / 1024);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Streams as long as the peer reads, and counts the bytes. */
class Flood {
  sentBytes = 0;
  /** Without the chunked framing, which differs per connection. */
  payloadBytes = 0;
  readonly #limitBytes: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  readonly script: Script = async (_request, wire) => {
    const payload = chatEvent({ content: "x".repeat(16 * 1024) });
    const event = chunk(payload);
    await wire.write(STREAM_HEAD);
    while (this.sentBytes < this.#limitBytes) {
      await wire.write(event);
      this.sentBytes += event.length;
      this.payloadBytes += payload.length;
    }
    const end = [chatEvent({}, "stop"), "data: [DONE]\n\n"];
    await wire.write(end.map(chunk).join("") + LAST_CHUNK);
    this.payloadBytes += end.join("").length;
  };

  /** Resolves when nothing more has been taken for a while. */
  async halted(): Promise<void> {
    let last = -1;
    let still = 0;
    await eventually(() => {
      still = this.sentBytes > 0 && this.sentBytes === last ? still + 1 : 0;
      last = this.sentBytes;
      return still >= 10 ? true : null;
    }, "the stream to come to a halt");
  }
}

Deno.test("faults of clients", async (t) => {
  const table = new FaultTable("Faults of clients", t);
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(chatReply("second"));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, name: "first" }, { endpoint: second.endpoint, name: "second" }],
  });
  const { token } = router;
  const lastRecord = async (before: number) => (await router.recorded(before + 1)).at(-1);

  await table.case("Expect: 100-continue", "100, then 200, not forwarded", async () => {
    first.script = chatReply("went on");
    using client = await RawClient.connect(router.port);
    const request = rawChat(token);
    const bodyAt = request.indexOf("\r\n\r\n") + 4;
    await client.send(request.slice(0, bodyAt - 2) + "expect: 100-continue\r\n\r\n");
    await client.readUntil("100 Continue\r\n\r\n");
    await client.send(request.slice(bodyAt));
    const response = await client.readToEnd();
    const forwarded = first.requests.at(-1)?.headers.has("expect") ? "forwarded" : "not forwarded";
    return `100, then ${statusOf(response.slice(response.indexOf("\r\n\r\n") + 4))}, ${forwarded}`;
  });

  await table.case("chunked upload with failover", "200, 2 attempts, identical bodies", async () => {
    first.script = reply(500, "{}");
    const body = new Uint8Array(3 * MIB).map((_, at) => (at * 7919) >> 3);
    const response = await router.fetch("/files", {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: new Blob([body]).stream(),
    });
    await response.body?.cancel();
    const bodies = [first, second].map((upstream) => upstream.requests.at(-1)?.body ?? new Uint8Array());
    const isIdentical = bodies.every((each) => sha256(each) === sha256(body));
    return `${response.status}, ${response.headers.get("x-oar-attempts")} attempts, ${
      isIdentical ? "identical bodies" : "bodies differ"
    }`;
  });

  await table.case("upload cut by the client", "499 client_gone, 0 attempts, no request", async () => {
    const before = router.records().length;
    const requests = first.requests.length;
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(token).slice(0, -10));
    client.close();
    const record = await lastRecord(before);
    const heard = first.requests.length - requests;
    return `${record?.status} ${record?.outcome}, ${record?.attempts} attempts, ${heard || "no"} request`;
  });

  await table.case(
    "client gone before headers",
    "released in time, 499 client_gone, no failover",
    async () => {
      first.script = hang;
      const before = router.records().length;
      const [toFirst, toSecond] = [first.requests.length, second.requests.length];
      using client = await RawClient.connect(router.port);
      await client.send(rawChat(token));
      await first.received(toFirst + 1);
      client.close();
      const released = await isReleased(first.requests.at(-1)) ? "in time" : "late";
      const record = await lastRecord(before);
      const failover = second.requests.length === toSecond ? "no failover" : "failover";
      return `released ${released}, ${record?.status} ${record?.outcome}, ${failover}`;
    },
  );

  await table.case("slow reader", "upstream held back, then every byte, complete", async () => {
    const flood = new Flood(48 * MIB);
    first.script = flood.script;
    const before = router.records().length;
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(token, { stream: true }));
    await flood.halted();
    const held = flood.sentBytes < 48 * MIB ? "held back" : "not held back";
    const receivedBytes = await client.drain();
    const record = await lastRecord(before);
    const isWhole = receivedBytes >= flood.payloadBytes && record?.response_bytes === flood.payloadBytes;
    const every = isWhole ? "every byte" : `${receivedBytes} bytes of ${flood.payloadBytes}`;
    return `upstream ${held}, then ${every}, ${record?.outcome}`;
  });

  await table.case("slowloris: 200 partial heads", "others are served", async () => {
    first.script = chatReply("served");
    using clients = new DisposableStack();
    for (let at = 0; at < 200; at++) {
      const client = clients.use(await RawClient.connect(router.port));
      await client.send("POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ");
    }
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => {
      const response = await router.chat();
      await response.body?.cancel();
      return response.status;
    }));
    return statuses.every((status) => status === 200) ? "others are served" : `others get ${statuses}`;
  });

  const floods: [name: string, lines: string][] = [
    ["1,000 headers", Array.from({ length: 1_000 }, (_, at) => `x-flood-${at}: 1\r\n`).join("")],
    ["a header of 1 MB", `x-flood: ${"x".repeat(MIB)}\r\n`],
    ["headers of 10 MB without an end", `x-flood: ${"x".repeat(1_000)}\r\n`.repeat(10_000)],
  ];
  for (const [name, lines] of floods) {
    await table.case(name, "refused, others are served", async () => {
      using client = await RawClient.connect(router.port);
      try {
        await client.send(`GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines}\r\n`);
      } catch {
        // It closed the connection before the whole request was sent.
      }
      const status = statusOf(await client.readToEnd());
      const isRefused = /^4\d\d$/.test(status) || status === "no status";
      const other = await router.chat();
      await other.body?.cancel();
      return `${isRefused ? "refused" : status}, others ${
        other.status === 200 ? "are served" : other.status
      }`;
    });
  }

  await table.case("bytes that are no HTTP", "400 or closed, others are served", async () => {
    using client = await RawClient.connect(router.port);
    await client.send(new Uint8Array(8192).map((_, at) => (at * 37) & 0xff));
    const status = statusOf(await client.readToEnd());
    assert.ok(status === "400" || status === "no status", status);
    const other = await router.chat();
    await other.body?.cancel();
    return `400 or closed, others ${other.status === 200 ? "are served" : other.status}`;
  });

  await table.case("WebSocket upgrade", "426", async () => {
    using client = await RawClient.connect(router.port);
    await client.send(rawRequest("/v1/realtime", {
      method: "GET",
      token,
      headers: { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
    }));
    return statusOf(await client.readUntil("\r\n\r\n"));
  });

  await table.case("500 clients that connect and leave", "others are served", async () => {
    for (let at = 0; at < 500; at++) (await RawClient.connect(router.port)).close();
    const other = await router.chat();
    await other.body?.cancel();
    return `others ${other.status === 200 ? "are served" : other.status}`;
  });
  table.print();
});

Deno.test("clients that stall, with --client-timeout 1", async (t) => {
  const table = new FaultTable("Stalled clients", t);
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--client-timeout", "1"],
  });

  await table.case("in its upload", "408 request_timeout, no request", async () => {
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token).slice(0, -10));
    const response = await client.readUntil("}}");
    const code = /"code":"(\w+)"/.exec(response)?.[1];
    return `${statusOf(response)} ${code}, ${upstream.requests.length || "no"} request`;
  });

  await table.case("in its download", "upstream released, 499 client_gone", async () => {
    const flood = new Flood(256 * MIB);
    upstream.script = flood.script;
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await upstream.received(1);
    await upstream.requests[0]?.closed;
    const [record] = await router.recorded(1);
    return `upstream released, ${record?.status} ${record?.outcome}`;
  });

  await table.case("not one that waits for a slow upstream", "200", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const slow = upstream.requests.length;
    upstream.script = async (request, wire) => {
      await released;
      await chatReply("slow")(request, wire);
    };
    const pending = router.chat();
    await upstream.received(slow + 1);
    // Meanwhile, another client stalls as long as the limit.
    using stalled = await RawClient.connect(router.port);
    await stalled.send(rawChat(router.token).slice(0, -10));
    await stalled.readUntil("}}");
    release();
    const response = await pending;
    await response.body?.cancel();
    return String(response.status);
  });
  table.print();
});

Deno.test("an upload of 100 MB", async (t) => {
  const table = new FaultTable("Large uploads", t);
  const sizeBytes = 100_000_000;
  const hashes: string[] = [];
  const taking = (status: number) =>
    new RawUpstream(async (connection) => {
      const hash = createHash("sha256");
      await readRequest(connection, (bytes) => hash.update(bytes));
      hashes.push(hash.digest("hex"));
      await writeAll(connection, `${head(status, { "content-length": "2", connection: "close" })}{}`);
    });
  await using first = taking(500);
  await using second = taking(200);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
    args: ["--max-body", "128MiB"],
  });

  await table.case(
    "100 MB with failover, --max-body 128MiB",
    "200, identical twice, less than 768 MiB",
    async () => {
      const sent = createHash("sha256");
      const piece = crypto.getRandomValues(new Uint8Array(50_000));
      using client = await RawClient.connect(router.port);
      await client.send(rawRequest("/v1/files", {
        token: router.token,
        headers: { "content-type": "application/octet-stream", "content-length": String(sizeBytes) },
      }));
      for (let at = 0; at < sizeBytes; at += piece.length) {
        piece[0] = (piece[0] ?? 0) + 1;
        sent.update(piece);
        await client.send(piece);
      }
      const response = await client.readToEnd();
      const expected = sent.digest("hex");
      const identical = hashes.filter((hash) => hash === expected).length === 2 ? "twice" : "not";
      const peakMib = peakMemoryMib(router.pid);
      return `${statusOf(response)}, identical ${identical}, ${
        peakMib < 768 ? `less than 768 MiB: peak ${peakMib}` : `${peakMib} MiB`
      }`;
    },
  );

  await table.case("the default limit is 64 MiB: 413 at once", "413", async () => {
    await using strict = await Router.start();
    using client = await RawClient.connect(strict.port);
    await client.send(rawRequest("/v1/files", {
      token: strict.token,
      headers: { "content-length": String(sizeBytes) },
    }));
    return statusOf(await client.readUntil("\r\n\r\n"));
  });
  table.print();
});
