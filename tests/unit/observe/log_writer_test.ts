import assert from "node:assert/strict";
import { type ByteSink, LogWriter } from "../../../src/observe/log_writer.ts";

/** Holds each write until it is released; takes at most `maxBytes` at once. */
class SlowSink implements ByteSink {
  readonly written: string[] = [];
  readonly #held: (() => void)[] = [];
  isOpen = false;
  constructor(readonly maxBytes = Infinity) {}

  async write(bytes: Uint8Array): Promise<number> {
    if (!this.isOpen) await new Promise<void>((resolve) => this.#held.push(resolve));
    const taken = bytes.subarray(0, this.maxBytes);
    this.written.push(new TextDecoder().decode(taken));
    return taken.length;
  }

  open(): void {
    this.isOpen = true;
    for (const resolve of this.#held.splice(0)) resolve();
  }
}

Deno.test("lines that arrive during a write are written together in the next one", async () => {
  const sink = new SlowSink();
  const writer = new LogWriter(sink);
  writer.write("a\n");
  await Promise.resolve();
  await Promise.resolve();
  writer.write("b\n");
  writer.write("c\n");
  sink.open();
  await writer.flush();
  assert.deepEqual(sink.written, ["a\n", "b\nc\n"]);
});

Deno.test("a partial write is continued", async () => {
  const sink = new SlowSink(3);
  sink.open();
  const writer = new LogWriter(sink);
  writer.write("abcdefg\n");
  await writer.flush();
  assert.deepEqual(sink.written, ["abc", "def", "g\n"]);
});

Deno.test("a reader that is too slow costs lines, not memory, and a line tells how many", async () => {
  const sink = new SlowSink();
  const writer = new LogWriter(sink);
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 3000; i++) writer.write(line);
  sink.open();
  await writer.flush();
  const text = sink.written.join("");
  assert.equal(text.split("\n").length - 1, 1025);
  assert.ok(text.endsWith("(1976 log lines were dropped: the log's reader is too slow)\n"), text.slice(-100));
});

Deno.test("a broken pipe does not throw, and later lines are still written", async () => {
  let isBroken = true;
  const written: string[] = [];
  const writer = new LogWriter({
    write: (bytes) => {
      if (isBroken) return Promise.reject(new Deno.errors.BrokenPipe("gone"));
      written.push(new TextDecoder().decode(bytes));
      return Promise.resolve(bytes.length);
    },
  });
  writer.write("a\n");
  await writer.flush();
  isBroken = false;
  writer.write("b\n");
  await writer.flush();
  assert.deepEqual(written, ["b\n"]);
});

Deno.test("flush() with nothing written resolves", async () => {
  await new LogWriter(new SlowSink()).flush();
});

/** A pipe in non-blocking mode that is full for a while. */
function fullPipe(refusals: number) {
  const written: string[] = [];
  const take = (bytes: Uint8Array) => {
    if (refusals-- > 0) throw new Deno.errors.WouldBlock("Resource temporarily unavailable");
    written.push(new TextDecoder().decode(bytes));
    return bytes.length;
  };
  return { written, sink: { write: (bytes: Uint8Array) => Promise.try(take, bytes), writeSync: take } };
}

Deno.test("a stream that would block is written to again, and no line is lost", async () => {
  const { written, sink } = fullPipe(3);
  const writer = new LogWriter(sink);
  writer.write("a\n");
  writer.write("b\n");
  await writer.flush();
  assert.deepEqual(written, ["a\nb\n"]);
});

Deno.test("writeNow() writes at once, or behind what waits when the stream takes nothing now", async () => {
  const ready = fullPipe(0);
  const writer = new LogWriter(ready.sink);
  writer.writeNow("a\n");
  assert.deepEqual(ready.written, ["a\n"]);
  writer.write("b\n");
  writer.writeNow("c\n");
  await writer.flush();
  assert.deepEqual(ready.written, ["a\n", "b\nc\n"]);

  const full = fullPipe(1);
  const waiting = new LogWriter(full.sink);
  waiting.writeNow("a\n");
  assert.deepEqual(full.written, []);
  await waiting.flush();
  assert.deepEqual(full.written, ["a\n"]);
});

Deno.test("writeNow() into a stream that cannot be written to does not throw", async () => {
  const fail = () => {
    throw new Error("No space left on device");
  };
  const writer = new LogWriter({ write: () => Promise.reject(new Error("no")), writeSync: fail });
  writer.writeNow("a\n");
  await writer.flush();
});
