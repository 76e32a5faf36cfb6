/**
 * The official clients, unchanged, read a stream after 40 keepalives, one a second: those of npm, PyPI and Go.
 *
 * Needs Python with pip, and Go; what is missing is skipped, except with `CI=true`.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import { streamText } from "ai";
import OpenAI from "openai";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { chatEvents, chunk, FakeUpstream, LAST_CHUNK, STREAM_HEAD } from "../support/upstream.ts";
import { rawChat, RawClient } from "../support/raw_client.ts";
import { goClient, pythonClients, runs } from "./toolchains.ts";

const TEXT = "worth the wait";
const KEEPALIVES = 40;
const MESSAGES = [{ role: "user" as const, content: "hi" }];

/** What an upstream sends before it begins to think, and after it. */
const CHAT = {
  before: [chatEvents([TEXT])[0] ?? ""],
  after: chatEvents([TEXT]).slice(1),
};

function event(fields: { readonly type: string } & Record<string, unknown>): string {
  return `event: ${fields.type}\ndata: ${JSON.stringify(fields)}\n\n`;
}

const RESPONSE = { id: "resp_1", object: "response", created_at: 1_700_000_000, model: "m", output: [] };
const MESSAGE_PART = { item_id: "msg_1", output_index: 0, content_index: 0 };
const RESPONSES = {
  before: [event({
    type: "response.created",
    sequence_number: 0,
    response: { ...RESPONSE, status: "in_progress" },
  })],
  after: [
    event({
      type: "response.output_text.delta",
      sequence_number: 1,
      ...MESSAGE_PART,
      delta: TEXT,
      logprobs: [],
    }),
    event({ type: "response.completed", sequence_number: 2, response: { ...RESPONSE, status: "completed" } }),
  ],
};

const USAGE = { input_tokens: 1, output_tokens: 1 };
const MESSAGE = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [],
  stop_reason: null,
};
const ANTHROPIC = {
  before: [event({ type: "message_start", message: { ...MESSAGE, stop_sequence: null, usage: USAGE } })],
  after: [
    event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: TEXT } }),
    event({ type: "content_block_stop", index: 0 }),
    event({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: USAGE }),
    event({ type: "message_stop" }),
  ],
};

function eventsFor(target: string): typeof CHAT {
  if (target.startsWith("/v1/messages")) return ANTHROPIC;
  return target.startsWith("/v1/responses") ? RESPONSES : CHAT;
}

/** A router whose upstream has said who speaks, and then thinks until it is released. */
async function stage(): Promise<{ router: Router; release: () => void } & AsyncDisposable> {
  const released = Promise.withResolvers<void>();
  const upstream = new FakeUpstream(async (request, wire) => {
    const { before, after } = eventsFor(request.target);
    await wire.write(STREAM_HEAD + before.map(chunk).join(""));
    await released.promise;
    await wire.write(after.map(chunk).join("") + LAST_CHUNK);
  });
  const router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--gate-ms", "100", "--keepalive", "1", "--first-token-timeout", "110"],
  });
  return {
    router,
    release: released.resolve,
    async [Symbol.asyncDispose]() {
      released.resolve();
      await router[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when a client that watches the bytes has received this many keepalives. */
async function keepalives(router: Router, count: number): Promise<void> {
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(TEST_TOKEN, { stream: true }));
  await client.readUntil(chunk(":\n"), count);
}

async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "oar-clients-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function npmClients(baseURL: string): Promise<Record<string, string>> {
  const openai = new OpenAI({ baseURL, apiKey: TEST_TOKEN, maxRetries: 0 });
  const anthropic = new Anthropic({
    baseURL: baseURL.replace(/\/v1$/, ""),
    apiKey: TEST_TOKEN,
    maxRetries: 0,
  });
  const langchain = new ChatOpenAI({
    configuration: { baseURL },
    apiKey: TEST_TOKEN,
    model: "m",
    maxRetries: 0,
  });
  const readers: Record<string, () => Promise<string>> = {
    "openai, chat": async () => {
      let text = "";
      const chunks = await openai.chat.completions.create({ model: "m", messages: MESSAGES, stream: true });
      for await (const part of chunks) text += part.choices[0]?.delta.content ?? "";
      return text;
    },
    "openai, responses": async () => {
      let text = "";
      const events = await openai.responses.create({ model: "m", input: "hi", stream: true });
      for await (const each of events) if (each.type === "response.output_text.delta") text += each.delta;
      return text;
    },
    "anthropic, messages": async () => {
      const stream = anthropic.messages.stream({ model: "m", max_tokens: 100, messages: MESSAGES });
      return await stream.finalText();
    },
    "LangChain, chat": async () => {
      let text = "";
      for await (const part of await langchain.stream("hi")) text += part.text;
      return text;
    },
    "AI SDK, chat": async () => {
      const provider = createOpenAI({ baseURL, apiKey: TEST_TOKEN });
      return await streamText({ model: provider.chat("m"), prompt: "hi", maxRetries: 0 }).text;
    },
  };
  const results = Object.entries(readers).map(async ([name, read]) => {
    const text = await read().catch((error: unknown) => `${error}`);
    return [name, text] as const;
  });
  return Object.fromEntries(await Promise.all(results));
}

Deno.test("official clients read the answer after 40 s of keepalives", async (t) => {
  await using tools = await temporaryFolder();
  await using s = await stage();
  const python = await pythonClients(tools.path);
  const olderGo = await goClient(tools.path, "3.42.0");
  const newerGo = await goClient(tools.path, "3.43.0");
  const args = [s.router.url, TEST_TOKEN];
  const counted = keepalives(s.router, KEEPALIVES).then(s.release);
  const [ofNpm, ofPython, ofOlderGo, ofNewerGo] = await Promise.all([
    npmClients(s.router.url),
    python === null ? null : runs(python, args),
    olderGo === null ? null : runs(olderGo, args),
    newerGo === null ? null : runs(newerGo, args),
    counted,
  ]);
  const all = { npm: ofNpm, PyPI: ofPython, "openai-go 3.42.0": ofOlderGo, "openai-go 3.43.0": ofNewerGo };
  for (const [origin, texts] of Object.entries(all)) {
    await t.step({
      name: origin,
      ignore: texts === null,
      fn: () => {
        for (const [name, text] of Object.entries(texts ?? {})) {
          assert.equal(text, TEXT, `${origin}: ${name}`);
        }
      },
    });
  }
});
