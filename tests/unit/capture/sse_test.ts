/** The parser against the cases of the web platform tests (`eventsource/format-*`), and its own promises. */
import assert from "node:assert/strict";
import { EventStreamParser, type StreamEvent } from "../../../src/capture/sse.ts";

interface Parsed {
  readonly events: readonly StreamEvent[];
  readonly retries: readonly number[];
  readonly settledBytes: number;
}

function parse(chunks: Iterable<Uint8Array>, limitBytes?: number): Parsed {
  const events: StreamEvent[] = [];
  const retries: number[] = [];
  const parser = new EventStreamParser({
    onEvent: (event) => events.push(event),
    onRetry: (retryMs) => retries.push(retryMs),
    ...(limitBytes === undefined ? {} : { limitBytes }),
  });
  for (const chunk of chunks) parser.push(chunk);
  const { settledBytes } = parser;
  parser.end();
  return { events, retries, settledBytes };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function* singleBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.slice(at, at + 1);
}

/** The events that the standard dispatches: data, with type and last id where a case is about them. */
interface FormatCase {
  readonly stream: string;
  readonly data: readonly string[];
  readonly names?: readonly string[];
  readonly ids?: readonly string[];
  readonly retries?: readonly number[];
}

const FORMAT_CASES: Readonly<Record<string, FormatCase>> = {
  "one byte order mark at the start is dropped, a later one is part of a field's name": {
    stream: "\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n",
    data: ["1", "3"],
  },
  "of two byte order marks the second is part of a field's name": {
    stream: "\ufeff\ufeffdata:1\n\ndata:2\n\ndata:3\n\n",
    data: ["2", "3"],
  },
  "a byte order mark within data stays": { stream: "data:\ufeffx\n\n", data: ["\ufeffx"] },
  "comments of any length and with any content are ignored": {
    stream: `data:1\r:\0\n:\r\ndata:2\n:${"x".repeat(4096)}\rdata:3\n:data:fail\r:${
      "x".repeat(2048)
    }\ndata:4\n\n`,
    data: ["1\n2\n3\n4"],
  },
  "an event before the end without an empty line is not dispatched": {
    stream: "retry:1000\ndata:test1\n\nid:test\ndata:test2",
    data: ["test1"],
    retries: [1000],
  },
  "data without a value counts as empty data": {
    stream: "data:\n\ndata\ndata\n\ndata:test\n\n",
    data: ["", "\n", "test"],
  },
  "the event field names one event only": {
    stream: "event:test\ndata:x\n\ndata:x\n\n",
    data: ["x", "x"],
    names: ["test", ""],
  },
  "an empty event field names nothing": { stream: "event: \ndata:data\n\n", data: ["data"], names: [""] },
  "an event without data is not dispatched, and its name is forgotten": {
    stream: "event:test\n\ndata:x\n\n",
    data: ["x"],
    names: [""],
  },
  "the last event field of a block wins": {
    stream: "event:a\nevent:b\ndata:x\n\n",
    data: ["x"],
    names: ["b"],
  },
  "an id stays until another one replaces it": {
    stream: "id:1\ndata:a\n\ndata:b\n\nid: 2\ndata:c\n\nid\ndata:d\n\n",
    data: ["a", "b", "c", "d"],
    ids: ["1", "1", "2", ""],
  },
  "an id with NUL is ignored": {
    stream: "id:1\ndata:a\n\nid:2\0\ndata:b\n\n",
    data: ["a", "b"],
    ids: ["1", "1"],
  },
  "field names are exact, one space after the colon is dropped": {
    stream: "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\n" +
      "data:3\rdata:\r\n data:32\ndata:4\n\n",
    data: ["\0\n 2\n1\n3\n\n4"],
  },
  "retry takes digits": { stream: "retry:03000\ndata:x\n\n", data: ["x"], retries: [3000] },
  "a bogus retry is ignored": { stream: "retry:3000\nretry:1000x\ndata:x\n\n", data: ["x"], retries: [3000] },
  "an empty retry is ignored": { stream: "retry\ndata:test\n\n", data: ["test"] },
  "unknown fields are ignored": {
    stream: "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\n\n",
    data: ["test\n"],
  },
  "a leading tab stays": { stream: "data:\ttest\rdata: \ndata:test\n\n", data: ["\ttest\n\ntest"] },
  "all three newlines may be mixed": { stream: "data:test\r\ndata\ndata:test\r\n\r", data: ["test\n\ntest"] },
  "CR LF is one newline, LF CR is two": { stream: "data:a\r\ndata:b\n\rdata:c\r\r\n", data: ["a\nb", "c"] },
  "data may hold NUL": { stream: "data:\0\n\n\n\n", data: ["\0"] },
  "data is UTF-8": { stream: "data:oké 👋 ‽\n\n", data: ["oké 👋 ‽"] },
  "a stream of newlines holds nothing": { stream: "\n\r\r\n\n", data: [] },
};

