/**
 * The moving line: when it shows, what it leaves behind.
 */
import assert from "node:assert/strict";
import { upgradeNote } from "../../../src/cli/context.ts";
import { runProgram } from "../../../src/cli/program.ts";
import { Progress } from "../../../src/cli/progress.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import { makeGoDatabase } from "../../fixtures/go/fixture.ts";
import { test } from "./records_support.ts";

/** A screen with one line, which applies carriage returns as a terminal does. */
class FakeScreen {
  writes = 0;
  #cells: string[] = [];
  constructor(readonly width = 80) {}

  columns(): number {
    return this.width;
  }

  write(text: string): void {
    this.writes++;
    let at = 0;
    for (const character of text) {
      if (character === "\r") at = 0;
      else this.#cells[at++] = character;
    }
    assert.ok(this.#cells.length < this.width, "the line would wrap");
  }

  get line(): string {
    return this.#cells.join("").trimEnd();
  }
}

function make(screen: FakeScreen | null): { progress: Progress; at: (ms: number, text: string) => void } {
  let nowMs = 0;
  const progress = new Progress({ screen, now: () => nowMs });
  return {
    progress,
    at: (ms, text) => {
      nowMs = ms;
      progress.step((seconds) => `${text} ${seconds} s`);
    },
  };
}

Deno.test("Progress shows nothing within the first second", () => {
  const screen = new FakeScreen();
  const { progress, at } = make(screen);
  at(0, "a");
  at(999, "b");
  progress.clear();
  assert.equal(screen.writes, 0);
});

Deno.test("Progress shows the newest state ten times a second at most, and leaves an empty line", () => {
  const screen = new FakeScreen();
  const { progress, at } = make(screen);
  for (let ms = 0; ms <= 3000; ms++) at(ms, `${ms}`.padEnd(8, "."));
  assert.equal(screen.line, "3000.... 3 s");
  assert.equal(screen.writes, 21);
  at(3200, "b");
  assert.equal(screen.line, "b 3 s", "nothing of the longer line is left");
  progress.clear();
  assert.equal(screen.line, "");
  const { writes } = screen;
  progress.clear();
  assert.equal(screen.writes, writes, "there is nothing to clear any more");
});

Deno.test("Progress never wraps, whatever the characters' width", () => {
  const screen = new FakeScreen(20);
  make(screen).at(2000, "x".repeat(100));
  assert.equal(screen.line, "x".repeat(19));
  const narrow = new FakeScreen(20);
  make(narrow).at(2000, "\u4e2d".repeat(100));
  assert.equal(narrow.line, "\u4e2d".repeat(9));
});

Deno.test("Progress writes nothing where no person looks", () => {
  const { progress, at } = make(null);
  progress.step(() => assert.fail("nobody asked"));
  at(5000, "a");
  progress.clear();
});

/** Runs `records ...` with a clock that leaps with each look. Returns what the screen was sent. */
async function runBesideScreen(
  args: readonly string[],
  { path, columns }: { readonly path: string; readonly columns: number | null },
): Promise<string> {
  const sent: string[] = [];
  const screen = { write: (text: string) => void sent.push(text), columns: () => 80 };
  const steadyClock = performance.now;
  let nowMs = 0;
  performance.now = () => nowMs += 600;
  try {
    const exitCode = await runProgram(["records", ...args], {
      terminal: {
        print: () => {},
        note: (line) => void sent.push(`${line}\n`),
        readInput: () => Promise.resolve(""),
        columns,
        isReaderGone: false,
        noteScreen: screen,
      },
      env: { OAR_DATABASE: path },
    });
    assert.equal(exitCode, 0, sent.join(""));
  } finally {
    performance.now = steadyClock;
  }
  return sent.join("");
}

test(
  "records export counts beside its file, and says nothing among lines on the screen",
  [{}, {}, {}],
  async (bench) => {
    const output = `${bench.directory}/out.jsonl`;
    const { path } = bench;
    const sent = await runBesideScreen(["export", "--format", "jsonl", "--output", output], {
      path,
      columns: 80,
    });
    const empty = `\r${" ".repeat("3 records, 1 s".length)}\r`;
    assert.equal(sent, `\r2 records, 1 s\r3 records, 1 s${empty}wrote ${output}\n`);
    assert.equal((await Deno.readTextFile(output)).trimEnd().split("\n").length, 3);
    assert.equal(await runBesideScreen(["export", "--format", "jsonl"], { path, columns: 80 }), "");
    assert.match(
      await runBesideScreen(["export", "--format", "jsonl"], { path, columns: null }),
      /3 records/,
    );
  },
);

Deno.test("the upgrade of a large database is announced, with its size", async () => {
  const lines: string[] = [];
  const note = upgradeNote("db.sqlite", (line) => void lines.push(line));
  note(49_000_000);
  assert.deepEqual(lines, []);
  note(1_234_000_000);
  assert.deepEqual(lines, ["upgrading db.sqlite (1.2 GB), copying it aside first..."]);

  const directory = await Deno.makeTempDir({ prefix: "oar-upgrade-" });
  try {
    const path = `${directory}/db.sqlite`;
    makeGoDatabase(path);
    const size = Deno.statSync(path).size;
    const announced: number[] = [];
    const onUpgrade = (bytes: number) => {
      assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["db.sqlite"]);
      announced.push(bytes);
    };
    openDatabase(path, { onUpgrade }).close();
    openDatabase(path, { onUpgrade }).close();
    assert.deepEqual(announced, [size]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
