/**
 * What the completion scripts are made of: everything in the commander tree, and nothing else.
 */
import assert from "node:assert/strict";
import { Argument, Command, Option } from "commander";
import { completionScript, SHELLS } from "../../../src/cli/completion.ts";
import { runProgram } from "../../../src/cli/program.ts";

function sample(): Command {
  const program = new Command("my-tool").helpOption("-h, --help", "explain");
  const colour = new Option("--colour <name>", 'it\'s $HOME `x` "y": a colour');
  colour.argChoices = ["red", "green"];
  const size = new Argument("<size>");
  size.argChoices = ["small", "large"];
  program.command("paint").description("paint it; slowly").addOption(colour)
    .addOption(new Option("--secret-flag").hideHelp())
    .addArgument(new Argument("<what>")).addArgument(size);
  program.command("hidden", { hidden: true });
  const group = program.command("group").description("a group");
  group.command("inner").description("inside").option("--output <file>", "where to");
  return program;
}

Deno.test("completionScript() holds commands, flags and choices, and nothing that is hidden", () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, sample());
    for (const word of ["paint", "group", "inner", "colour", "red", "green", "small", "large", "output"]) {
      assert.match(script, new RegExp(`\\b${word}\\b`), `${shell}: ${word}`);
    }
    assert.doesNotMatch(script, /hidden|secret-flag/, shell);
  }
});

async function run(...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = {
    print: (line: string) => void out.push(line),
    note: (line: string) => void err.push(line),
    readInput: () => Promise.resolve(""),
    columns: null,
    isReaderGone: false,
  };
  const exitCode = await runProgram(args, { terminal, env: {} });
  return { exitCode, out: out.join("\n"), err: err.join("\n") };
}

Deno.test("completion prints a script for each shell, and refuses another in one line", async () => {
  for (const shell of SHELLS) {
    const { exitCode, out, err } = await run("completion", shell);
    assert.deepEqual([exitCode, err], [0, ""]);
    assert.match(out, /^#/);
    assert.match(out, /records/);
  }
  const refused = await run("completion", "tcsh");
  assert.deepEqual(refused, {
    exitCode: 2,
    out: "",
    err: "openai-api-route: completion knows bash, zsh, fish",
  });
  assert.equal((await run("completion")).exitCode, 2);
});

Deno.test("help names each choice once, although options carry them for the shells", async () => {
  const { out } = await run("serve", "--help");
  assert.doesNotMatch(out, /choices:/);
  assert.match(
    out,
    /--policy <name>\s+order of trial:\s+order,\s+random,\s+round_robin,\s+least_latency,\s+fastest\s+or\s+cheapest/,
  );
});
