/**
 * Replays bytes to Node's HTTP client and reports how it read them: a second opinion on replies.
 */
import { Buffer } from "node:buffer";
import { within } from "../support/within.ts";
import { TextLineStream } from "./lines.ts";

/** A reply as bytes, and the method of its request. */
export interface Recording {
  readonly method: string;
  readonly bytes: Buffer;
}

/** How a client read a reply; null when it refused it. */
export interface ReadReply {
  readonly status: number;
  readonly body: Buffer;
  /** Whether it reached the end that its head declared. */
  readonly isWhole: boolean;
}

const SECONDS = 60;
const SCRIPT = new URL("./readers/node_client.mjs", import.meta.url).pathname;

/** @throws NotFound when Node is not installed */
export async function readByNode(recordings: readonly Recording[]): Promise<(ReadReply | null)[]> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const playing = play(listener, recordings);
  const child = new Deno.Command("node", { args: [SCRIPT], stdin: "piped", stdout: "piped" }).spawn();
  const results: (ReadReply | null)[] = recordings.map(() => null);
  const asking = (async () => {
    const input = child.stdin.getWriter();
    const { port } = listener.addr;
    for (const [at, { method }] of recordings.entries()) {
      await input.write(new TextEncoder().encode(`${JSON.stringify({ port, method, path: `/${at}` })}\n`));
    }
    await input.close();
  })();
  const reading = (async () => {
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      const { path, status, body, isWhole, error } = JSON.parse(line);
      if (error !== undefined) continue;
      results[Number(path.slice(1))] = { status, body: Buffer.from(body, "base64"), isWhole };
    }
  })();
  try {
    await within(SECONDS, () => "Node's client", Promise.all([asking, reading, child.status]));
  } finally {
    listener.close();
    await playing;
  }
  return results;
}

/** Answers a request for `/n` with recording n, and ends the sending direction. */
async function play(listener: Deno.TcpListener, recordings: readonly Recording[]): Promise<void> {
  const tasks: Promise<void>[] = [];
  try {
    for await (const connection of listener) tasks.push(playOne(connection, recordings).catch(() => {}));
  } catch {
    // The listener was closed.
  }
  await Promise.all(tasks);
}

async function playOne(connection: Deno.TcpConn, recordings: readonly Recording[]): Promise<void> {
  using _connection = connection;
  const chunk = new Uint8Array(4096);
  let request = "";
  while (!request.includes("\r\n\r\n")) {
    const count = await connection.read(chunk);
    if (count === null) return;
    request += new TextDecoder().decode(chunk.subarray(0, count));
  }
  const bytes = recordings[Number(/ \/(\d+) /.exec(request)?.[1])]?.bytes ?? new Uint8Array(0);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  await connection.closeWrite();
  while (await connection.read(chunk) !== null);
}
