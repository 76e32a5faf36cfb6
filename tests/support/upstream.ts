/**
 * A scripted upstream over raw sockets on 127.0.0.1, for correct and faulty behaviour.
 */
import { Buffer } from "node:buffer";
import { closeQuietly, ConnectionServer, LOOPBACK, writeAll } from "./connection_server.ts";

/** One request as received. */
export interface ReceivedRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Body as text. */
  readonly text: string;
  /** Resolves when the peer closes or breaks the connection. */
  readonly closed: Promise<void>;
}

/** The connection, for a script. */
export interface Wire {
  write(data: string | Uint8Array): Promise<void>;
  /** Orderly end of the connection. */
  close(): void;
}

/** Answers one request. When it returns, the connection is kept for the next request unless it was closed. */
export type Script = (request: ReceivedRequest, wire: Wire) => Promise<void> | void;

export class FakeUpstream implements AsyncDisposable {
  readonly requests: ReceivedRequest[] = [];
  readonly #server: ConnectionServer<Deno.TcpConn>;
  #script: Script;
  #waiters: { count: number; resolve: () => void }[] = [];

  constructor(script: Script) {
    this.#script = script;
    this.#server = new ConnectionServer(Deno.listen(LOOPBACK), (connection) => this.#serve(connection));
  }

  get port(): number {
    return this.#server.port;
  }

  /** Base URL for `add --endpoint`. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  /** Number of open connections. */
  get connectionCount(): number {
    return this.#server.connectionCount;
  }

  /** Number of connections accepted so far. */
  get acceptedCount(): number {
    return this.#server.acceptedCount;
  }

  set script(script: Script) {
    this.#script = script;
  }

  /** Resolves when this number of requests has arrived. */
  received(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    const input = new WireReader(connection);
    for (;;) {
      const head = await input.readHead();
      if (head === null) return;
      const [requestLine = "", ...lines] = head.split("\r\n");
      const [method = "", target = ""] = requestLine.split(" ");
      const headers = new Headers();
      for (const line of lines) {
        const colon = line.indexOf(":");
        headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
      }
      const body = await input.readBody(headers);
      if (body === null) return;
      const closed = input.waitForMore();
      const request = { method, target, headers, body, text: new TextDecoder().decode(body), closed };
      this.requests.push(request);
      this.#waiters = this.#waiters.filter(({ count, resolve }) => {
        if (this.requests.length < count) return true;
        resolve();
        return false;
      });
      let isClosed = false;
      const running = this.#script(request, {
        write: (data) => writeAll(connection, data),
        close: () => {
          isClosed = true;
          closeQuietly(connection);
        },
      });
      try {
        await running;
      } catch (error) {
        // The peer left while the script was writing.
        if (error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset) return;
        throw error;
      }
      if (isClosed) return;
    }
  }
}

class WireReader {
  readonly #connection: Deno.TcpConn;
  #buffer: Buffer = Buffer.alloc(0);
  #pending: Promise<boolean> | null = null;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  async readHead(): Promise<string | null> {
    for (;;) {
      const end = this.#buffer.indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = this.#buffer.toString("latin1", 0, end);
        this.#buffer = this.#buffer.subarray(end + 4);
        return head;
      }
      if (!await this.#more()) return null;
    }
  }

  async readBody(headers: Headers): Promise<Uint8Array | null> {
    if (headers.get("transfer-encoding") === "chunked") return await this.#readChunked();
    return await this.#take(Number(headers.get("content-length") ?? 0));
  }

  /** Resolves at the end of the connection; bytes of another request do not count as the end. */
  async waitForMore(): Promise<void> {
    while (await this.#more());
  }

  async #readChunked(): Promise<Uint8Array | null> {
    const chunks: Uint8Array[] = [];
    for (;;) {
      let lineEnd = this.#buffer.indexOf("\r\n");
      while (lineEnd < 0) {
        if (!await this.#more()) return null;
        lineEnd = this.#buffer.indexOf("\r\n");
      }
      const size = parseInt(this.#buffer.toString("latin1", 0, lineEnd), 16);
      this.#buffer = this.#buffer.subarray(lineEnd + 2);
      const chunk = await this.#take(size + 2);
      if (chunk === null) return null;
      if (size === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, size));
    }
  }

  async #take(count: number): Promise<Uint8Array | null> {
    while (this.#buffer.length < count) if (!await this.#more()) return null;
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }

  /** One read at a time, shared by all waiters; false at the end. */
  #more(): Promise<boolean> {
    this.#pending ??= this.#read().finally(() => this.#pending = null);
    return this.#pending;
  }

  async #read(): Promise<boolean> {
    const chunk = new Uint8Array(64 * 1024);
    try {
      const count = await this.#connection.read(chunk);
      if (count === null) return false;
      this.#buffer = Buffer.concat([this.#buffer, chunk.subarray(0, count)]);
      return true;
    } catch {
      return false;
    }
  }
}

