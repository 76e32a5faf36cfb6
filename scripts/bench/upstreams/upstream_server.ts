/**
 * A simulated upstream as a process of its own: reads requests from raw connections and answers with prepared
 * bytes.
 *
 * Its one argument is the JSON of an `UpstreamMode`; it prints `port N` when it listens.
 */
import { concatenated, MessageReader, writeAll } from "../http1.ts";
import { PacedStreams } from "./paced_streams.ts";
import { chunked, replyBody, streamEvents } from "../payloads.ts";

export type UpstreamMode =
  /** A chat completion of that many bytes. */
  | { readonly kind: "plain"; readonly replyBytes: number }
  /** A whole stream in one write: in a single chunk, or with a chunk for each event. */
  | { readonly kind: "burst"; readonly events: number; readonly isChunkPerEvent: boolean }
  /** Streams of `max_tokens` events (taken from the request), one event every `periodMs`. */
  | { readonly kind: "paced"; readonly periodMs: number }
  /** An error with that status. */
  | { readonly kind: "status"; readonly status: number };

type PreparedMode = Exclude<UpstreamMode, { readonly kind: "paced" }>;

const READ_BYTES = 65_536;
const MAX_KEPT_BODY_BYTES = 4_096;
const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

function preparedReply(mode: PreparedMode): Uint8Array<ArrayBuffer> {
  switch (mode.kind) {
    case "plain":
      return counted(200, replyBody(mode.replyBytes));
    case "status":
      return counted(mode.status, `{"error":{"message":"not now","type":"server_error"}}`);
    case "burst": {
      const events = streamEvents(mode.events);
      return concatenated(STREAM_HEAD, chunked(mode.isChunkPerEvent ? events : [events.join("")]));
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

/** Gives each request of the connection to `answer`, with its body. */
async function serve(connection: Deno.TcpConn, answer: (body: string) => Promise<void>): Promise<void> {
  connection.setNoDelay();
  const buffer = new Uint8Array(READ_BYTES);
  let body = "";
  const reader = new MessageReader((part) => {
    if (body.length < MAX_KEPT_BODY_BYTES) body += decoder.decode(part);
  });
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    if (!reader.push(buffer.subarray(0, count))) continue;
    reader.reset();
    await answer(body);
    body = "";
  }
}

function answerOf(mode: UpstreamMode): (connection: Deno.TcpConn) => (body: string) => Promise<void> {
  if (mode.kind !== "paced") {
    const reply = preparedReply(mode);
    return (connection) => () => writeAll(connection, reply);
  }
  const streams = new PacedStreams(mode.periodMs);
  return (connection) => (body) => {
    const events = Number(/"max_tokens": *(\d+)/.exec(body)?.[1] ?? 0);
    return streams.send({ connection, head: STREAM_HEAD, events });
  };
}

if (import.meta.main) {
  const mode: UpstreamMode = JSON.parse(Deno.args[0] ?? "");
  const answer = answerOf(mode);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(`port ${listener.addr.port}`);
  for await (const connection of listener) {
    serve(connection, answer(connection)).catch(() => {}).finally(() => connection.close());
  }
}
