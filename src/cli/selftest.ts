/**
 * `selftest`: proves that this installation works, without a key and without touching its database.
 *
 * Owns what is printed; selftest/run.ts owns the cases' execution.
 */
import { CommandError } from "./errors.ts";
import type { Command } from "commander";
import type { CommandContext } from "./context.ts";
import { formatJson, formatTable } from "./output.ts";
import type { Result } from "./selftest/cases.ts";
import type { Tried } from "./selftest/run.ts";
import { versionText } from "../config/version.ts";

interface SelftestFlags {
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function defineSelftestCommand(program: Command, context: CommandContext): void {
  program.command("selftest")
    .description("check in seconds, without a key, that failover and recording work on this machine")
    .option("--json", "print JSON")
    .helpGroup("Server:")
    .action((flags: SelftestFlags) => selftest(context, flags));
}

/** @throws CommandError when a case did not end as expected */
async function selftest({ terminal }: CommandContext, flags: SelftestFlags): Promise<void> {
  const startedAt = performance.now();
  // The other commands start faster without the server.
  const { runSelftest } = await import("./selftest/run.ts");
  const tried = await runSelftest();
  const ms = Math.round(performance.now() - startedAt);
  const failed = tried.filter(({ isOk }) => !isOk);
  if (flags.json) {
    terminal.print(formatJson({ ok: failed.length === 0, ms, cases: tried.map(toJson) }));
  } else {
    const columns = [
      { title: "RESULT", cell: ({ isOk }: Tried) => isOk ? "ok" : "FAILED" },
      { title: "TRIED", cell: ({ name }: Tried) => name },
      { title: "EXPECTED", cell: ({ expected }: Tried) => describe(expected), isFlexible: true },
      { title: "HAPPENED", cell: happenedText, isFlexible: true },
      { title: "MS", cell: ({ ms }: Tried) => String(ms) },
    ];
    formatTable(tried, { columns, width: terminal.columns }).forEach(terminal.print);
  }
  if (failed.length > 0) {
    throw new CommandError(
      `${failed.length} of ${tried.length} did not go as expected, on ${versionText()}; ` +
        "where HTTP_PROXY is set, NO_PROXY must name 127.0.0.1",
    );
  }
  if (!flags.json) terminal.print(`all ${tried.length} as expected, in ${(ms / 1000).toFixed(1)} s`);
}

function toJson({ name, isOk, ...rest }: Tried): Record<string, unknown> {
  return { name, ok: isOk, ...rest };
}

function happenedText({ isOk, happened, error }: Tried): string {
  if (isOk) return "the same";
  return describe(happened) + (error === null ? "" : ` (${error})`);
}

function describe({ status, attempts, outcome, reply }: Result): string {
  const tries = attempts.length === 0 ? "no attempt" : attempts.join(" > ");
  return `${status ?? "no answer"}, ${tries}, ${outcome ?? "not recorded"}, ${reply}`;
}
