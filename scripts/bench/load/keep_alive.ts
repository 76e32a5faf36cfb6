/**
 * One raw connection that repeats the same request and compares every byte of the answers.
 */
import { Buffer } from "node:buffer";
import { MessageReader, writeAll } from "../http1.ts";

const READ_BYTES = 262_144;

export class KeepAlive {
  readonly #connection: Deno.TcpConn;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  readonly #reader: MessageReader;
  readonly #expected: Buffer;
  #at = 0;
  #isWrong = false;
  /** Received so far. */
  bytes = 0;

  private constructor(connection: Deno.TcpConn, expected: Uint8Array) {
    connection.setNoDelay();
    this.#connection = connection;
    this.#expected = Buffer.from(expected.buffer, expected.byteOffset, expected.byteLength);
    this.#buffer = new Uint8Array(Math.min(READ_BYTES, 4_096 + expected.length));
    this.#reader = new MessageReader((part) => {
      const end = this.#at + part.length;
      const isSame = end <= this.#expected.length &&
        this.#expected.compare(part, 0, part.length, this.#at, end) === 0;
      if (!isSame) this.#isWrong = true;
      this.#at = end;
    });
  }

  static async open(port: number, expected: Uint8Array): Promise<KeepAlive> {
    return new KeepAlive(await Deno.connect({ hostname: "127.0.0.1", port }), expected);
  }

  /** Resolves with the answer. @throws {Error} when it is not the expected one */
  async ask(request: Uint8Array): Promise<void> {
    this.#reader.reset();
    this.#at = 0;
    // An answer may begin before the request is sent; unless it is read, both sides may block on writing.
    const sent = writeAll(this.#connection, request);
    // A failure shows on the reading side.
    sent.catch(() => {});
    for (;;) {
      const count = await this.#connection.read(this.#buffer);
      if (count === null) throw new Error("the connection was closed early");
      this.bytes += count;
      if (this.#reader.push(this.#buffer.subarray(0, count))) break;
    }
    await sent;
    if (this.#reader.status !== 200) throw new Error(`status ${this.#reader.status}`);
    if (this.#isWrong || this.#at !== this.#expected.length) throw new Error("wrong bytes in an answer");
  }

  close(): void {
    this.#connection.close();
  }
}
