/**
 * `store copy` where no database is needed: what is typed wrong.
 */
import assert from "node:assert/strict";
import { runProgram } from "../../../src/cli/program.ts";

const PG = "postgres://app:HIDEME@db.example/oar";

const WRONG: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [[], /store copy needs --from: store copy --from db\.sqlite --to postgres:/],
  [["--from", "a.sqlite"], /store copy needs --to/],
  [["--from", " ", "--to", PG], /store copy needs --from/],
  [["--from", "a.sqlite", "--to", "b.sqlite"], /both files: copy with `backup`/],
  [["--from", PG, "--to", PG], /both PostgreSQL: copy with pg_dump/],
  [
    ["--from", "a.sqlite", "--to", "mysql://app:HIDEME@db.example/oar"],
    /--to must be the path of a SQLite file/,
  ],
  [["--from", "http://app:HIDEME@db.example", "--to", PG], /--from must be the path of a SQLite file/],
  [["--from", "a.sqlite", "--to", "postgres:/app:HIDEME@db.example/oar"], /must begin with postgres:/],
  [["--from", "a.sqlite", "--to", `${PG}?unknown=HIDEME`], /the parameter unknown is not known/],
  [["--from", "a.sqlite", "--to", "postgres://app:HID@EME@db.example/oar"], /must be escaped/],
  [["--form", "a.sqlite", "--to", PG], /unknown flag --form/],
];

Deno.test("store copy says what is wrong with its places, and shows no secret", async () => {
  for (const [args, message] of WRONG) {
    const err: string[] = [];
    const exitCode = await runProgram(["store", "copy", ...args], {
      terminal: {
        print: (line) => assert.fail(line),
        note: (line) => void err.push(line),
        readInput: () => Promise.resolve(""),
        columns: null,
        isReaderGone: false,
      },
      env: { NO_COLOR: "1" },
    });
    const [line = "", ...more] = err;
    assert.equal(exitCode, 2, line);
    assert.match(line, message);
    assert.deepEqual(more, []);
    assert.doesNotMatch(line, /HID|EME/);
  }
});
