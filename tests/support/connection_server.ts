/**
 * Accepts connections on 127.0.0.1 and passes each to a function; closes all of them at the end.
 */

export class ConnectionServer<Connection extends Deno.Conn> implements AsyncDisposable {
  readonly #listener: Deno.Listener<Connection>;
  readonly #serve: (connection: Connection, id: number) => Promise<void>;
  readonly #connections = new Set<Connection>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  #acceptedCount = 0;

  /** @param serve gets the connection and its number, from 1; the connection is closed when it returns */
  constructor(
    listener: Deno.Listener<Connection>,
    serve: (connection: Connection, id: number) => Promise<void>,
  ) {
    this.#listener = listener;
    this.#serve = serve;
    this.#accepting = this.#accept();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Number of connections accepted so far. */
  get acceptedCount(): number {
    return this.#acceptedCount;
  }

  /** Number of open connections. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.allSettled(this.#tasks);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let connection: Connection;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        continue;
      }
      this.#connections.add(connection);
      const task = this.#serve(connection, ++this.#acceptedCount).finally(() => {
        closeQuietly(connection);
        this.#connections.delete(connection);
        this.#tasks.delete(task);
      });
      this.#tasks.add(task);
    }
  }
}

/** Port 0 of 127.0.0.1. */
export const LOOPBACK = { hostname: "127.0.0.1", port: 0 } as const;

export function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

export async function writeAll(connection: Deno.Conn, data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
