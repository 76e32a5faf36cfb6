/**
 * `token set`, when somebody adds a token while somebody else is asked.
 */
import assert from "node:assert/strict";
import { runProgram } from "../../../src/cli/program.ts";
import type { Prompts } from "../../../src/cli/prompts.ts";

Deno.test("a token that was added after the question is not removed by its answer", async () => {
  const directory = await Deno.makeTempDir();
  const env = { OAR_DATABASE: `${directory}/db.sqlite`, NO_COLOR: "1" };
  const run = async (line: string, prompts?: Prompts) => {
    const [out, err]: [string[], string[]] = [[], []];
    const exitCode = await runProgram(line.split(" "), {
      terminal: {
        print: (text) => void out.push(text),
        note: (text) => void err.push(text),
        readInput: () => Promise.resolve(""),
        columns: null,
        isReaderGone: false,
        ...(prompts === undefined ? {} : { prompts }),
      },
      env,
    });
    return { exitCode, out, err };
  };
  try {
    await run("add --no-test --key k --endpoint https://a.example/v1");
    const ask = async () => {
      await run("token add ann");
      return "y";
    };
    const refused = await run("token set", { ask, askSecret: ask });
    assert.equal(refused.exitCode, 1);
    assert.match(
      refused.err.at(-1) ?? "",
      /somebody has added a token meanwhile; nothing was changed: repeat it$/,
    );
    assert.equal((await run("token show")).out.length, 2);
    const again = () => Promise.resolve("y");
    assert.equal((await run("token set", { ask: again, askSecret: again })).exitCode, 0);
    assert.equal((await run("token show")).out.length, 1);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