for (const [name, expected] of Object.entries(FORMAT_CASES)) {
  Deno.test(`EventStreamParser: ${name}`, () => {
    const bytes = bytesOf(expected.stream);
    const whole = parse([bytes]);
    const dispatched = whole.events.filter((event) => event.hasData && event.isTerminated);
    assert.deepEqual(dispatched.map((event) => event.data), expected.data);
    if (expected.names) assert.deepEqual(dispatched.map((event) => event.name), expected.names);
    if (expected.ids) assert.deepEqual(dispatched.map((event) => event.lastEventId), expected.ids);
    assert.deepEqual(whole.retries, expected.retries ?? []);
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.deepEqual(parse([bytes.slice(0, cut), bytes.slice(cut)]), whole, `cut at ${cut}`);
    }
    assert.deepEqual(parse(singleBytes(bytes)), whole, "byte by byte");
  });
}

Deno.test("EventStreamParser replaces bytes that are not UTF-8 and continues", () => {
  const bytes = Uint8Array.from([...bytesOf("data:a"), 0xe2, 0x82, ...bytesOf("\n\ndata:b"), 0xff, 10, 10]);
  const expected = ["a\ufffd", "b\ufffd"];
  assert.deepEqual(parse([bytes]).events.map((event) => event.data), expected);
  assert.deepEqual(parse(singleBytes(bytes)).events.map((event) => event.data), expected);
});

Deno.test("EventStreamParser keeps an unterminated last event, and marks it", () => {
  const { events } = parse([bytesOf("data:1\n\nevent:x\ndata:2\ndata:3")]);
  assert.deepEqual(events.map(({ name, data, isTerminated }) => ({ name, data, isTerminated })), [
    { name: "", data: "1", isTerminated: true },
    { name: "x", data: "2\n3", isTerminated: false },
  ]);
});

Deno.test("EventStreamParser reads a stream that ends within a byte order mark", () => {
  assert.deepEqual(parse([new Uint8Array([0xef]), new Uint8Array([0xbb])]).events.length, 1);
});

Deno.test("EventStreamParser reports where an event's first field begins", () => {
  const { events } = parse([
    bytesOf("\ufeff: hi\r\n\r\n: ho\r\nevent:é\r\ndata:1\r\n\r\n\r\ndata:2\r\n\r\n"),
  ]);
  assert.deepEqual(events.map((event) => event.startByte), [17, 39]);
});

Deno.test("EventStreamParser settles only whole lines outside an open event", () => {
  const settled = (text: string) => parse([bytesOf(text)]).settledBytes;
  assert.equal(settled(": a\n"), 4);
  assert.equal(settled(": a\n: b"), 4);
  assert.equal(settled(": a\nevent: ping\n"), 4);
  assert.equal(settled(": a\nevent: ping\n: b\n\n"), 21);
  // A line feed may still follow.
  assert.equal(settled("data: x\r\n\r"), 0);
  assert.equal(settled(": a\r"), 0);
  assert.equal(settled(": a\r: b\r"), 4);
  assert.equal(settled(": a\r: b"), 4);
  assert.equal(settled("data: x\r\n\r\n"), 11);
});

Deno.test("EventStreamParser reads a large event at one byte a time", () => {
  const value = "0123456789abcdef".repeat(128 * 1024);
  const { events } = parse(singleBytes(bytesOf(`data: ${value}\n\n`)));
  assert.equal(events.length, 1);
  assert.ok(events[0]?.data === value);
});

Deno.test("EventStreamParser reads an event of very many short lines", () => {
  const lines = 300_000;
  const { events } = parse([bytesOf("data:x\n".repeat(lines) + "\n")]);
  assert.equal(events[0]?.data.length, 2 * lines - 1);
});

Deno.test("EventStreamParser drops an oversized event and reads the next one", () => {
  const stream = `data: a\n\nevent: big\ndata: ${"x".repeat(200)}\ndata: y\n\n: c\ndata: b\n\n`;
  const expected = [
    { name: "", data: "a", isOversized: false, startByte: 0 },
    { name: "big", data: "", isOversized: true, startByte: 9 },
    { name: "", data: "b", isOversized: false, startByte: 240 },
  ];
  for (const chunks of [[bytesOf(stream)], singleBytes(bytesOf(stream))]) {
    const { events } = parse(chunks, 64);
    assert.deepEqual(
      events.map(({ name, data, isOversized, startByte }) => ({ name, data, isOversized, startByte })),
      expected,
    );
  }
});

Deno.test("EventStreamParser counts all lines of an event against the limit, and comments against none", () => {
  const long = `: ${"x".repeat(500)}\n`;
  assert.equal(parse([bytesOf(`${long}data: a\n${long}\n`)], 64).events[0]?.data, "a");
  assert.equal(parse(singleBytes(bytesOf(`${long}data: a\n${long}\n`)), 64).events[0]?.data, "a");
  assert.equal(parse([bytesOf("data: 1234567890\n".repeat(5) + "\n")], 64).events[0]?.isOversized, true);
});

Deno.test("EventStreamParser survives an endless line, and a stream that ends in one", () => {
  const chunk = bytesOf("x".repeat(64 * 1024));
  const chunks = [bytesOf("data: "), ...Array.from({ length: 320 }, () => chunk)];
  const { events } = parse(chunks);
  assert.deepEqual(
    events.map(({ data, isOversized, isTerminated }) => ({ data, isOversized, isTerminated })),
    [
      { data: "", isOversized: true, isTerminated: false },
    ],
  );
});
