/**
 * What the self-test's upstreams send: good replies and faults.
 */
import type { Script, Wire } from "./upstream.ts";

const WORDS = ["The ", "router ", "works", "."];

function event(delta: Record<string, unknown>, finishReason: string | null = null): string {
  const chunk = {
    id: "chatcmpl-selftest",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "selftest",
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

const ROLE_EVENT = event({ role: "assistant", content: "" });
const STREAM_EVENTS = [
  ROLE_EVENT,
  ...WORDS.map((content) => event({ content })),
  event({}, "stop"),
  "data: [DONE]\n\n",
];

/** The good stream, byte for byte. */
export const STREAM_TEXT = STREAM_EVENTS.join("");

/** The good reply to a request without `stream`. */
export const REPLY_TEXT = JSON.stringify({
  id: "chatcmpl-selftest",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "selftest",
  choices: [{
    index: 0,
    message: { role: "assistant", content: WORDS.join("") },
    finish_reason: "stop",
  }],
  usage: { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 },
});

/** The body of the upstream's errors. */
export const ERROR_TEXT = JSON.stringify({
  error: { message: "made to fail by the self-test", type: "server_error", param: null, code: "selftest" },
});

function head(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ ...headers, connection: "close" }).map(([name, value]) =>
    `${name}: ${value}\r\n`
  );
  return `HTTP/1.1 ${status} Selftest\r\n${lines.join("")}\r\n`;
}

const STREAM_HEAD = head(200, { "content-type": "text/event-stream", "transfer-encoding": "chunked" });
const LAST_CHUNK = "0\r\n\r\n";

function chunk(text: string): string {
  return `${new TextEncoder().encode(text).length.toString(16)}\r\n${text}\r\n`;
}

function json(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Script {
  const length = String(new TextEncoder().encode(text).length);
  return (wire) =>
    wire.write(
      head(status, { "content-type": "application/json", "content-length": length, ...headers }) + text,
    );
}

export const goodReply: Script = json(200, REPLY_TEXT);

export const goodStream: Script = async (wire: Wire): Promise<void> => {
  await wire.write(STREAM_HEAD);
  for (const text of STREAM_EVENTS) await wire.write(chunk(text));
  await wire.write(LAST_CHUNK);
};

/** Sends the rest only after the client has the beginning: with a router that buffers, it never ends. */
export const dripStream: Script = async (wire: Wire): Promise<void> => {
  const [role = "", first = "", ...rest] = STREAM_EVENTS;
  await wire.write(STREAM_HEAD + chunk(role) + chunk(first));
  await wire.clientGotBytes;
  for (const byte of rest.join("")) await wire.write(chunk(byte));
  await wire.write(LAST_CHUNK);
};

export const tooManyRequests: Script = json(429, ERROR_TEXT, { "retry-after": "60" });

/** The first of several keys of an upstream, which has no room at the moment. */
export const BUSY_KEY = "selftest-key-without-room";

/** Refuses that key, and takes any other. */
export const busyKey: Script = (wire: Wire): Promise<void> =>
  wire.head.includes(BUSY_KEY) ? tooManyRequests(wire) : goodReply(wire);

const RESPONSE_ID = "resp_selftest_0001";

/** A reply of the Responses API, whose id only the upstream knows that sent it. */
export const RESPONSE_TEXT = JSON.stringify({
  id: RESPONSE_ID,
  object: "response",
  created_at: 1_700_000_000,
  status: "completed",
  model: "selftest",
  output: [{
    id: "msg_selftest_0001",
    type: "message",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: WORDS.join(""), annotations: [] }],
  }],
  usage: { input_tokens: 5, output_tokens: 4, total_tokens: 9 },
});

export const goodResponse: Script = json(200, RESPONSE_TEXT);

/** The request for the first reply, and the one that goes on from it. */
export const FIRST_TURN = {
  path: "/v1/responses",
  body: { model: "selftest", input: "Does it work?" },
} as const;
export const NEXT_TURN = {
  path: "/v1/responses",
  body: { model: "selftest", input: "Still?", previous_response_id: RESPONSE_ID },
} as const;

export const serverError: Script = json(500, ERROR_TEXT);

export const hang: Script = (wire: Wire): Promise<void> => wire.left;

export const silentStream: Script = async (wire: Wire): Promise<void> => {
  await wire.write(STREAM_HEAD);
  await wire.left;
};

export const errorEvent: Script = (wire: Wire): Promise<void> =>
  wire.write(STREAM_HEAD + chunk(ROLE_EVENT) + chunk(`data: ${ERROR_TEXT}\n\n`) + LAST_CHUNK);

export const cutBeforeContent: Script = (wire: Wire): Promise<void> =>
  wire.write(STREAM_HEAD + chunk(ROLE_EVENT));

/** Cuts once the client has some of it, so that nothing but the cut is tested. */
export const cutAfterContent: Script = async (wire: Wire): Promise<void> => {
  await wire.write(STREAM_HEAD + STREAM_EVENTS.slice(0, 3).map(chunk).join(""));
  await wire.clientGotBytes;
};
