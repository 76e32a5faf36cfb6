/**
 * A proxy for HTTP with `CONNECT`, and one for SOCKS 5 (RFC 1928, RFC 1929), on 127.0.0.1: they relay, and remember by what
 * name they were asked.
 */
import { closeQuietly, ConnectionServer, LOOPBACK, writeAll } from "./connection_server.ts";

export interface ProxyServer extends AsyncDisposable {
  readonly port: number;
  /** What clients asked for, in order: `CONNECT host:port`, or `GET http://…`. */
  readonly asked: string[];
  /** Credentials as they came. */
  readonly credentials: string[];
}

/** Where every name leads. */
export interface Destination {
  readonly port: number;
}

async function pump(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  try {
    await from.readable.pipeTo(to.writable);
  } catch {
    closeQuietly(to);
  }
}

async function join(client: Deno.Conn, { port }: Destination, first: Uint8Array): Promise<void> {
  const upstream = await Deno.connect({ hostname: "127.0.0.1", port });
  if (first.length > 0) await writeAll(upstream, first);
  await Promise.all([pump(client, upstream), pump(upstream, client)]);
}

async function readHead(connection: Deno.Conn): Promise<Uint8Array> {
  let all = new Uint8Array();
  const chunk = new Uint8Array(16 * 1024);
  while (!new TextDecoder().decode(all).includes("\r\n\r\n")) {
    const count = await connection.read(chunk);
    if (count === null) break;
    all = Uint8Array.from([...all, ...chunk.subarray(0, count)]);
  }
  return all;
}

export function httpProxy(destination: Destination): ProxyServer {
  const asked: string[] = [];
  const credentials: string[] = [];
  const server = new ConnectionServer(Deno.listen(LOOPBACK), async (connection) => {
    const head = await readHead(connection);
    const text = new TextDecoder().decode(head);
    if (text === "") return;
    const [line = ""] = text.split("\r\n");
    asked.push(line.replace(/ HTTP\/1\.1$/, ""));
    const credential = /^proxy-authorization: (.*)$/im.exec(text)?.[1];
    if (credential !== undefined) credentials.push(credential.trim());
    if (!line.startsWith("CONNECT ")) return await join(connection, destination, head);
    await writeAll(connection, "HTTP/1.1 200 Established\r\n\r\n");
    await join(connection, destination, new Uint8Array());
  });
  return {
    ...{ asked, credentials, port: server.port },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function readBytes(connection: Deno.Conn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await connection.read(bytes.subarray(at));
    if (read === null) throw new Error("the client left");
    at += read;
  }
  return bytes;
}

const USER_PASSWORD = 2;

export function socksProxy(destination: Destination): ProxyServer {
  const asked: string[] = [];
  const credentials: string[] = [];
  const server = new ConnectionServer(Deno.listen(LOOPBACK), async (connection) => {
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const [, methodCount = 0] = await readBytes(connection, 2);
    const isLogin = (await readBytes(connection, methodCount)).includes(USER_PASSWORD);
    await writeAll(connection, Uint8Array.from([5, isLogin ? USER_PASSWORD : 0]));
    if (isLogin) {
      const [, userLength = 0] = await readBytes(connection, 2);
      const user = text(await readBytes(connection, userLength));
      const [passwordLength = 0] = await readBytes(connection, 1);
      credentials.push(`${user}:${text(await readBytes(connection, passwordLength))}`);
      await writeAll(connection, Uint8Array.from([1, 0]));
    }
    const [, , , type = 0] = await readBytes(connection, 4);
    const isName = type === 3;
    const length = isName ? (await readBytes(connection, 1))[0] ?? 0 : type === 4 ? 16 : 4;
    const address = await readBytes(connection, length);
    const [high = 0, low = 0] = await readBytes(connection, 2);
    asked.push(`CONNECT ${isName ? text(address) : address.join(".")}:${high * 256 + low}`);
    await writeAll(connection, Uint8Array.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
    await join(connection, destination, new Uint8Array());
  });
  return {
    ...{ asked, credentials, port: server.port },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
