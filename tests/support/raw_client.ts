/**
 * A client over a raw socket: sends exactly the bytes given, shows exactly the bytes that come back.
 */
import { Buffer } from "node:buffer";
import { within } from "./within.ts";

/** Longer than any test waits for something. */
const LIMIT_SECONDS = 120;

export class RawClient implements Disposable {
  readonly #connection: Deno.TcpConn;
  #received: Buffer = Buffer.alloc(0);
  #isEnded = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** All text received so far. */
  get text(): string {
    return this.#received.toString("utf8");
  }

  /** The bytes after the head; undecoded. */
  get body(): Buffer {
    const end = this.#received.indexOf("\r\n\r\n");
    return end < 0 ? Buffer.alloc(0) : this.#received.subarray(end + 4);
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  /** Ends the sending direction. */
  async end(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** Reads until this text was received this often, and returns all text; fails when the connection ends first. */
  readUntil(text: string, times = 1): Promise<string> {
    const what = () => `waiting for ${JSON.stringify(text)}`;
    return within(LIMIT_SECONDS, what, this.#readUntil(text, times));
  }

  async #readUntil(text: string, times: number): Promise<string> {
    while (!this.#hasReceived(text, times)) {
      if (!await this.#read()) throw new Error(`the connection ended before ${JSON.stringify(text)} came`);
    }
    return this.text;
  }

  /** Reads until the peer ends or breaks the connection. */
  async readToEnd(): Promise<string> {
    while (await this.#read());
    return this.text;
  }

  #hasReceived(text: string, times: number): boolean {
    let at = -1;
    for (let count = 0; count < times; count++) {
      at = this.#received.indexOf(text, at + 1);
      if (at < 0) return false;
    }
    return true;
  }

  /** Reads to the end without keeping anything; returns the number of bytes. */
  async drain(): Promise<number> {
    const chunk = new Uint8Array(256 * 1024);
    let bytes = this.#received.length;
    for (;;) {
      const count = await this.#connection.read(chunk).catch(() => null);
      if (count === null) return bytes;
      bytes += count;
    }
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // It is closed already.
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #read(): Promise<boolean> {
    if (this.#isEnded) return false;
    const chunk = new Uint8Array(64 * 1024);
    try {
      const count = await this.#connection.read(chunk);
      if (count !== null) {
        this.#received = Buffer.concat([this.#received, chunk.subarray(0, count)]);
        return true;
      }
    } catch {
      // A broken connection is an end.
    }
    this.#isEnded = true;
    return false;
  }
}

/** A request as sent on the wire; `connection: close` unless `headers` say otherwise. */
export function rawRequest(
  target: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; token?: string } = {},
): string {
  const { method = "POST", body = "", token } = options;
  const headers: Record<string, string> = {
    host: "127.0.0.1",
    connection: "close",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(method === "GET" ? {} : { "content-length": String(new TextEncoder().encode(body).length) }),
    ...options.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${method} ${target} HTTP/1.1\r\n${lines}\r\n${body}`;
}

/** A chat request as sent on the wire. */
export function rawChat(token: string, body: Record<string, unknown> = {}): string {
  return rawRequest("/v1/chat/completions", {
    token,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "test-model", messages: [{ role: "user", content: "hi" }], ...body }),
  });
}

/** Whether a chunked response ended with its last chunk (RFC 9112 section 7.1). */
export function isTerminated(response: string): boolean {
  return response.endsWith("0\r\n\r\n");
}

/** The received part of a chunked body, decoded. */
export function decodeChunked(client: RawClient): string {
  const { body } = client;
  let text = "";
  for (let at = 0; at < body.length;) {
    const lineEnd = body.indexOf("\r\n", at);
    if (lineEnd < 0) break;
    const size = parseInt(body.toString("latin1", at, lineEnd), 16);
    if (size === 0) break;
    text += body.toString("utf8", lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
  return text;
}
