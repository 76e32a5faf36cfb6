/**
 * An upstream that knows only what it made itself: responses, files, batches, vector stores and threads; it also counts how
 * often the beginning of a prompt was in its cache.
 */
import {
  chunk,
  FakeUpstream,
  LAST_CHUNK,
  type ReceivedRequest,
  reply,
  STREAM_HEAD,
  type Wire,
} from "./upstream.ts";

/** Answers every request instead of the usual way; null: the usual way. */
export type Trouble = ((request: ReceivedRequest, wire: Wire) => Promise<void> | void) | null;

export class StatefulUpstream implements AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly known = new Set<string>();
  trouble: Trouble = null;
  /** Of streams: resolves when the rest may be sent; null: at once. */
  rest: Promise<void> | null = null;
  readonly #name: string;
  readonly #prefixes = new Set<string>();
  #count = 0;
  prompts = 0;
  cacheHits = 0;

  constructor(name: string) {
    this.#name = name;
    this.upstream = new FakeUpstream((request, wire) => this.#answer(request, wire));
  }

  get name(): string {
    return this.#name;
  }

  get endpoint(): string {
    return this.upstream.endpoint;
  }

  /** Requests so far, as `METHOD path`. */
  get asked(): string[] {
    return this.upstream.requests.map(({ method, target }) => `${method} ${target}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.upstream[Symbol.asyncDispose]();
  }

  #made(prefix: string): string {
    const id = `${prefix}${this.#name}${++this.#count}`;
    this.known.add(id);
    return id;
  }

  async #answer(request: ReceivedRequest, wire: Wire): Promise<void> {
    if (this.trouble !== null) return await this.trouble(request, wire);
    const [path = ""] = request.target.split("?");
    const [, , collection = "", id = "", ...more] = path.split("/");
    if (path === "/v1/chat/completions") return await this.#chat(request, wire);
    const isNew = id === "" || (id === "jobs" && more.length === 0);
    if (request.method === "POST" && isNew) return await this.#create(collection, request, wire);
    if (!this.known.has(id)) return await notFound(id)(request, wire);
    if (request.method === "DELETE") this.known.delete(id);
    const action = more.join("/");
    if (action === "content") return await reply(200, `{"id":"resp_somebody_elses_1"}`)(request, wire);
    const body = { id, object: collection, deleted: request.method === "DELETE", status: action };
    return await reply(200, JSON.stringify(body))(request, wire);
  }

  async #create(collection: string, request: ReceivedRequest, wire: Wire): Promise<void> {
    const body = request.text.startsWith("{") ? JSON.parse(request.text) : {};
    const named = [
      body.previous_response_id,
      body.input_file_id,
      body.file_id,
      ...(JSON.stringify(body).match(/file-\w+|vs_\w+/g) ?? []),
    ].filter((each) => typeof each === "string");
    const strange = named.find((each) => !this.known.has(each));
    if (strange !== undefined) return await notFound(strange, 400)(request, wire);
    const prefix: Record<string, string> = {
      responses: "resp_",
      files: "file-",
      batches: "batch_",
      vector_stores: "vs_",
      threads: "thread_",
    };
    const id = this.#made(prefix[collection] ?? "thing_");
    if (body.stream === true) return await this.#stream(id, wire);
    const made = collection === "responses" ? response(id, this.#name) : { id, object: collection };
    await reply(200, JSON.stringify(made))(request, wire);
  }

  async #stream(id: string, wire: Wire): Promise<void> {
    const [created, ...others] = responseEvents(id, this.#name);
    await wire.write(STREAM_HEAD);
    await wire.write(chunk(created ?? ""));
    await wire.write(chunk(others[0] ?? ""));
    if (this.rest !== null) await this.rest;
    for (const event of others.slice(1)) await wire.write(chunk(event));
    await wire.write(LAST_CHUNK);
  }

  async #chat(request: ReceivedRequest, wire: Wire): Promise<void> {
    const { messages } = JSON.parse(request.text);
    const beginning = JSON.stringify(messages.slice(0, 2));
    const isHit = this.#prefixes.has(beginning);
    this.#prefixes.add(beginning);
    this.prompts++;
    if (isHit) this.cacheHits++;
    await reply(
      200,
      JSON.stringify({
        id: this.#made("chatcmpl-"),
        object: "chat.completion",
        model: "m",
        choices: [{ index: 0, message: { role: "assistant", content: this.#name }, finish_reason: "stop" }],
        usage: {
          prompt_tokens: 2000,
          completion_tokens: 1,
          total_tokens: 2001,
          prompt_tokens_details: { cached_tokens: isHit ? 1900 : 0 },
        },
      }),
    )(request, wire);
  }
}

function notFound(id: string, status = 404) {
  const code = status === 400 ? "previous_response_not_found" : "not_found";
  const error = { message: `'${id}' not found.`, type: "invalid_request_error", param: null, code };
  return reply(status, JSON.stringify({ error }));
}

function response(id: string, text: string): Record<string, unknown> {
  return {
    id,
    object: "response",
    created_at: 1_700_000_000,
    status: "completed",
    model: "m",
    error: null,
    incomplete_details: null,
    output: [{
      type: "message",
      id: `msg_${id}`,
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text, annotations: [] }],
    }],
    usage: { input_tokens: 5, output_tokens: 4, total_tokens: 9 },
  };
}

function responseEvents(id: string, text: string): string[] {
  let sequence = 0;
  const event = (type: string, fields: Record<string, unknown>) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`;
  const where = { item_id: `msg_${id}`, output_index: 0, content_index: 0 };
  return [
    event("response.created", { response: { ...response(id, ""), status: "in_progress", output: [] } }),
    event("response.output_text.delta", { ...where, delta: text, logprobs: [] }),
    event("response.output_text.done", { ...where, text, logprobs: [] }),
    event("response.completed", { response: response(id, text) }),
  ];
}
