/**
 * Runs the command line; nothing else.
 */
import { processTerminal } from "./src/cli/output.ts";
import { processEnvironment, runProgram } from "./src/cli/program.ts";

Deno.exit(await runProgram(Deno.args, { terminal: processTerminal(), env: processEnvironment() }));
