/**
 * Micro-benchmarks of the event-stream parser and of each kind of capture: `deno task bench:micro`.
 */
import { createCapture } from "../../src/capture/create.ts";
import { EventStreamParser } from "../../src/capture/sse.ts";
import type { EndpointKind } from "../../src/core/types.ts";
import { replyBody, streamEvents } from "./payloads.ts";

const EVENTS = 300;
const encoder = new TextEncoder();

function bytesOf(...events: readonly string[]): Uint8Array[] {
  return events.map((event) => encoder.encode(event));
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
}

/** A named event, as the Anthropic and responses APIs send them. */
function namedEvent(data: { readonly type: string }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

const deltas = <Event>(make: (text: string) => Event) =>
  Array.from({ length: EVENTS }, (_, index) => make(` word${index % 10}`));

const CHAT = bytesOf(...streamEvents(EVENTS));

const MESSAGES = bytesOf(
  namedEvent({
    type: "message_start",
    ...{ message: { model: "claude-sonnet-4", usage: { input_tokens: 9, output_tokens: 1 } } },
  }),
  namedEvent({ type: "content_block_start", ...{ index: 0, content_block: { type: "text", text: "" } } }),
  ...deltas((text) =>
    namedEvent({ type: "content_block_delta", ...{ index: 0, delta: { type: "text_delta", text } } })
  ),
  namedEvent({ type: "content_block_stop", ...{ index: 0 } }),
  namedEvent({
    type: "message_delta",
    ...{ delta: { stop_reason: "end_turn" }, usage: { output_tokens: EVENTS } },
  }),
  namedEvent({ type: "message_stop" }),
);

const RESPONSES = bytesOf(
  ...deltas((delta) =>
    namedEvent({
      type: "response.output_text.delta",
      ...{ item_id: "msg_1", output_index: 0, content_index: 0, delta },
    })
  ),
  namedEvent({
    type: "response.completed",
    ...{ response: { id: "resp_1", model: "gpt-4o", status: "completed" } },
  }),
);

const STREAMS: readonly (readonly [EndpointKind, readonly Uint8Array[]])[] = [
  ["chat", CHAT],
  ["messages", MESSAGES],
  ["responses", RESPONSES],
];

function parse(chunks: readonly Uint8Array[]): void {
  const parser = new EventStreamParser({ onEvent: () => {} });
  for (const chunk of chunks) parser.push(chunk);
}

function capture(kind: EndpointKind, chunks: readonly Uint8Array[]): void {
  const options = { kind, contentType: "text/event-stream", isEventStream: true, status: 200 };
  const reader = createCapture(options);
  for (const chunk of chunks) reader.push(chunk);
  reader.finish(true);
}

const WHOLE_CHAT = [joined(CHAT)];
Deno.bench({ name: "one chunk each", group: `parser: ${EVENTS} events` }, () => parse(CHAT));
Deno.bench({ name: "one chunk", group: `parser: ${EVENTS} events` }, () => parse(WHOLE_CHAT));

for (const [kind, chunks] of STREAMS) {
  const whole = [joined(chunks)];
  const group = `capture of a ${kind} stream, ${EVENTS} events`;
  Deno.bench({ name: `${kind}, one chunk each`, group }, () => capture(kind, chunks));
  Deno.bench({ name: `${kind}, one chunk`, group }, () => capture(kind, whole));
}

const DOCUMENT = encoder.encode(replyBody(400));
Deno.bench("capture: a chat completion of 400 B", () => {
  const reader = createCapture({
    kind: "chat",
    contentType: "application/json",
    isEventStream: false,
    status: 200,
  });
  reader.push(DOCUMENT);
  reader.finish(true);
});