const encoder = new TextEncoder();

/** A whole reply with Content-Length. */
export function reply(status: number, body: string, headers: Record<string, string> = {}): Script {
  const all = {
    "content-type": "application/json",
    ...headers,
    "content-length": String(encoder.encode(body).length),
  };
  return (_request, wire) => wire.write(head(status, all) + body);
}

/** A chat completion with this text. */
export function chatReply(text: string, model = "test-model"): Script {
  return reply(200, JSON.stringify(chatCompletion(text, model)));
}

export function chatCompletion(text: string, model = "test-model"): Record<string, unknown> {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model,
    choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
    usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
  };
}

/** A status line and headers. */
export function head(status: number, headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Status\r\n${lines.join("")}\r\n`;
}

export const STREAM_HEAD = head(200, {
  "content-type": "text/event-stream",
  "transfer-encoding": "chunked",
});

/** One HTTP chunk. */
export function chunk(data: string): string {
  return `${encoder.encode(data).length.toString(16)}\r\n${data}\r\n`;
}

export const LAST_CHUNK = "0\r\n\r\n";

/** One event of a chat stream. */
export function chatEvent(delta: Record<string, unknown>, finishReason: string | null = null): string {
  const event = {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "test-model",
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  };
  return `data: ${JSON.stringify(event)}\n\n`;
}

/** The events of a whole chat stream with these words. */
export function chatEvents(words: readonly string[]): string[] {
  const usage = { prompt_tokens: 5, completion_tokens: words.length, total_tokens: 5 + words.length };
  return [
    chatEvent({ role: "assistant", content: "" }),
    ...words.map((content) => chatEvent({ content })),
    chatEvent({}, "stop"),
    `data: ${
      JSON.stringify({
        id: "chatcmpl-1",
        object: "chat.completion.chunk",
        created: 1,
        model: "test-model",
        choices: [],
        usage,
      })
    }\n\n`,
    "data: [DONE]\n\n",
  ];
}

/** Sends these HTTP chunks one by one, with a turn of the event loop in between. */
export function pieces(parts: readonly string[], status = 200): Script {
  return async (_request, wire) => {
    const type = status === 200 ? "text/event-stream" : "application/json";
    await wire.write(head(status, { "content-type": type, "transfer-encoding": "chunked" }));
    for (const part of parts) {
      await wire.write(chunk(part));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await wire.write(LAST_CHUNK);
  };
}

/** Streams events, one HTTP chunk each. */
export function stream(events: readonly string[]): Script {
  return async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    await wire.write(LAST_CHUNK);
  };
}

/** Sends a stream's head and some events, then breaks the connection. */
export function cutAfter(events: readonly string[]): Script {
  return async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    wire.close();
  };
}

/** Answers the first request with the first script, and so on; the last script answers all further ones. */
export function inTurn(...scripts: readonly Script[]): Script {
  let turn = 0;
  return (request, wire) => scripts[Math.min(turn++, scripts.length - 1)]?.(request, wire);
}

/** Writes this and closes the connection. */
export function raw(data: string | Uint8Array): Script {
  return async (_request, wire) => {
    await wire.write(data);
    wire.close();
  };
}

/** Sends a stream's head and some events, then stays silent until the peer leaves. */
export function silentAfter(events: readonly string[]): Script {
  return async (request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    await request.closed;
  };
}

/** Reads the request and never answers; ends when the peer gives up. */
export function hang(request: ReceivedRequest): Promise<void> {
  return request.closed;
}

/** A loopback endpoint that refuses connections. */
export function refusingEndpoint(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return `http://127.0.0.1:${port}/v1`;
}
