/** How fragments of tool calls are matched to calls, in the forms of different providers. */
import assert from "node:assert/strict";
import { chatChunk, documentOf, events, replay, streamOf } from "../replay.ts";

type Call = readonly [id: string | null, name: string, args: string];

function callsOf(...deltas: unknown[][]): Call[] {
  const stream = events(...deltas.map((calls) => chatChunk({ tool_calls: calls })));
  return replay(streamOf("chat"), stream).reply.toolCalls.map((call) => [call.id, call.name, call.arguments]);
}

function fragment(args: string, rest: { index?: number; id?: string; name?: string } = {}): unknown {
  const { name, ...place } = rest;
  return {
    ...place,
    type: "function",
    function: { ...(name === undefined ? {} : { name }), arguments: args },
  };
}

Deno.test("tool calls are assembled by index", () => {
  assert.deepEqual(
    callsOf(
      [fragment("", { index: 0, id: "a", name: "f" }), fragment("", { index: 1, id: "b", name: "g" })],
      [fragment("{1", { index: 1 }), fragment("{0", { index: 0 })],
      [fragment("}", { index: 0 }), fragment("}", { index: 1 })],
    ),
    [["a", "f", "{0}"], ["b", "g", "{1}"]],
  );
});

Deno.test("tool calls are assembled when id and name repeat in each delta", () => {
  assert.deepEqual(
    callsOf(
      [fragment('{"a":', { index: 0, id: "a", name: "f" })],
      [fragment("1}", { index: 0, id: "a", name: "f" })],
    ),
    [["a", "f", '{"a":1}']],
  );
});

Deno.test("tool calls are assembled when each delta has a new id without a name", () => {
  assert.deepEqual(
    callsOf([fragment('{"a":', { index: 0, id: "x1", name: "f" })], [fragment("1}", { index: 0, id: "x2" })]),
    [["x2", "f", '{"a":1}']],
  );
});

Deno.test("tool calls without index are distinguished by id", () => {
  assert.deepEqual(
    callsOf(
      [fragment('{"a":1}', { id: "a", name: "f" })],
      [fragment('{"b":', { id: "b", name: "f" })],
      [fragment("2}", { id: "b" })],
    ),
    [["a", "f", '{"a":1}'], ["b", "f", '{"b":2}']],
  );
});

Deno.test("tool calls without index and id continue until a name starts another", () => {
  assert.deepEqual(
    callsOf(
      [fragment('{"a":', { name: "f" })],
      [fragment("1}")],
      [fragment('{"b":2}', { name: "g" })],
      [fragment('{"c":3}', { name: "g" })],
    ),
    [[null, "f", '{"a":1}'], [null, "g", '{"b":2}'], [null, "g", '{"c":3}']],
  );
});

Deno.test("tool calls that all have the index 0 are distinguished by id and name", () => {
  assert.deepEqual(
    callsOf(
      [fragment('{"a":1}', { index: 0, id: "a", name: "f" })],
      [fragment('{"b":2}', { index: 0, id: "b", name: "f" })],
      [fragment("{}", { index: 0, id: "c", name: "g" })],
    ),
    [["a", "f", '{"a":1}'], ["b", "f", '{"b":2}'], ["c", "g", "{}"]],
  );
});

Deno.test("tool calls of different choices do not mix", () => {
  const stream = events(
    chatChunk({ tool_calls: [fragment("{", { index: 0, id: "a", name: "f" })] }, { index: 0 }),
    chatChunk({ tool_calls: [fragment("[", { index: 0, id: "b", name: "f" })] }, { index: 1 }),
    chatChunk({ tool_calls: [fragment("}", { index: 0 })] }, { index: 0 }),
    chatChunk({ tool_calls: [fragment("]", { index: 0 })] }, { index: 1 }),
  );
  assert.deepEqual(replay(streamOf("chat"), stream).reply.toolCalls.map((call) => call.arguments), [
    "{}",
    "[]",
  ]);
});

Deno.test("custom tool calls and arguments that are objects are kept as text", () => {
  assert.deepEqual(
    callsOf(
      [{ index: 0, id: "a", type: "custom", custom: { name: "sh", input: "ls" } }],
      [{ index: 1, id: "b", function: { name: "f", arguments: { x: 1 } } }],
    ),
    [["a", "sh", "ls"], ["b", "f", '{"x":1}']],
  );
});

Deno.test("every entry of a whole message is a separate call", () => {
  const call = { type: "function", function: { name: "f", arguments: "" } };
  const message = { tool_calls: [call, call], function_call: { name: "g", arguments: "{}" } };
  const { reply } = replay(documentOf("chat"), JSON.stringify({ choices: [{ message }] }));
  assert.deepEqual(reply.toolCalls.map((item) => item.name), ["f", "f", "g"]);
});
