/**
 * Requests and replies of the OpenAI API, of given sizes.
 */

export const MODEL = "gpt-4o-mini";
export const PATH = "/v1/chat/completions";

const encoder = new TextEncoder();

export interface RequestShape {
  /** Of the body. */
  readonly bytes: number;
  readonly isStream?: boolean;
  readonly model?: string;
  /** Number of events to send, for upstreams that read it. */
  readonly maxTokens?: number;
}

/** A chat request whose body has exactly that many bytes. */
export function requestBody(
  { bytes, isStream = false, model = MODEL, maxTokens = 300 }: RequestShape,
): string {
  const start = JSON.stringify({
    model,
    stream: isStream,
    temperature: 0.7,
    max_tokens: maxTokens,
    messages: [{ role: "system", content: "You are a helpful assistant." }],
  }).slice(0, -2) + `,{"role":"user","content":"`;
  const end = `"}]}`;
  return start + prose(bytes - start.length - end.length) + end;
}

/** A chat completion of exactly that many bytes. */
export function replyBody(bytes: number): string {
  const start = `{"id":"chatcmpl-BENCHbenchBENCHbenchBENCHbench00","object":"chat.completion",` +
    `"created":1763000000,"model":"${MODEL}-2024-07-18","choices":[{"index":0,"message":{"role":"assistant",` +
    `"content":"`;
  const end = `"},"logprobs":null,"finish_reason":"stop"}],` +
    `"usage":{"prompt_tokens":230,"completion_tokens":12,"total_tokens":242}}`;
  return start + prose(bytes - start.length - end.length) + end;
}

/** A chat stream: that many events with content, then the usual end. */
export function streamEvents(count: number): string[] {
  const events: string[] = [];
  for (let index = 0; index < count; index++) {
    events.push(chatEvent(`{"content":"${wordAt(index)}"}`, "null"));
  }
  return [...events, chatEvent("{}", `"stop"`), "data: [DONE]\n\n"];
}

/** The text that a client gets from such a stream. */
export function streamText(count: number): string {
  return Array.from({ length: count }, (_, index) => wordAt(index)).join("");
}

/** One event with the given JSON of `delta` and `finish_reason`; about as long as a real one. */
export function chatEvent(delta: string, finishReason: string): string {
  return `data: {"id":"chatcmpl-BENCHbenchBENCHbenchBENCHbench00","object":"chat.completion.chunk",` +
    `"created":1763000000,"model":"${MODEL}-2024-07-18","system_fingerprint":"fp_0123456789",` +
    `"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finishReason}}]}\n\n`;
}

/** A body in chunks, one for each part, ready for the wire. */
export function chunked(parts: readonly string[]): Uint8Array<ArrayBuffer> {
  const chunks = parts.map((part) => `${encoder.encode(part).length.toString(16)}\r\n${part}\r\n`);
  return encoder.encode(`${chunks.join("")}0\r\n\r\n`);
}

function wordAt(index: number): string {
  return ` word${index % 10}`;
}

function prose(length: number): string {
  const sentence = "The quick brown fox jumps over the lazy dog and runs on. ";
  return sentence.repeat(Math.ceil(length / sentence.length)).slice(0, length);
}
