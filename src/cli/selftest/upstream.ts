/**
 * The upstreams of the self-test: a server on 127.0.0.1 that follows a script, right or wrong.
 *
 * Speaks HTTP/1.1 by hand, one request a connection, because a real server would not misbehave.
 */

/** One answer on the wire. */
export interface Wire {
  /** The request's line and headers. */
  readonly head: string;
  write(text: string): Promise<void>;
  /** Resolves when the other side has closed the connection. */
  readonly left: Promise<void>;
  /** Resolves when the client behind the router has got the first bytes of its reply. */
  readonly clientGotBytes: Promise<void>;
}

/** Answers a request; the connection is closed when it returns. */
export type Script = (wire: Wire) => Promise<void>;

const MAX_HEAD_BYTES = 64 * 1024;

export class ScriptedUpstream implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #scripts: Script[] = [];
  /** What `GET` of the models answers at once, by the number of the script; without one, the script answers. */
  readonly #lists = new Map<number, string>();
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #accepting = this.#accept();
  #clientGotBytes = Promise.withResolvers<void>();

  /** A new endpoint, which answers by this script. @param models what it lists; null: it is not asked */
  endpoint(script: Script, models: readonly string[] | null): string {
    this.#scripts.push(script);
    if (models !== null) this.#lists.set(this.#scripts.length - 1, modelList(models));
    return `http://127.0.0.1:${this.#listener.addr.port}/${this.#scripts.length - 1}`;
  }

  /** A request begins. */
  expectClient(): void {
    this.#clientGotBytes = Promise.withResolvers<void>();
  }

  /** The client has got the first bytes of its reply. */
  clientHasBytes(): void {
    this.#clientGotBytes.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) closeQuietly(connection);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        this.#connections.add(connection);
        // A router that disconnects breaks the connection while the script runs.
        void this.#answer(connection).catch(() => {}).finally(() => {
          this.#connections.delete(connection);
          closeQuietly(connection);
        });
      }
    } catch {
      // The listener was closed.
    }
  }

  async #answer(connection: Deno.TcpConn): Promise<void> {
    const head = await readRequest(connection);
    if (head === null) return;
    const [, method = "", number = ""] = /^(\S+) \/(\d+)\//.exec(head) ?? [];
    const list = method === "GET" ? this.#lists.get(Number(number)) : undefined;
    const script = number === "" ? undefined : this.#scripts[Number(number)];
    await (list === undefined ? script : listing(list))?.({
      head,
      write: async (text) => {
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      },
      left: untilClosed(connection),
      clientGotBytes: this.#clientGotBytes.promise,
    });
  }
}

function modelList(models: readonly string[]): string {
  return JSON.stringify({ object: "list", data: models.map((id) => ({ id, object: "model" })) });
}

function listing(text: string): Script {
  const head = `content-type: application/json\r\ncontent-length: ${text.length}\r\nconnection: close`;
  return (wire) => wire.write(`HTTP/1.1 200 Selftest\r\n${head}\r\n\r\n${text}`);
}

/** Reads a request to its end. Returns its line and headers; null for anything else. */
async function readRequest(connection: Deno.TcpConn): Promise<string | null> {
  const buffer = new Uint8Array(MAX_HEAD_BYTES);
  const decoder = new TextDecoder("latin1");
  let text = "";
  for (;;) {
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd >= 0) {
      const bodyLength = Number(/^content-length: *(\d+)/im.exec(text.slice(0, headEnd))?.[1] ?? 0);
      if (text.length >= headEnd + 4 + bodyLength) return text.slice(0, headEnd);
    }
    const count = await connection.read(buffer);
    if (count === null || text.length > MAX_HEAD_BYTES) return null;
    text += decoder.decode(buffer.subarray(0, count));
  }
}

async function untilClosed(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(1024);
  try {
    while (await connection.read(buffer) !== null);
  } catch {
    // A broken connection is closed, too.
  }
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

/** An endpoint on which nobody listens. */
export function refusingEndpoint(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return `http://127.0.0.1:${port}/refused`;
}
