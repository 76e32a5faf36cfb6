/**
 * The answers of the two simulated upstreams of the demo.
 */
const PAUSE_MS = 60;
/** The working upstream's reply. */
export const WORDS =
  "I ask the next one, and you only notice that the answer came. Every word of it is in the database."
    .split(/(?<= )/);

export function answerBroken(): Response {
  const error = { message: "The server is overloaded", type: "server_error", param: null, code: null };
  return Response.json({ error }, { status: 503 });
}

export async function answerWorking(request: Request): Promise<Response> {
  if (request.method !== "POST") {
    return Response.json({ object: "list", data: [{ id: "demo-model", object: "model", owned_by: "demo" }] });
  }
  const asked: unknown = await request.json();
  const isStream = typeof asked === "object" && asked !== null && "stream" in asked && asked.stream === true;
  if (isStream) {
    return new Response(replyEvents(), { headers: { "content-type": "text/event-stream" } });
  }
  const message = { role: "assistant", content: WORDS.join("") };
  return Response.json({
    ...CHUNK,
    object: "chat.completion",
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: USAGE,
  });
}

const CHUNK = { id: "chatcmpl-demo", object: "chat.completion.chunk", created: 0, model: "demo-model" };
const USAGE = {
  prompt_tokens: 11,
  completion_tokens: WORDS.length,
  total_tokens: 11 + WORDS.length,
};

/** The streamed reply: one event per word. */
function replyEvents(): ReadableStream<Uint8Array> {
  async function* events(): AsyncGenerator<string> {
    for (const content of WORDS) {
      yield event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
      await pause(PAUSE_MS);
    }
    yield event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    yield event({ choices: [], usage: USAGE });
    yield "data: [DONE]\n\n";
  }
  const event = (fields: object) => `data: ${JSON.stringify({ ...CHUNK, ...fields })}\n\n`;
  return ReadableStream.from(events()).pipeThrough(new TextEncoderStream());
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
