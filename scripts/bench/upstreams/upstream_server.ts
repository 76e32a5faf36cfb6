/**
 * A pretend upstream as a process of its own: reads requests from raw connections and answers with prepared bytes.
 *
 * Its one argument is the JSON of an `UpstreamMode`; it prints `port N` when it listens.
 */
import { MessageReader, writeAll } from "../http1.ts";
import { chunked, replyBody, streamEvents } from "../payloads.ts";

export type UpstreamMode =
  /** A chat completion of that many bytes. */
  | { readonly kind: "plain"; readonly replyBytes: number }
  /** A whole stream in one write: in a single chunk, or with a chunk for each event. */
  | { readonly kind: "burst"; readonly events: number; readonly isChunkPerEvent: boolean }
  /** An error with that status. */
  | { readonly kind: "status"; readonly status: number };

const READ_BYTES = 65_536;
const encoder = new TextEncoder();

function preparedReply(mode: UpstreamMode): Uint8Array<ArrayBuffer> {
  switch (mode.kind) {
    case "plain":
      return counted(200, replyBody(mode.replyBytes));
    case "status":
      return counted(mode.status, `{"error":{"message":"not now","type":"server_error"}}`);
    case "burst": {
      const events = streamEvents(mode.events);
      return joined(STREAM_HEAD, chunked(mode.isChunkPerEvent ? events : [events.join("")]));
    }
    default:
      return mode satisfies never;
  }
}

const STREAM_HEAD = encoder.encode(
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n" +
    "transfer-encoding: chunked\r\n\r\n",
);

function counted(status: number, body: string): Uint8Array<ArrayBuffer> {
  const { length } = encoder.encode(body);
  return encoder.encode(
    `HTTP/1.1 ${status} Status\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`,
  );
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Answers each request of the connection with the same bytes. */
async function answerAll(connection: Deno.TcpConn, reply: Uint8Array<ArrayBuffer>): Promise<void> {
  connection.setNoDelay();
  const buffer = new Uint8Array(READ_BYTES);
  const reader = new MessageReader(() => {});
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    if (!reader.push(buffer.subarray(0, count))) continue;
    reader.reset();
    await writeAll(connection, reply);
  }
}

if (import.meta.main) {
  const mode: UpstreamMode = JSON.parse(Deno.args[0] ?? "");
  const reply = preparedReply(mode);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(`port ${listener.addr.port}`);
  for await (const connection of listener) {
    answerAll(connection, reply).catch(() => {}).finally(() => connection.close());
  }
}
