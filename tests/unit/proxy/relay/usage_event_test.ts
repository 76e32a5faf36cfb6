import { strictEqual as assertEquals } from "node:assert/strict";
import {
  isUsageEvent,
  MAX_HELD_BYTES,
  MAX_LOOKED_BYTES,
  UsageEventFilter,
} from "../../../../src/proxy/relay/usage_event.ts";

const DELTA =
  'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a [] \\"usage\\":{"}}],"usage":null}';
const USAGE = 'data: {"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}';
const DONE = "data: [DONE]";

/** Runs a stream through the filter in pieces of these sizes, in turn. */
function filtered(stream: string, sizes: readonly number[]): string {
  const bytes = new TextEncoder().encode(stream);
  const filter = new UsageEventFilter();
  const parts: Uint8Array[] = [];
  // One buffer for all chunks, as a connection lends it.
  const lent = new Uint8Array(bytes.length);
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.min(sizes[turn % sizes.length] ?? 1, bytes.length - at);
    const chunk = lent.subarray(0, size);
    chunk.set(bytes.subarray(at, at + size));
    parts.push(filter.push(chunk).slice());
    lent.fill(0x58);
    at += size;
  }
  parts.push(filter.flush().slice());
  return new TextDecoder().decode(Uint8Array.from(parts.flatMap((part) => [...part])));
}

function assertFiltered(stream: string, expected: string, name: string): void {
  const { length } = new TextEncoder().encode(stream);
  for (const sizes of [[length], [1], [2], [3], [7], [16], [64], [1, 5, 2, 40], [90, 1]]) {
    assertEquals(filtered(stream, sizes), expected, `${name}, in pieces of ${sizes}`);
  }
  for (let at = 1; at < length && length < 1_000; at++) {
    assertEquals(filtered(stream, [at, length]), expected, `${name}, split at ${at}`);
  }
}

/** What is left out is in square brackets of another kind. */
const CASES: Readonly<Record<string, string>> = {
  "the last event before the end": `${DELTA}\n\n⟦${USAGE}\n\n⟧${DONE}\n\n`,
  "carriage returns and line feeds": `${DELTA}\r\n\r\n⟦${USAGE}\r\n\r\n⟧${DONE}\r\n\r\n`,
  "carriage returns": `${DELTA}\r\r⟦${USAGE}\r\r⟧${DONE}\r\r`,
  "no end marker": `${DELTA}\n\n⟦${USAGE}\n\n⟧`,
  "no blank line at the end": `${DELTA}\n\n⟦${USAGE}⟧`,
  "no blank line after a line": `${DELTA}\n\n⟦${USAGE}\n⟧`,
  "an end marker without blank line": `${DELTA}\n\n⟦${USAGE}\n\n⟧${DONE}`,
  "comments around it stay": `: a\n\n${DELTA}\n\n: b\n\n⟦${USAGE}\n\n⟧: c\n\n${DONE}\n\n: d\n`,
  "a comment right before it stays": `${DELTA}\n\n: b\n⟦${USAGE}\n\n⟧${DONE}\n\n`,
  "further blank lines stay": `\n\n${DELTA}\n\n\n⟦${USAGE}\n\n⟧\n\n${DONE}\n\n`,
  "several lines of data": `⟦data: {"choices": [\ndata: ],\ndata: "usage": {}}\n\n⟧${DONE}\n\n`,
  "one line of another field": `⟦event: chunk\n${USAGE}\nid: 5\n\n⟧${DONE}\n\n`,
  "blanks in it": `⟦data:   {"choices" :  [ ] , "usage" : { } }\n\n⟧${DONE}\n\n`,
  "usage before choices": `⟦data: {"usage":{"a":1},"choices":[]}\n\n⟧${DONE}\n\n`,
  "usage in the last chunk with content": `${DELTA.replace("null", "{}")}\n\n${DONE}\n\n`,
  "choices are missing": `data: {"usage":{}}\n\n${DONE}\n\n`,
  "choices are null": `data: {"choices":null,"usage":{}}\n\n${DONE}\n\n`,
  "the filters of Azure":
    `data: {"choices":[],"prompt_filter_results":[]}\n\n${DELTA}\n\n⟦${USAGE}\n\n⟧${DONE}\n\n`,
  "usage is null": `data: {"choices":[],"usage":null}\n\n${DONE}\n\n`,
  "usage is an array": `data: {"choices":[],"usage":[]}\n\n${DONE}\n\n`,
  "an error with usage": `data: {"choices":[],"usage":{},"error":{"message":"x"}}\n\n${DONE}\n\n`,
  "not JSON": `data: {"choices":[],"usage":{}\n\n${DONE}\n\n`,
  "an array": `data: [{"choices":[],"usage":{}}]\n\n${DONE}\n\n`,
  "no usage at all": `${DELTA}\n\n${DONE}\n\n`,
  "only the last of two": `${USAGE}\n\n⟦${USAGE}\n\n⟧${DONE}\n\n`,
  "only the last of several, with comments": `${USAGE}\n\n: x\n\n${USAGE}\n\n⟦${USAGE}\n\n⟧: y\n${DONE}\n\n`,
  "the last of continuous ones": `${USAGE}\n\n${DELTA}\n\n${USAGE}\n\n${DELTA}\n\n⟦${USAGE}\n\n⟧${DONE}\n\n`,
  "not the last": `${USAGE}\n\n${DELTA}\n\n${DONE}\n\n`,
  "another event follows": `⟦${USAGE}\n\n⟧data: {"choices":[],"cost":"0"}\n\n${DONE}\n\n`,
  "an error event follows": `⟦${USAGE}\n\n⟧data: {"error":{"message":"x"}}\n\n`,
  "one after the end marker stays": `⟦${USAGE}\n\n⟧${DONE}\n\n${USAGE}\n\n`,
  "one after another event stays": `⟦${USAGE}\n\n⟧data: {"a":1}\n\n${USAGE}\n\n${DONE}\n\n`,
  "characters beyond ASCII": `⟦data: {"choices":[],"usage":{},"x":"日本"}\n\n⟧data: {"y":"日本"}\n\n`,
  "a value named choices": `⟦data: {"x":"choices","choices":[],"usage":{}}\n\n⟧${DONE}\n\n`,
  "a lone brace": "{",
  "no event stream": '{"choices":[],"usage":{}}',
  "a field without a value": `data\n\n⟦${USAGE}\n\n⟧data\n\n`,
  "cut in the middle": `${DELTA}\n\ndata: {"choices":[],"usage":{"a`,
  "cut after it began, with one before": `⟦${USAGE}\n\n⟧data: {"choi`,
};

