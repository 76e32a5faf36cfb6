/**
 * The replies of the soak's simulated upstreams, as plain data, so that clients and the audit know every byte
 * in advance.
 */

/** How a body ends after its last part. */
export type ReplyEnd = "whole" | "cut" | "silent";

/** Declaring more than is sent breaks the connection; so does an errored stream, but it is logged. */
const TOO_LONG = { "content-length": "1000000" };

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: readonly string[];
  /** Between two parts. */
  readonly pauseMs: number;
  readonly end: ReplyEnd;
}

/** The words of the reply to a request with this marker; no two markers share one. */
export function wordsOf(marker: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${marker}:${at} `);
}

/** A reply of one part with a declared length. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  const text = JSON.stringify(body);
  return {
    status,
    headers: { "content-type": "application/json", "content-length": String(text.length), ...headers },
    parts: [text],
    pauseMs: 0,
    end: "whole",
  };
}

export function errorReply(status: number, headers: Record<string, string> = {}): Reply {
  return json(status, { error: errorBody(`scripted HTTP ${status}`) }, headers);
}

/** A reply whose parts are the events of a stream. */
export function events(
  parts: readonly string[],
  { pauseMs = 0, end = "whole" }: { readonly pauseMs?: number; readonly end?: ReplyEnd } = {},
): Reply {
  const headers = { "content-type": "text/event-stream", ...(end === "cut" ? TOO_LONG : {}) };
  return { status: 200, headers, parts, pauseMs, end };
}

/** Truncated JSON. */
export function cutJson(text: string): Reply {
  return { ...json(200, {}, TOO_LONG), parts: [text], end: "cut" };
}

export function completion(words: readonly string[]): Reply {
  const message = { role: "assistant", content: words.join("") };
  return json(200, {
    id: "chatcmpl-soak",
    object: "chat.completion",
    created: 0,
    model: "soak",
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: usageOf(words),
  });
}

export function embedding(marker: string): Reply {
  const vector = Array.from({ length: 256 }, (_, at) => at / 256);
  return json(200, {
    object: "list",
    model: `soak ${marker}`,
    data: [{ object: "embedding", index: 0, embedding: vector }],
    usage: { prompt_tokens: 3, total_tokens: 3 },
  });
}

function chatEvent(fields: Record<string, unknown>): string {
  const event = {
    id: "chatcmpl-soak",
    object: "chat.completion.chunk",
    created: 0,
    model: "soak",
    ...fields,
  };
  return `data: ${JSON.stringify(event)}\n\n`;
}

function delta(fields: Record<string, unknown>, finishReason: string | null = null): string {
  return chatEvent({ choices: [{ index: 0, delta: fields, finish_reason: finishReason }] });
}

export const CHAT_OPENING = delta({ role: "assistant", content: "" });

/** The beginning of a chat stream, without its end. */
export function chatBeginning(words: readonly string[]): string[] {
  return [CHAT_OPENING, ...words.map((content) => delta({ content }))];
}

export function chatStream(words: readonly string[]): string[] {
  const usage = chatEvent({ choices: [], usage: usageOf(words) });
  return [...chatBeginning(words), delta({}, "stop"), usage, "data: [DONE]\n\n"];
}

export const CHAT_ERROR = `data: ${JSON.stringify({ error: errorBody("scripted error event") })}\n\n`;

/** The events of the messages API (Anthropic). */
export function messagesStream(words: readonly string[]): string[] {
  const message = {
    id: "msg_soak",
    type: "message",
    role: "assistant",
    model: "soak",
    content: [],
    usage: { input_tokens: 3, output_tokens: 1 },
  };
  return [
    named({ type: "message_start", message }),
    named({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
    ...words.map((text) =>
      named({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })
    ),
    named({ type: "content_block_stop", index: 0 }),
    named({
      type: "message_delta",
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: words.length },
    }),
    named({ type: "message_stop" }),
  ];
}

/** The events of the responses API. */
export function responsesStream(words: readonly string[]): string[] {
  const text = words.join("");
  const response = { id: "resp_soak", object: "response", model: "soak", status: "in_progress", output: [] };
  const output = [{
    id: "item_soak",
    type: "message",
    role: "assistant",
    content: [{ type: "output_text", text, annotations: [] }],
  }];
  const usage = { input_tokens: 3, output_tokens: words.length, total_tokens: 3 + words.length };
  const place = { item_id: "item_soak", output_index: 0, content_index: 0 };
  return [
    named({ type: "response.created", response }),
    ...words.map((word) => named({ type: "response.output_text.delta", ...place, delta: word })),
    named({ type: "response.output_text.done", ...place, text }),
    named({ type: "response.completed", response: { ...response, status: "completed", output, usage } }),
  ];
}

export const NAMED_ERROR = named({ type: "error", error: errorBody("scripted error event") });

function named(event: { readonly type: string } & Record<string, unknown>): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function errorBody(message: string): Record<string, unknown> {
  return { message, type: "server_error", param: null, code: null };
}

function usageOf(words: readonly string[]): Record<string, number> {
  return { prompt_tokens: 3, completion_tokens: words.length, total_tokens: 3 + words.length };
}
