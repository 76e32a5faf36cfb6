/**
 * The recorded replies of real providers, against independent readers: the official `openai` SDK run on the
 * same bytes, and for messages a plain line-by-line reading. Skipped where the samples are absent.
 */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { createCapture } from "../../../src/capture/capture.ts";
import type { EndpointKind, ToolCall } from "../../../src/core/types.ts";
import { replay, type Replayed } from "./replay.ts";

const SAMPLES = new URL("../../../../shared/samples/", import.meta.url);

interface Sample {
  readonly name: string;
  readonly path: string;
  readonly status: number;
  readonly content_type: string;
  readonly response: string;
}

/** What an independent reader finds; undefined where it has no notion of it. */
interface Reading {
  readonly text: string;
  readonly reasoning?: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly model?: string | null;
  readonly finishReason?: string | null;
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
}

function readSamples(): readonly Sample[] | null {
  try {
    return JSON.parse(Deno.readTextFileSync(new URL("manifest.json", SAMPLES))) as Sample[];
  } catch {
    return null;
  }
}

function kindOf(target: string): EndpointKind {
  const path = target.replace(/\?.*/, "");
  if (path.endsWith("/chat/completions")) return "chat";
  const last = /(completions|responses|messages|embeddings)$/.exec(path)?.[1];
  if (last !== undefined) return last as EndpointKind;
  if (path.includes("/images/")) return "images";
  return path.includes("/audio/") ? "audio" : "other";
}

function clientFor(sample: Sample, bytes: Uint8Array<ArrayBuffer>): OpenAI {
  const headers = { "content-type": sample.content_type };
  return new OpenAI({
    apiKey: "none",
    baseURL: "http://sample.invalid/v1",
    maxRetries: 0,
    fetch: () => Promise.resolve(new Response(bytes, { status: sample.status, headers })),
  });
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
    // OpenRouter's final response has an `output_text` of its own, which is empty.
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

interface MessageEvent {
  readonly type: string;
  readonly index: number;
  readonly message: { model: string };
  readonly content_block: Block;
  readonly delta: { text?: string; thinking?: string; partial_json?: string; stop_reason: string };
  readonly usage: { input_tokens: number; output_tokens: number };
}

interface Block {
  readonly type: string;
  readonly id: string;
  readonly name: string;
  readonly text?: string;
  readonly thinking?: string;
  readonly input?: unknown;
}

function readMessages(body: string): Reading {
  const events = body.split("\n").filter((line) => line.startsWith("data:"))
    .map((line) => JSON.parse(line.slice(5)) as MessageEvent);
  const deltas = events.filter((event) => event.type === "content_block_delta");
  const starts = events.filter((event) => event.type === "content_block_start");
  const end = events.find((event) => event.type === "message_delta");
  return {
    text: deltas.map((event) => event.delta.text ?? "").join(""),
    reasoning: deltas.map((event) => event.delta.thinking ?? "").join(""),
    toolCalls: starts.filter((event) => /tool_use$/.test(event.content_block.type)).map((start) => ({
      id: start.content_block.id,
      name: start.content_block.name,
      arguments: deltas.filter((event) => event.index === start.index)
        .map((event) => event.delta.partial_json ?? "").join(""),
    })),
    model: events[0]?.message.model ?? null,
    finishReason: end?.delta.stop_reason ?? null,
    inputTokens: end?.usage.input_tokens,
    outputTokens: end?.usage.output_tokens,
  };
}

function readMessage(body: string): Reading {
  const message = JSON.parse(body) as {
    content: Block[];
    model: string;
    stop_reason: string;
    usage: { input_tokens: number; output_tokens: number };
  };
  return {
    text: message.content.map((block) => block.text ?? "").join(""),
    reasoning: message.content.map((block) => block.thinking ?? "").join(""),
    toolCalls: message.content.filter((block) => /tool_use$/.test(block.type)).map((block) => ({
      id: block.id,
      name: block.name,
      arguments: JSON.stringify(block.input),
    })),
    model: message.model,
    finishReason: message.stop_reason,
    inputTokens: message.usage.input_tokens,
    outputTokens: message.usage.output_tokens,
  };
}

/** Embeddings, images, audio: what the document itself says. */
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

async function readIndependently(sample: Sample, bytes: Uint8Array<ArrayBuffer>): Promise<Reading> {
  const body = new TextDecoder().decode(bytes);
  if (sample.status >= 400) return { text: body };
  const kind = kindOf(sample.path);
  const isStream = sample.content_type.includes("event-stream");
  const client = clientFor(sample, bytes);
  switch (kind) {
    case "chat":
      return await readChat(client, isStream);
    case "completions":
      return await readCompletions(client, isStream);
    case "responses":
      return await readResponses(client);
    case "messages":
      return isStream ? readMessages(body) : readMessage(body);
    default:
      return readOther(kind, body);
  }
}

function capture(sample: Sample, bytes: Uint8Array, cuts: readonly number[] = []): Replayed {
  const options = {
    kind: kindOf(sample.path),
    contentType: sample.content_type,
    isEventStream: sample.content_type.includes("event-stream"),
    status: sample.status,
  };
  return replay(createCapture(options), bytes, { cuts });
}

/** Offsets of cuts that repeat from run to run, some of them within characters and line ends. */
function pseudoRandomCuts(length: number, seed: number): number[] {
  const cuts: number[] = [];
  for (let at = 0, state = seed; at < length;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    at += 1 + state % 97;
    if (at < length) cuts.push(at);
  }
  return cuts;
}

const samples = readSamples();

Deno.test({
  name: "the samples of ../shared/samples are read as independent readers read them",
  ignore: samples === null,
  fn: async (test) => {
    for (const sample of samples ?? []) {
      await test.step(sample.name, async () => {
        const bytes = Deno.readFileSync(new URL(sample.response, SAMPLES));
        const expected = await readIndependently(sample, bytes);
        const whole = capture(sample, bytes);
        const { reply } = whole;
        assert.equal(reply.text, expected.text);
        if (expected.reasoning !== undefined) assert.equal(reply.reasoning, expected.reasoning);
        assert.deepEqual(reply.toolCalls, expected.toolCalls ?? []);
        if (expected.model !== undefined) assert.equal(reply.model, expected.model);
        if (expected.finishReason !== undefined) assert.equal(reply.finishReason, expected.finishReason);
        assert.equal(reply.usage?.inputTokens ?? undefined, expected.inputTokens);
        if (expected.outputTokens !== undefined) {
          assert.equal(reply.usage?.outputTokens, expected.outputTokens);
        }
        assert.equal(reply.bytes, bytes.length);
        assert.equal(reply.isComplete, true);
        assert.equal(reply.isTruncated, false);
        assert.equal(reply.parseErrors, 0);

        assert.deepEqual(capture(sample, bytes, Array.from(bytes.keys())), whole, "byte by byte");
        for (let seed = 1; seed <= 5; seed++) {
          assert.deepEqual(
            capture(sample, bytes, pseudoRandomCuts(bytes.length, seed)),
            whole,
            `seed ${seed}`,
          );
        }
      });
    }
  },
});
