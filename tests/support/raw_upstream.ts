/**
 * An upstream below HTTP: each connection is handled by hand, for faults that a server of requests cannot have.
 */
import { Buffer } from "node:buffer";

export type ConnectionScript = (connection: Deno.Conn) => Promise<void>;

export class RawUpstream implements AsyncDisposable {
  readonly #listener: Deno.Listener<Deno.Conn>;
  readonly #script: ConnectionScript;
  readonly #scheme: "http" | "https";
  readonly #connections = new Set<Deno.Conn>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  acceptedCount = 0;

  constructor(script: ConnectionScript, tls?: { readonly cert: string; readonly key: string }) {
    this.#script = script;
    const address = { hostname: "127.0.0.1", port: 0 };
    this.#listener = tls === undefined ? Deno.listen(address) : Deno.listenTls({ ...address, ...tls });
    this.#scheme = tls === undefined ? "http" : "https";
    this.#accepting = this.#accept();
  }

  get endpoint(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}/v1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#tasks);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let connection: Deno.Conn;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        continue;
      }
      this.acceptedCount++;
      this.#connections.add(connection);
      const task = this.#serve(connection).finally(() => {
        closeQuietly(connection);
        this.#connections.delete(connection);
        this.#tasks.delete(task);
      });
      this.#tasks.add(task);
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    try {
      await this.#script(connection);
    } catch {
      // The other side broke the connection; what it made of the fault is what tests look at.
    }
  }
}

/**
 * Writes this while most of the request is unread, and closes: the kernel then sends a reset instead of an
 * orderly end (RFC 2525 section 2.17).
 */
export function resetAfter(data: string): ConnectionScript {
  return async (connection) => {
    await connection.read(new Uint8Array(8));
    if (data !== "") await writeAll(connection, data);
  };
}

export async function writeAll(connection: Deno.Conn, data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** Reads a request's head, and shows its body as it comes. Returns the head. */
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

/** A listener that nobody serves: its queue is full, so that further connects get no answer at all. */
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

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
