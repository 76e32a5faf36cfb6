import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { systemClock } from "../../../src/cli/clock.ts";
import { Cancellation } from "../../../src/core/cancellation.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
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

Deno.test("a large reply finds room for all of it on a connection that brought one before", async () => {
  const body = "x".repeat(100_000);
  const upstream = new RepeatingUpstream(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  const client = new HttpClient({
    clock: systemClock,
    maxIdlePerOrigin: 1,
    idleTimeoutMs: 60_000,
    connect: () => Promise.resolve(upstream),
  });
  for (let reply = 1; reply <= 3; reply++) {
    upstream.reads = 0;
    const { body } = await client.send({
      url: "http://upstream.test/",
      method: "GET",
      headers: new HeaderFields([]),
      body: null,
      cancellation: new Cancellation(),
    });
    let bytes = 0;
    for (let piece = await body.read(); piece !== null; piece = await body.read()) bytes += piece.length;
    assert.equal(bytes, 100_000);
    if (reply > 1) assert.equal(upstream.reads, 1, `reply ${reply}`);
  }
  client.close();
});

/** Answers each request with the same bytes, as many a read as there is room for. */
class RepeatingUpstream implements ByteConnection {
  reads = 0;
  readonly #reply: Buffer;
  #left: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};

  constructor(reply: string) {
    this.#reply = Buffer.from(reply);
  }

  async read(target: Uint8Array): Promise<number | null> {
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
    this.#wake();
  }
}

Deno.test("what is lent of a chunked body is one piece, wherever chunks and reads end", async () => {
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
    while (!body.isDone && await input.fill()) said += Buffer.from(body.take(true) ?? []).toString("latin1");
    assert.equal(said, texts.join(""), `${readBytes} bytes a read`);
  }
});
