/**
 * An upstream that reads requests strictly, keeps their bytes, and records everything malformed.
 */
import { Buffer } from "node:buffer";
import { closeQuietly, ConnectionServer, LOOPBACK, writeAll } from "./connection_server.ts";
import { type StrictRequest, takeRequest } from "./strict_messages.ts";

/** The connection of a request, for its script. */
export interface StrictWire {
  /** From 1, in the order of accepting. */
  readonly connectionId: number;
  write(data: string | Uint8Array): Promise<void>;
  close(): void;
}

export type StrictScript = (request: StrictRequest, wire: StrictWire) => Promise<void> | void;

/** A request with its raw bytes. */
export interface KeptRequest extends StrictRequest {
  readonly raw: Buffer;
}

export class StrictUpstream implements AsyncDisposable {
  /** Descriptions of malformed or truncated requests. */
  readonly faults: string[] = [];
  script: StrictScript;
  readonly #server: ConnectionServer<Deno.TcpConn>;
  readonly #onRequest: (request: KeptRequest) => void;

  /** @param onRequest sees each request before it is answered */
  constructor(script: StrictScript, onRequest: (request: KeptRequest) => void = () => {}) {
    this.script = script;
    this.#onRequest = onRequest;
    this.#server = new ConnectionServer(
      Deno.listen(LOOPBACK),
      (connection, id) => this.#serve(connection, id),
    );
  }

  get port(): number {
    return this.#server.port;
  }

  /** Base URL for an upstream's row. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async #serve(connection: Deno.TcpConn, connectionId: number): Promise<void> {
    connection.setNoDelay(true);
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
        // The router may leave during the answer; the next read shows it.
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
