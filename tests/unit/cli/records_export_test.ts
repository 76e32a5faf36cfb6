/**
 * `records export`: formats that other programs read back, and files that stay private.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { runProgram } from "../../../src/cli/program.ts";
import type { Terminal } from "../../../src/cli/output.ts";
import { assertHarmless, HOSTILE, jsonLines, test } from "./records_support.ts";

const ToolCall = z.strictObject({
  id: z.string().min(1),
  type: z.literal("function"),
  function: z.strictObject({ name: z.string().min(1), arguments: z.string() }),
});
const name = z.string().optional();
const UserPart = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  z.strictObject({
    type: z.literal("image_url"),
    image_url: z.strictObject({ url: z.string(), detail: z.string().optional() }),
  }),
]);

/** OpenAI's format of chat examples: https://platform.openai.com/docs/api-reference/fine-tuning/chat-input */
const Example = z.strictObject({
  messages: z.array(z.discriminatedUnion("role", [
    z.strictObject({ role: z.literal("system"), content: z.string(), name }),
    z.strictObject({ role: z.literal("user"), content: z.union([z.string(), z.array(UserPart)]), name }),
    z.strictObject({
      role: z.literal("assistant"),
      content: z.string().nullable(),
      name,
      tool_calls: z.array(ToolCall).min(1).optional(),
      function_call: z.strictObject({ name: z.string(), arguments: z.string() }).optional(),
    }).refine((message) => message.content || message.tool_calls || message.function_call),
    z.strictObject({ role: z.literal("tool"), tool_call_id: z.string(), content: z.string() }),
    z.strictObject({ role: z.literal("function"), name: z.string(), content: z.string() }),
  ])).min(2).refine((messages) => messages.at(-1)?.role === "assistant"),
  tools: z.array(
    z.looseObject({ type: z.literal("function"), function: z.looseObject({ name: z.string() }) }),
  ).min(1).optional(),
  parallel_tool_calls: z.boolean().optional(),
  functions: z.array(z.looseObject({ name: z.string() })).min(1).optional(),
});

const chat = (request: Record<string, unknown>): string =>
  JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }], ...request });

const LOOK = { type: "function", function: { name: "look", parameters: { type: "object" } } };

test("openai-finetune gives valid examples, and counts what is none", [
  {
    body: chat({ messages: [{ role: "developer", content: "Be brief." }, { role: "user", content: "hi" }] }),
    response: "Hello",
  },
  {
    body: chat({
      tools: [LOOK, { type: "custom", custom: { name: "c" } }],
      parallel_tool_calls: false,
      messages: [
        {
          role: "user",
          name: "ann",
          content: [{ type: "text", text: "Which?" }, {
            type: "image_url",
            image_url: { url: "https://x.example/a.png", detail: "low" },
          }],
        },
        {
          role: "assistant",
          content: null,
          refusal: null,
          annotations: [],
          reasoning_content: "hm",
          tool_calls: [{
            index: 0,
            id: "call_1",
            type: "function",
            function: { name: "look", arguments: "{}" },
          }],
        },
        {
          role: "tool",
          tool_call_id: "call_1",
          content: [{ type: "text", text: "a " }, { type: "text", text: "cat" }],
        },
      ],
    }),
    response: "",
    reasoning: "thoughts are not trained",
    toolCalls: [{ id: "call_2", name: "look", arguments: '{"at":1}' }, {
      id: null,
      name: "look",
      arguments: "{}",
    }],
  },
  {
    body: chat({
      functions: [{ name: "f", parameters: {} }],
      messages: [
        { role: "assistant", content: null, function_call: { name: "f", arguments: "{}" } },
        { role: "function", name: "f", content: "done" },
      ],
    }),
    response: "",
    toolCalls: [{ id: null, name: "f", arguments: '{"again":true}' }],
  },
  { body: chat({}), outcome: "upstream_cut" },
  { body: chat({}), isTruncated: true },
  { body: chat({ n: 2 }) },
  { body: chat({}), response: "" },
  { body: chat({ messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] }) },
  { body: chat({ modalities: ["text", "audio"] }) },
  { body: "not JSON" },
  { body: chat({}), path: "/v1/embeddings" },
  { body: chat({}), path: "/v1/messages" },
], async ({ run }) => {
  const { out, err, exitCode } = await run(["export", "--format", "openai-finetune"]);
  assert.equal(exitCode, 0);
  assert.equal(
    err,
    "3 examples; skipped 9 records: 1 not complete, 1 not kept whole, 1 several choices, 1 no reply, " +
      "3 messages that are no training data, 2 not chat completions",
  );
  const examples = jsonLines(out).map((line) => Example.parse(line));
  assert.deepEqual(examples[0]?.messages, [
    { role: "system", content: "Be brief." },
    { role: "user", content: "hi" },
    { role: "assistant", content: "Hello" },
  ]);
  assert.deepEqual(examples[1]?.tools, [LOOK]);
  assert.equal(examples[1]?.parallel_tool_calls, false);
  assert.deepEqual(examples[1]?.messages.slice(2), [
    { role: "tool", tool_call_id: "call_1", content: "a cat" },
    {
      role: "assistant",
      content: null,
      tool_calls: [
        { id: "call_2", type: "function", function: { name: "look", arguments: '{"at":1}' } },
        { id: "call_3", type: "function", function: { name: "look", arguments: "{}" } },
      ],
    },
  ]);
  assert.deepEqual(examples[2]?.messages.at(-1), {
    role: "assistant",
    content: null,
    function_call: { name: "f", arguments: '{"again":true}' },
  });
});

