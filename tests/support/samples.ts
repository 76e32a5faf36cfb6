/**
 * The recorded replies of real providers, and independent readers of them: the official SDKs run on the same
 * bytes, and for formats that these only pass through, a direct reading of the document.
 */
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { EndpointKind, ToolCall } from "../../src/core/types.ts";

export const SAMPLES = new URL("../../../shared/samples/", import.meta.url);

export interface Sample {
  readonly name: string;
  readonly path: string;
  readonly status: number;
  readonly content_type: string;
  readonly response: string;
}

/** The result of an independent reader; undefined for what it does not report. */
export interface Reading {
  readonly text: string;
  readonly reasoning?: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly model?: string | null;
  readonly finishReason?: string | null;
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
}

export function readSamples(): readonly Sample[] | null {
  try {
    return JSON.parse(Deno.readTextFileSync(new URL("manifest.json", SAMPLES))) as Sample[];
  } catch {
    return null;
  }
}

export function kindOf(target: string): EndpointKind {
  const path = target.replace(/\?.*/, "");
  if (path.endsWith("/chat/completions")) return "chat";
  const last = /(completions|responses|messages|embeddings)$/.exec(path)?.[1];
  if (last !== undefined) return last as EndpointKind;
  if (path.includes("/images/")) return "images";
  return path.includes("/audio/") ? "audio" : "other";
}

/** Client options of an SDK that make every answer this sample. */
function clientOptions(sample: Sample, bytes: Uint8Array<ArrayBuffer>) {
  const headers = { "content-type": sample.content_type };
  return {
    apiKey: "none",
    baseURL: "http://sample.invalid/v1",
    maxRetries: 0,
    fetch: () => Promise.resolve(new Response(bytes, { status: sample.status, headers })),
  };
}

function joinChoices(texts: readonly string[]): string {
  return texts.map((text, index) => index === 0 || text === "" ? text : `[choice ${index + 1}]\n${text}`)
    .filter((text) => text !== "").join("\n\n");
}

async function readChat(client: OpenAI, isStream: boolean): Promise<Reading> {
  const request = { model: "m", messages: [] };
  const completion = isStream
    ? await client.chat.completions.stream(request).finalChatCompletion()
    : await client.chat.completions.create(request);
  const messages = completion.choices.map((choice) => choice.message);
  return {
    text: joinChoices(
      messages.map((message) =>
        (message.content ?? message.refusal ?? "") + (message.audio?.transcript ?? "")
      ),
    ),
    toolCalls: messages.flatMap((message) => message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.type === "function" ? call.function.name : call.custom.name,
      arguments: call.type === "function" ? call.function.arguments : call.custom.input,
    })),
    model: completion.model,
    finishReason: completion.choices[0]?.finish_reason ?? null,
    inputTokens: completion.usage?.prompt_tokens,
    outputTokens: completion.usage?.completion_tokens,
  };
}

async function readCompletions(client: OpenAI, isStream: boolean): Promise<Reading> {
  const request = { model: "m", prompt: "" };
  const parts = isStream
    ? await Array.fromAsync(await client.completions.create({ ...request, stream: true }))
    : [await client.completions.create(request)];
  const texts: string[] = [];
  let finishReason: string | null = null;
  for (const choice of parts.flatMap((part) => part.choices)) {
    texts[choice.index] = (texts[choice.index] ?? "") + choice.text;
    if (choice.index === 0) finishReason = choice.finish_reason ?? finishReason;
  }
  const usage = parts.at(-1)?.usage;
  return {
    text: joinChoices(texts),
    model: parts[0]?.model ?? null,
    finishReason,
    inputTokens: usage?.prompt_tokens,
    outputTokens: usage?.completion_tokens,
  };
}

