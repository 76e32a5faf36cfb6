/**
 * A stalled reader must not make the router's memory grow, and must still get every byte when it continues.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { rawChat } from "../support/raw_client.ts";
import { eventually, Router } from "../support/router.ts";
import { chatEvent, chatEvents, FakeUpstream, hang, head, type Script } from "../support/upstream.ts";

const MIB = 1024 * 1024;

/** Resident memory of a process in bytes. */
async function residentBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** An event stream of about this many bytes, in pieces. */
function* pieces(bytes: number): Generator<string> {
  const [role = "", , ...end] = chatEvents(["x"]);
  yield role;
  // Little text in many bytes: the text is kept for the record, which is not tested here.
  const piece = chatEvent({ content: "ab", padding: "0123456789abcdef".repeat(60) }).repeat(16);
  for (let sent = 0; sent < bytes; sent += piece.length) yield piece;
  yield end.join("");
}

interface Flow {
  sentBytes: number;
  hash: ReturnType<typeof createHash>;
}

/** Streams this many bytes with a declared length for each request, and tracks the last one. */
function flood(bytes: number, flow: Flow): Script {
  const total = [...pieces(bytes)].reduce((sum, piece) => sum + piece.length, 0);
  return async (_request, wire) => {
    flow.sentBytes = 0;
    flow.hash = createHash("sha256");
    await wire.write(head(200, { "content-type": "text/event-stream", "content-length": String(total) }));
    for (const piece of pieces(bytes)) {
      await wire.write(piece);
      flow.hash.update(piece);
      flow.sentBytes += piece.length;
    }
  };
}

const WARM_UP_ROUNDS = 3;
const WARM_UP_BYTES = 32 * MIB;

/** Warms the router up until its heap has its final size: later growth is buffered data. */
async function warmUp(router: Router, upstream: FakeUpstream, flow: Flow): Promise<void> {
  upstream.script = flood(WARM_UP_BYTES, flow);
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    const response = await router.chat({ stream: true });
    await response.body?.pipeTo(new WritableStream());
    await router.recordOf(response);
  }
}

for (const sizeMib of [4, 64]) {
  Deno.test(`${sizeMib} MiB of stream to a stalled reader take less than 16 MB of memory`, async () => {
    const flow: Flow = { sentBytes: 0, hash: createHash("sha256") };
    await using upstream = new FakeUpstream(hang);
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
    await warmUp(router, upstream, flow);
    const beforeBytes = await residentBytes(router.pid);
    upstream.script = flood(sizeMib * MIB, flow);

    const client = await Deno.connect({ hostname: "127.0.0.1", port: router.port });
    try {
      const received = upstream.received(upstream.requests.length + 1);
      await client.write(new TextEncoder().encode(rawChat(router.token, { stream: true })));
      await received;
      await haltOf(flow);
      const grownBytes = await residentBytes(router.pid) - beforeBytes;
      assert.ok(grownBytes < 16 * MIB, `the router grew by ${grownBytes} bytes`);
      if (sizeMib > 32) assert.ok(flow.sentBytes < 32 * MIB, `the upstream was not held: ${flow.sentBytes}`);

      const reply = await readReply(client);
      assert.equal(reply.bytes, flow.sentBytes);
      assert.equal(reply.hash, flow.hash.digest("hex"));
    } finally {
      client.close();
    }
    const record = await eventually(() => {
      const last = router.query("SELECT * FROM records ORDER BY id DESC LIMIT 1")[0];
      return last?.outcome === "in_flight" ? null : last ?? null;
    }, "the record");
    assert.equal(record.outcome, "complete");
    assert.equal(record.response_bytes, flow.sentBytes);
  });
}

/** Waits until the upstream can send no more bytes. */
async function haltOf(flow: Flow): Promise<void> {
  let last = -1;
  let still = 0;
  await eventually(() => {
    still = flow.sentBytes > 0 && flow.sentBytes === last ? still + 1 : 0;
    last = flow.sentBytes;
    return still >= 10 ? true : null;
  }, "the stream to come to a halt");
}

/** Reads a reply to the connection's end: size and hash of its body. */
async function readReply(client: Deno.TcpConn): Promise<{ bytes: number; hash: string }> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(256 * 1024);
  let head = "";
  let isBody = false;
  let total = 0;
  for (;;) {
    const count = await client.read(buffer);
    if (count === null) return { bytes: total, hash: hash.digest("hex") };
    let bytes = buffer.subarray(0, count);
    if (!isBody) {
      head += new TextDecoder("latin1").decode(bytes);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      isBody = true;
      bytes = new TextEncoder().encode(head.slice(end + 4));
    }
    hash.update(bytes);
    total += bytes.length;
  }
}