test("jsonl gives every record whole, oldest first", [
  { response: HOSTILE },
  { response: "two", status: 500, toolCalls: [{ id: "c", name: "f", arguments: "{}" }] },
], async ({ do: succeed }) => {
  const out = await succeed(["export", "--format", "jsonl"]);
  assertHarmless(out);
  const rows = jsonLines(out);
  assert.deepEqual(rows.map(({ id, response }) => [id, response]), [[1, HOSTILE], [2, "two"]]);
  assert.deepEqual(rows[1]?.["toolCalls"], [{ id: "c", name: "f", arguments: "{}" }]);
  assert.deepEqual(jsonLines(await succeed(["export", "--format", "jsonl", "--status", "5xx"])).length, 1);
});

/** The cells of RFC 4180, read by its grammar. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const cells = text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g);
  for (const [whole, quoted, plain, end] of cells) {
    if (whole === "") break;
    rows.at(-1)?.push(quoted === undefined ? plain ?? "" : quoted.replaceAll('""', '"'));
    if (end === "\r\n") rows.push([]);
  }
  return rows.filter((row) => row.length > 0);
}

test("csv quotes what needs it, and no cell is a formula", [
  {
    response: 'He said "hi",\nand left',
    model: '=HYPERLINK("http://evil")',
    client: "@cmd",
    userAgent: "+1",
    error: "-2",
  },
  { response: "\tx", model: "\rx", client: "plain", userAgent: "\uff1d1+1", error: "\n  =1+1" },
], async ({ do: succeed }) => {
  const out = await succeed(["export", "--format", "csv"]);
  assert.ok(
    out.startsWith("\ufeffid,requestId,"),
    "spreadsheets take a file without a mark for the local code page",
  );
  const [titles, first, second] = readCsv(`${out.slice(1)}\n`);
  assert.ok(titles && first && second);
  assert.deepEqual([first.length, second.length], [titles.length, titles.length]);
  const cell = (row: readonly string[], title: string): string | undefined => row[titles.indexOf(title)];
  assert.equal(cell(first, "response"), 'He said "hi",\nand left');
  assert.equal(cell(first, "model"), '\'=HYPERLINK("http://evil")');
  assert.deepEqual(["client", "userAgent", "error"].map((title) => cell(first, title)), [
    "'@cmd",
    "'+1",
    "'-2",
  ]);
  assert.deepEqual(
    ["response", "model", "client", "userAgent", "error"].map((title) => cell(second, title)),
    ["'\tx", "'\rx", "plain", "'\uff1d1+1", "'\n  =1+1"],
  );
  assert.deepEqual(
    ["id", "status", "inputTokens", "cachedTokens", "isStream"].map((title) => cell(first, title)),
    ["1", "200", "3", "", "true"],
  );
});

test("csv on a screen is harmless", [{ response: HOSTILE }], async ({ do: succeed }) => {
  const out = await succeed(["export", "--format", "csv"], { columns: 80 });
  assertHarmless(out);
  assert.ok(out.startsWith("id,"));
});

test("--output makes a new private file, and never overwrites one", [{}], async ({ run, directory }) => {
  const file = `${directory}/out.jsonl`;
  const first = await run(["export", "--format", "jsonl", "--output", file]);
  assert.deepEqual([first.exitCode, first.out, first.err], [0, "", `wrote ${file}`]);
  assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const written = await Deno.readTextFile(file);
  assert.equal(jsonLines(written).length, 1);
  const second = await run(["export", "--format", "csv", "--output", file]);
  assert.equal(second.exitCode, 1);
  assert.match(second.err, /out\.jsonl exists already and stays as it is: name a new file$/);
  assert.equal(await Deno.readTextFile(file), written);
  const nowhere = await run(["export", "--format", "csv", "--output", `${directory}/none/out.csv`]);
  assert.match(nowhere.err, /cannot write \S+out\.csv: its directory does not exist$/);
});

test("export stops when nobody reads any more", Array.from({ length: 20 }, () => ({})), async ({ path }) => {
  const out: string[] = [];
  const terminal: Terminal = {
    print: (line) => void out.push(line),
    note: () => {},
    readInput: () => Promise.resolve(""),
    columns: null,
    get isReaderGone() {
      return out.length >= 3;
    },
  };
  const env = { OAR_DATABASE: path };
  assert.equal(await runProgram(["records", "export", "--format", "jsonl"], { terminal, env }), 0);
  assert.equal(out.length, 3);
});