async function readResponses(client: OpenAI): Promise<Reading> {
  const stream = client.responses.stream({ model: "m", input: "" });
  let deltas = "";
  stream.on("response.output_text.delta", (event) => deltas += event.delta);
  const response = await stream.finalResponse();
  return {
    // OpenRouter's final response contains an empty `output_text`.
    text: response.output_text || deltas,
    reasoning: response.output.flatMap((item) =>
      item.type === "reasoning" ? [...item.summary, ...item.content ?? []].map((part) => part.text) : []
    ).join(""),
    toolCalls: response.output.flatMap((item) =>
      item.type === "function_call" ? [{ id: item.call_id, name: item.name, arguments: item.arguments }] : []
    ),
    model: response.model,
    finishReason: response.status ?? null,
    inputTokens: response.usage?.input_tokens,
    outputTokens: response.usage?.output_tokens,
  };
}

async function readMessages(client: Anthropic, isStream: boolean): Promise<Reading> {
  const request = { model: "m", max_tokens: 1, messages: [] };
  const message = isStream
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.create(request);
  return {
    text: message.content.map((block) => block.type === "text" ? block.text : "").join(""),
    reasoning: message.content.map((block) => block.type === "thinking" ? block.thinking : "").join(""),
    toolCalls: message.content.flatMap((block) =>
      block.type === "tool_use" || block.type === "server_tool_use"
        ? [{ id: block.id, name: block.name, arguments: JSON.stringify(block.input) }]
        : []
    ),
    model: message.model,
    finishReason: message.stop_reason,
    inputTokens: message.usage.input_tokens,
    outputTokens: message.usage.output_tokens,
  };
}

/** Embeddings, images, audio: read from the document directly. */
function readOther(kind: EndpointKind, body: string): Reading {
  const document = JSON.parse(body) as {
    text?: string;
    data?: { embedding?: string | number[]; url?: string; revised_prompt?: string }[];
    model?: string;
    usage?: { prompt_tokens?: number };
  };
  const items = document.data ?? [];
  const plural = items.length === 1 ? "" : "s";
  const first = items[0];
  const dimensions = typeof first?.embedding === "string"
    ? atob(first.embedding).length / Float32Array.BYTES_PER_ELEMENT
    : first?.embedding?.length;
  const image = [first?.url, first?.revised_prompt && `revised prompt: ${first.revised_prompt}`];
  const texts: Partial<Record<EndpointKind, string | undefined>> = {
    audio: document.text,
    embeddings: `${items.length} embedding${plural} of ${dimensions} dimensions`,
    images: [`${items.length} image${plural}`, ...image.filter((line) => line)].join("\n"),
  };
  return {
    text: texts[kind] ?? body,
    model: document.model ?? null,
    inputTokens: document.usage?.prompt_tokens,
  };
}

/** The result of the official SDKs, or of a direct reading of the document, for the same bytes. */
export async function readIndependently(sample: Sample, bytes: Uint8Array<ArrayBuffer>): Promise<Reading> {
  const body = new TextDecoder().decode(bytes);
  if (sample.status >= 400) return { text: body };
  const kind = kindOf(sample.path);
  const isStream = sample.content_type.includes("event-stream");
  const options = clientOptions(sample, bytes);
  const client = new OpenAI(options);
  switch (kind) {
    case "chat":
      return await readChat(client, isStream);
    case "completions":
      return await readCompletions(client, isStream);
    case "responses":
      return await readResponses(client);
    case "messages":
      return await readMessages(new Anthropic(options), isStream);
    default:
      return readOther(kind, body);
  }
}

/** Reproducible offsets of cuts, some of them within characters and line ends. */
export function pseudoRandomCuts(length: number, seed: number): number[] {
  const cuts: number[] = [];
  for (let at = 0, state = seed; at < length;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    at += 1 + state % 97;
    if (at < length) cuts.push(at);
  }
  return cuts;
}

/** A call with its arguments as a value: some SDKs reformat them. */
export function comparableCall(call: ToolCall): unknown {
  return { ...call, arguments: call.arguments === "" ? "" : JSON.parse(call.arguments) };
}
