/**
 * An upstream at the TCP level: a script handles each connection, for faults that an HTTP server cannot
 * produce.
 */
import { Buffer } from "node:buffer";
import { ConnectionServer, LOOPBACK, writeAll } from "./connection_server.ts";

export type ConnectionScript = (connection: Deno.Conn) => Promise<void>;

export class RawUpstream implements AsyncDisposable {
  readonly #server: ConnectionServer<Deno.Conn>;
  readonly #scheme: "http" | "https";

  constructor(script: ConnectionScript, tls?: { readonly cert: string; readonly key: string }) {
    const listener: Deno.Listener<Deno.Conn> = tls === undefined
      ? Deno.listen(LOOPBACK)
      : Deno.listenTls({ ...LOOPBACK, ...tls });
    // The router may break the connection; tests check its reaction elsewhere.
    this.#server = new ConnectionServer(listener, (connection) => script(connection).catch(() => {}));
    this.#scheme = tls === undefined ? "http" : "https";
  }

  /** Number of connections accepted so far. */
  get acceptedCount(): number {
    return this.#server.acceptedCount;
  }

  get endpoint(): string {
    return `${this.#scheme}://127.0.0.1:${this.#server.port}/v1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

/**
 * Writes this while most of the request is unread, and closes: the kernel then sends RST instead of FIN (RFC
 * 2525 section 2.17).
 */
export function resetAfter(data: string): ConnectionScript {
  return async (connection) => {
    await connection.read(new Uint8Array(8));
    if (data !== "") await writeAll(connection, data);
  };
}

/** Reads a request, passing on its body as it arrives. Returns the head. */
export async function readRequest(
  connection: Deno.Conn,
  onBody: (bytes: Uint8Array) => void,
): Promise<string> {
  const buffer = new Uint8Array(256 * 1024);
  let received = Buffer.alloc(0);
  let headEnd = -1;
  while (headEnd < 0) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("the connection ended within the head");
    received = Buffer.concat([received, buffer.subarray(0, count)]);
    headEnd = received.indexOf("\r\n\r\n");
  }
  const head = received.toString("latin1", 0, headEnd);
  let leftBytes = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  for (let bytes: Uint8Array = received.subarray(headEnd + 4);;) {
    if (bytes.length > 0) onBody(bytes);
    leftBytes -= bytes.length;
    if (leftBytes <= 0) return head;
    const count = await connection.read(buffer);
    if (count === null) throw new Error("the connection ended within the body");
    bytes = buffer.subarray(0, count);
  }
}

/** A listener that never accepts: its backlog is full, so that further connects get no answer. */
export class Blackhole implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #connections: Deno.TcpConn[] = [];

  private constructor(listener: Deno.TcpListener) {
    this.#listener = listener;
  }

  static async open(): Promise<Blackhole> {
    const hole = new Blackhole(Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 }));
    const { port } = hole.#listener.addr;
    for (let at = 0; at < 16; at++) {
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), 250);
      try {
        hole.#connections.push(await Deno.connect({ hostname: "127.0.0.1", port, signal: abort.signal }));
      } catch {
        return hole;
      } finally {
        clearTimeout(timer);
      }
    }
    hole[Symbol.dispose]();
    throw new Error("the listener's queue does not fill");
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}/v1`;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.close();
    this.#listener.close();
  }
}
