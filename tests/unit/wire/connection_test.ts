import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { systemClock } from "../../../src/server/clock.ts";
import { Cancellation } from "../../../src/core/cancellation.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import type { LendingSource } from "../../../src/wire/byte_source.ts";
import { HttpClient } from "../../../src/wire/client.ts";
import { type ByteConnection, ConnectionInput } from "../../../src/wire/connection.ts";
import { MessageBody } from "../../../src/wire/reading.ts";

const SMALL = 4 * 1024;
const LARGE = 128 * 1024;

/** Brings as many bytes a read as is told, or as fit; keeps how much each read had room for. */
class CountedReads {
  readonly rooms: number[] = [];
  readonly #counts: number[];

  constructor(counts: readonly number[]) {
    this.#counts = [...counts];
  }

  read(target: Uint8Array): Promise<number | null> {
    this.rooms.push(target.length);
    const count = this.#counts.shift();
    return Promise.resolve(count === undefined ? null : Math.min(count, target.length));
  }
}

async function readAll(input: ConnectionInput): Promise<void> {
  while (await input.fill()) input.consume(input.availableBytes);
}

Deno.test("a connection reads in large pieces once a small buffer was full, and in small ones after four small reads", async () => {
  const reads = new CountedReads([100, LARGE, LARGE, 10, 10, 10, LARGE, 10, 10, 10, 10, 10]);
  await readAll(new ConnectionInput(reads));
  const { rooms } = reads;
  assert.deepEqual(rooms, [SMALL, SMALL, ...Array<number>(9).fill(LARGE), SMALL, SMALL]);
});

const BODY = "0123456789".repeat(10_000);

Deno.test("a large reply finds room for all of it on a connection that brought one before", async () => {
  const { client, connections, send } = clientOf(BODY);
  for (let reply = 1; reply <= 3; reply++) {
    for (const upstream of connections) upstream.reads = 0;
    const body = await send();
    let bytes = 0;
    for (let piece = await body.read(); piece !== null; piece = await body.read()) bytes += piece.length;
    assert.equal(bytes, BODY.length);
    if (reply > 1) assert.deepEqual(connections.map(({ reads }) => reads), [1], `reply ${reply}`);
  }
  client.close();
});

Deno.test("a connection serves no other request while the end of a reply is lent", async () => {
  const { client, connections, send } = clientOf(BODY);
  const first = await send();
  const lent = await lendToEnd(first);
  assert.equal(first.isDone, true);
  const second = await send();
  await lendToEnd(second);
  assert.equal(connections.length, 2);
  assert.equal(BODY.endsWith(Buffer.from(lent).toString()), true);

  first.release();
  const third = await send();
  await lendToEnd(third);
  assert.equal(connections.length, 2);

  // Somebody may still be reading what was lent.
  third.cancel();
  assert.deepEqual(connections.map(({ isClosed }) => isClosed), [true, false]);
  await send();
  assert.equal(connections.length, 3);
  second.cancel();
  client.close();
});

Deno.test("of the idle connections that brought large replies, 64 keep the room for another", async () => {
  const { client, connections, send } = clientOf(BODY);
  const bodies = await Promise.all(Array.from({ length: 70 }, send));
  for (const body of bodies) {
    await lendToEnd(body);
    body.release();
  }
  const rooms = connections.map(({ room }) => room);
  assert.deepEqual(rooms, [...Array<number>(64).fill(LARGE), ...Array<number>(6).fill(SMALL)]);
  client.close();
});

/** A client of an upstream that answers each request with `body`, and the connections that it has made. */
function clientOf(body: string) {
  const connections: RepeatingUpstream[] = [];
  const client = new HttpClient({
    clock: systemClock,
    maxIdlePerOrigin: 100,
    idleTimeoutMs: 60_000,
    connect: () => {
      const connection = new RepeatingUpstream(
        `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      connections.push(connection);
      return Promise.resolve(connection);
    },
  });
  const send = async (): Promise<LendingSource> => {
    const reply = await client.send({
      url: "http://upstream.test/",
      method: "GET",
      headers: new HeaderFields([]),
      body: null,
      cancellation: new Cancellation(),
    });
    return reply.body;
  };
  return { client, connections, send };
}

/** What was lent last. */
async function lendToEnd(body: LendingSource): Promise<Uint8Array> {
  for (;;) {
    const bytes = body.lend();
    if (bytes === null) await body.ready();
    else if (body.isDone) return bytes;
  }
}

/** Answers each request with the same bytes, as many a read as there is room for. */
class RepeatingUpstream implements ByteConnection {
  reads = 0;
  /** For how many bytes the last read had room. */
  room = 0;
  isClosed = false;
  readonly #reply: Buffer;
  #left: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};

  constructor(reply: string) {
    this.#reply = Buffer.from(reply);
  }

  async read(target: Uint8Array): Promise<number | null> {
    this.room = target.length;
    if (this.#left.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    this.reads++;
    const count = this.#left.copy(target);
    this.#left = this.#left.subarray(count);
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.#left = this.#reply;
    this.#wake();
    return Promise.resolve(bytes.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.isClosed = true;
    this.#wake();
  }
}

Deno.test("what is lent of a chunked body is what its chunks say, wherever they and the reads end", async () => {
  const texts = Array.from({ length: 400 }, (_, n) => `<${n}>`.repeat(n % 50 + 1));
  const message = Buffer.from(
    texts.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join("") + "0\r\n\r\n",
  );
  for (const readBytes of [1, 7, 100, 4_095, 4_096, 10_000, LARGE]) {
    let at = 0;
    const input = new ConnectionInput({
      read: (target) => {
        const piece = message.subarray(at, at + readBytes);
        const count = piece.copy(target);
        at += count;
        return Promise.resolve(count === 0 ? null : count);
      },
    });
    const body = new MessageBody(input, { type: "chunked" });
    let said = "";
    while (!body.isDone && await input.fill()) said += Buffer.from(body.lend() ?? []).toString("latin1");
    assert.equal(said, texts.join(""), `${readBytes} bytes a read`);
  }
});
