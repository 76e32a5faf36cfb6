import assert from "node:assert/strict";
import { createCapture } from "../../../../src/capture/create.ts";
import type { RelayEnd } from "../../../../src/proxy/relay/relay.ts";
import { RelaySettlement } from "../../../../src/proxy/relay/relay_settlement.ts";

const CONTENT = 'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n';
const FINISH = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
const DONE = "data: [DONE]\n\n";
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n';
const ERROR = 'data: {"error":{"message":"overloaded"}}\n\n';
const DOCUMENT = '{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}';

const TERMINAL: RelayEnd = { type: "terminal" };
const END: RelayEnd = { type: "end" };
const CUT: RelayEnd = { type: "cut", message: "reset" };

interface Case {
  readonly name: string;
  /** Pieces of the reply, and what ends it. */
  readonly steps: readonly (string | RelayEnd)[];
  readonly isEventStream?: boolean;
  /** What is recorded, in order. */
  readonly recorded: readonly string[];
}

const CASES: readonly Case[] = [
  { name: "an end", steps: [CONTENT, FINISH, DONE, END], recorded: ["settle complete hi"] },
  {
    name: "an end marker, then the end",
    steps: [CONTENT, FINISH, DONE, TERMINAL, END],
    recorded: ["settle complete hi"],
  },
  {
    name: "more after the end marker",
    steps: [CONTENT, FINISH, DONE, TERMINAL, USAGE, END],
    recorded: ["settle complete hi", "resettle complete hi"],
  },
  {
    name: "more after the end marker, then a cut: what counts is that the reply was whole",
    steps: [CONTENT, FINISH, DONE, TERMINAL, USAGE, CUT],
    recorded: ["settle complete hi", "resettle complete hi"],
  },
  {
    name: "an error after the end marker",
    steps: [CONTENT, FINISH, DONE, TERMINAL, ERROR, END],
    recorded: ["settle complete hi", "resettle error_event hi"],
  },
  {
    name: "a client that leaves after the end marker",
    steps: [CONTENT, FINISH, DONE, TERMINAL, USAGE, { type: "client_gone" }],
    recorded: ["settle complete hi"],
  },
  {
    name: "a stop after the end marker",
    steps: [CONTENT, FINISH, DONE, TERMINAL, USAGE, { type: "stopped" }],
    recorded: ["settle complete hi"],
  },
  { name: "a cut", steps: [CONTENT, CUT], recorded: ["settle upstream_cut hi"] },
  {
    name: "an end without its marker",
    steps: [CONTENT, END],
    recorded: ["settle upstream_cut hi"],
  },
  { name: "silence", steps: [CONTENT, { type: "idle", limitMs: 1 }], recorded: ["settle idle_timeout hi"] },
  {
    name: "a client that leaves",
    steps: [CONTENT, { type: "client_gone" }],
    recorded: ["settle client_gone hi"],
  },
  {
    name: "a client that takes nothing",
    steps: [CONTENT, { type: "client_stalled", limitMs: 1 }],
    recorded: ["settle client_gone hi"],
  },
  { name: "a stop", steps: [CONTENT, { type: "stopped" }], recorded: ["settle crashed hi"] },
  { name: "an error event", steps: [CONTENT, ERROR, END], recorded: ["settle error_event hi"] },
  { name: "no content", steps: [END], recorded: ["settle empty "] },
  {
    name: "the last piece of a document, then its end",
    steps: [DOCUMENT, TERMINAL, END],
    isEventStream: false,
    recorded: ["settle complete hi"],
  },
];

for (const { name, steps, isEventStream = true, recorded } of CASES) {
  Deno.test(`RelaySettlement of ${name}`, async () => {
    const contentType = isEventStream ? "text/event-stream" : "application/json";
    const capture = createCapture({ kind: "chat", contentType, isEventStream, status: 200 });
    const seen: string[] = [];
    let bytes = 0;
    const settlement = new RelaySettlement({ capture, status: 200, isEventStream }, {
      ledger: { inbound: { method: "POST" }, noteProgress: (count) => void (bytes += count) },
      settle: ({ outcome }, { text }) => {
        seen.push(`settle ${outcome} ${text}`);
        return Promise.resolve();
      },
      resettle: ({ outcome }, { text }) => {
        seen.push(`resettle ${outcome} ${text}`);
        return Promise.resolve();
      },
    });
    let sent = 0;
    for (const step of steps) {
      if (typeof step !== "string") {
        await settlement.onEnd(step);
        continue;
      }
      const chunk = new TextEncoder().encode(step);
      capture.push(chunk);
      settlement.onProgress(chunk.length);
      sent += chunk.length;
    }
    assert.deepEqual(seen, recorded);
    assert.equal(bytes, sent);
  });
}
