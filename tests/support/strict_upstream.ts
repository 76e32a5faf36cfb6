/**
 * An upstream that reads requests strictly, keeps their bytes, and notes everything that is not well-formed.
 */
import { Buffer } from "node:buffer";
import { writeAll } from "./raw_upstream.ts";
import { type StrictRequest, takeRequest } from "./strict_messages.ts";

/** What a script can do with the connection on which its request came. */
export interface StrictWire {
  /** Counts up from 1, in the order of accepting. */
  readonly connectionId: number;
  write(data: string | Uint8Array): Promise<void>;
  close(): void;
}

export type StrictScript = (request: StrictRequest, wire: StrictWire) => Promise<void> | void;

/** A request with the bytes that it came in. */
export interface KeptRequest extends StrictRequest {
  readonly raw: Buffer;
}

export class StrictUpstream implements AsyncDisposable {
  /** What was malformed, or ended in the middle. */
  readonly faults: string[] = [];
  script: StrictScript;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  readonly #onRequest: (request: KeptRequest) => void;
  #acceptedCount = 0;

  /** @param onRequest sees each request before it is answered */
  constructor(script: StrictScript, onRequest: (request: KeptRequest) => void = () => {}) {
    this.script = script;
    this.#onRequest = onRequest;
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  /** Base URL for an upstream's row. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#tasks);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let connection: Deno.TcpConn;
      try {
        connection = await this.#listener.accept();
      } catch {
        return;
      }
      connection.setNoDelay(true);
      this.#connections.add(connection);
      const task = this.#serve(connection, ++this.#acceptedCount).finally(() => {
        closeQuietly(connection);
        this.#connections.delete(connection);
        this.#tasks.delete(task);
      });
      this.#tasks.add(task);
    }
  }

  async #serve(connection: Deno.TcpConn, connectionId: number): Promise<void> {
    let received = Buffer.alloc(0);
    let isClosed = false;
    const wire: StrictWire = {
      connectionId,
      write: (data) => writeAll(connection, data),
      close: () => {
        isClosed = true;
        closeQuietly(connection);
      },
    };
    const chunk = new Uint8Array(64 * 1024);
    try {
      while (!isClosed) {
        const taken = takeRequest(received);
        if (taken === null) {
          const count = await connection.read(chunk).catch(() => null);
          if (count === null) break;
          received = Buffer.concat([received, chunk.subarray(0, count)]);
          continue;
        }
        const raw = received.subarray(0, taken.size);
        received = received.subarray(taken.size);
        this.#onRequest({ ...taken.request, raw });
        // The other side may leave while it is answered; what comes next tells.
        await Promise.resolve(this.script(taken.request, wire)).catch(() => {});
      }
      if (received.length > 0 && !isClosed) this.#fault("it ended within a request", received);
    } catch (error) {
      this.#fault(error instanceof Error ? error.message : String(error), received);
    }
  }

  #fault(what: string, received: Buffer): void {
    this.faults.push(`${what}: ${JSON.stringify(received.toString("latin1", 0, 2000))}`);
  }
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
