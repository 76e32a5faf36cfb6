/**
 * Reads HTTP/1.1 messages from raw bytes at low cost: both ends of the benchmark speak HTTP without a
 * library. Understands what proxies send, without pipelining; not a general parser.
 */
import { PATH } from "./payloads.ts";

const CR = 13;
const LF = 10;
const decoder = new TextDecoder("latin1");

type State = "head" | "counted" | "chunk size" | "chunk" | "chunk end" | "trailer" | "done";

/** Reads one message at a time from a connection; call `reset()` in between. */
export class MessageReader {
  readonly #onBody: (part: Uint8Array<ArrayBuffer>) => void;
  #state: State = "head";
  #head = "";
  /** Missing bytes of the body or of the current chunk. */
  #remaining = 0;
  #line = "";

  /** @param onBody gets the body without its framing, as views of what was pushed */
  constructor(onBody: (part: Uint8Array<ArrayBuffer>) => void) {
    this.#onBody = onBody;
  }

  /** Start line and fields received so far. */
  get head(): string {
    return this.#head;
  }

  /** Status of a response; NaN before it is known. */
  get status(): number {
    return this.#state === "head" ? NaN : Number(this.#head.slice(9, 12));
  }

  reset(): void {
    this.#state = "head";
    this.#head = "";
    this.#line = "";
  }

  /**
   * @returns whether the message is complete
   * @throws {Error} when the bytes are not a message, or continue after its end
   */
  push(bytes: Uint8Array<ArrayBuffer>): boolean {
    let at = this.#state === "head" ? this.#readHead(bytes) : 0;
    while (at < bytes.length) {
      switch (this.#state) {
        case "counted":
        case "chunk":
          at = this.#readBody(bytes, at);
          break;
        case "chunk size":
        case "chunk end":
        case "trailer":
          at = this.#readLine(bytes, at);
          break;
        default:
          throw new Error(`${bytes.length - at} bytes after the end of a message`);
      }
    }
    return this.#state === "done";
  }

  #readHead(bytes: Uint8Array<ArrayBuffer>): number {
    const before = this.#head.length;
    this.#head += decoder.decode(bytes);
    const end = this.#head.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (end < 0) return bytes.length;
    this.#head = this.#head.slice(0, end + 2);
    if (/\r\ntransfer-encoding: *chunked\r\n/i.test(this.#head)) {
      this.#state = "chunk size";
    } else {
      this.#remaining = Number(/\r\ncontent-length: *(\d+)\r\n/i.exec(this.#head)?.[1] ?? 0);
      this.#state = this.#remaining === 0 ? "done" : "counted";
    }
    return end + 4 - before;
  }

  #readBody(bytes: Uint8Array<ArrayBuffer>, at: number): number {
    const end = Math.min(bytes.length, at + this.#remaining);
    this.#remaining -= end - at;
    this.#onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    if (this.#remaining === 0) this.#state = this.#state === "chunk" ? "chunk end" : "done";
    return end;
  }

  #readLine(bytes: Uint8Array<ArrayBuffer>, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === LF) {
        this.#endLine();
        return at + 1;
      }
      if (byte !== CR) this.#line += String.fromCharCode(byte ?? 0);
    }
    return bytes.length;
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = "";
    if (this.#state === "chunk end") {
      this.#state = "chunk size";
    } else if (this.#state === "trailer") {
      if (line === "") this.#state = "done";
    } else {
      this.#remaining = parseInt(line, 16);
      if (Number.isNaN(this.#remaining)) throw new Error(`not the size of a chunk: ${JSON.stringify(line)}`);
      this.#state = this.#remaining === 0 ? "trailer" : "chunk";
    }
  }
}

/** Writes all bytes; resolves when the kernel has taken them. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(written === 0 ? bytes : bytes.subarray(written));
  }
}

export function concatenated(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export interface ChatRequest {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  /** ASCII. */
  readonly body: string;
}

/** A POST to the chat endpoint, ready for the wire. */
export function chatRequest({ port, headers, body }: ChatRequest): Uint8Array<ArrayBuffer> {
  const lines = Object.entries({
    host: `127.0.0.1:${port}`,
    "content-type": "application/json",
    ...headers,
    "content-length": String(body.length),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return new TextEncoder().encode(`POST ${PATH} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}
