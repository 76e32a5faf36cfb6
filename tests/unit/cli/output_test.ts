/**
 * Tables that fit, and text that cannot harm a terminal.
 */
import { cleanText } from "../../../src/core/clean_text.ts";
import assert from "node:assert/strict";
import { type Column, displayWidth, formatTable, writeLine } from "../../../src/cli/output.ts";

interface Row {
  readonly id: string;
  readonly url: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "ID", cell: ({ id }) => id },
  { title: "URL", cell: ({ url }) => url, isFlexible: true },
  { title: "END", cell: () => "x" },
];

Deno.test("formatTable() aligns columns by what they take on the screen", () => {
  const rows = [{ id: "1", url: "https://a" }, { id: "22", url: "中文" }, { id: "3", url: "e\u0301" }];
  assert.deepEqual(formatTable(rows, { columns: COLUMNS, width: null }), [
    "ID  URL        END",
    "1   https://a  x",
    "22  中文       x",
    "3   e\u0301          x",
  ]);
});

Deno.test("formatTable() cuts flexible cells so that every line fits", () => {
  const rows = [{ id: "1", url: "https://a-very-long-host.example/v1" }, { id: "2", url: "中".repeat(30) }];
  const lines = formatTable(rows, { columns: COLUMNS, width: 30 });
  assert.ok(lines.every((line) => displayWidth(line) <= 30), lines.join("\n"));
  assert.equal(lines[1], "1   https://a-very-long-…  x");
  assert.ok(lines[2]?.includes("…"));
});

Deno.test("formatTable() stops cutting before a cell says nothing", () => {
  const [, line] = formatTable([{ id: "1", url: "0123456789abcdef" }], { columns: COLUMNS, width: 5 });
  assert.equal(line, "1   0123456789a…  x");
});

Deno.test("cleanText() makes one harmless line of anything", () => {
  assert.equal(cleanText("a\x1b[31mb\r\nc\u202ed\u2028e\0f\x9bg"), "a [31mb c d e f g");
  assert.equal(cleanText("  plain 中文 é 🙂 "), "plain 中文 é 🙂");
  assert.equal(cleanText("\ud800x"), "x");
});

Deno.test("writeLine() waits for a stream that would block, and loses nothing", () => {
  let refusals = 3;
  let text = "";
  const sink = {
    writeSync: (bytes: Uint8Array) => {
      if (refusals-- > 0) throw new Deno.errors.WouldBlock("Resource temporarily unavailable");
      refusals = 2;
      const taken = bytes.subarray(0, 4);
      text += new TextDecoder().decode(taken);
      return taken.length;
    },
  };
  assert.equal(writeLine(sink, "a line of text"), true);
  assert.equal(text, "a line of text\n");
});

/**
 * A full pipe in non-blocking mode as the runtime shows it: of a piece larger than PIPE_BUF, it takes a part, and the write
 * fails; a smaller one is taken as a whole or not at all.
 */
class RuntimePipe {
  text = "";
  #room: number;

  constructor(readonly capacity: number) {
    this.#room = capacity;
  }

  writeSync(bytes: Uint8Array): number {
    const limit = Deno.build.os === "linux" ? 4096 : 512;
    const taken = bytes.length <= limit && bytes.length > this.#room ? 0 : Math.min(bytes.length, this.#room);
    this.text += new TextDecoder().decode(bytes.subarray(0, taken));
    this.#room -= taken;
    if (taken === bytes.length) return taken;
    // Its reader takes everything.
    this.#room = this.capacity;
    throw new Deno.errors.WouldBlock("Resource temporarily unavailable");
  }
}

Deno.test("writeLine() writes nothing twice into a pipe that takes a part of a long line", () => {
  const pipe = new RuntimePipe(65_536);
  const line = Array.from({ length: 40_000 }, (_, n) => String(n)).join(",");
  for (let n = 0; n < 3; n++) assert.equal(writeLine(pipe, line), true);
  assert.equal(pipe.text, `${line}\n`.repeat(3));
});

Deno.test("writeLine() tells when nobody reads any more, and passes on every other failure", () => {
  const failing = (error: Error) => ({
    writeSync: () => {
      throw error;
    },
  });
  assert.equal(writeLine(failing(new Deno.errors.BrokenPipe("gone")), "a"), false);
  assert.throws(() => writeLine(failing(new Error("No space left on device")), "a"), /No space/);
});