for (const [name, marked] of Object.entries(CASES)) {
  Deno.test(`UsageEventFilter leaves out exactly the one event: ${name}`, () => {
    assertFiltered(marked.replace(/[⟦⟧]/g, ""), marked.replace(/⟦[^⟧]*⟧/g, ""), name);
  });
}

Deno.test("UsageEventFilter gives back a chunk of whole events as it is", () => {
  const filter = new UsageEventFilter();
  const chunk = new TextEncoder().encode(`${DELTA}\n\n`);
  assertEquals(filter.push(chunk) === chunk, true);
});

Deno.test("UsageEventFilter holds an event back only while it may be the usage", () => {
  const filter = new UsageEventFilter();
  const push = (text: string) => new TextDecoder().decode(filter.push(new TextEncoder().encode(text)));
  assertEquals(push('data: {"id":1,"choices":['), "");
  assertEquals(push('{"delta":'), 'data: {"id":1,"choices":[{"delta":');
  assertEquals(push("1}]}"), "1}]}");
  assertEquals(push("\n\ndata: ["), "\n\ndata: [");
});

Deno.test("UsageEventFilter passes on what is larger than it holds", () => {
  const large = `data: {"choices":[],"usage":{"a":"${"x".repeat(MAX_HELD_BYTES)}"}}\n\n${DONE}\n\n`;
  for (const size of [large.length, 1_000, 1]) assertEquals(filtered(large, [size]), large);
  const comments = `:${"c".repeat(2 * MAX_HELD_BYTES)}\n`;
  for (const size of [1_000, 1]) {
    assertEquals(filtered(`${USAGE}\n\n${comments}${DELTA}\n\n`, [size]), `${comments}${DELTA}\n\n`);
  }
});

Deno.test("UsageEventFilter takes linear time for what is held for long", () => {
  const blanks = `data: {"choices"${" ".repeat(MAX_HELD_BYTES - 100)}:[],"usage":{}}\n\n`;
  assertEquals(filtered(`${blanks}${DONE}\n\n`, [1]), `${DONE}\n\n`);
});

Deno.test("UsageEventFilter looks at a bounded part of a stream, and then passes everything", () => {
  const counts = `${USAGE}\n\n`.repeat(Math.ceil(MAX_LOOKED_BYTES / USAGE.length) + 1);
  for (const size of [counts.length, 1_000]) {
    assertEquals(filtered(`${counts}${DONE}\n\n`, [size]) === `${counts}${DONE}\n\n`, true, String(size));
  }
  const deltas = `${DELTA}\r\n\r\n`.repeat(2 * MAX_LOOKED_BYTES / DELTA.length);
  assertEquals(filtered(`${deltas}${USAGE}\n\n${DONE}\n\n`, [65_536]) === `${deltas}${DONE}\n\n`, true);
});

/** A slow reader of the same rules. */
function expectedOf(stream: string): string {
  const events: { text: string; isComment: boolean }[] = [];
  for (const block of stream.split(/(?<=\n\n)/)) {
    events.push({ text: block, isComment: block.startsWith(":") });
  }
  const isUsage = (text: string) => isUsageEvent(new TextEncoder().encode(text));
  for (let at = 0; at < events.length; at++) {
    const next = events.slice(at + 1).find(({ isComment }) => !isComment)?.text ?? null;
    if (!isUsage(events[at]?.text ?? "")) continue;
    if (next !== null && (isUsage(next) || /"choices":\[\{/.test(next))) continue;
    return events.filter((_, n) => n !== at).map(({ text }) => text).join("");
  }
  return stream;
}

Deno.test("UsageEventFilter does the same for every order of events and every way to cut them", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor(seed / 65536) % below;
  };
  const kinds = [DELTA, USAGE, DONE, ": ping", 'data: {"choices":[]}', 'data: {"error":{}}', DELTA, DELTA];
  for (let run = 0; run < 2_000; run++) {
    const stream = Array.from({ length: 1 + random(7) }, () => `${kinds[random(kinds.length)]}\n\n`).join("");
    const sizes = Array.from({ length: 5 }, () => 1 + random(run % 2 === 0 ? 20 : 200));
    assertEquals(filtered(stream, sizes), expectedOf(stream), JSON.stringify({ stream, sizes }));
  }
});
