/**
 * Runs the command line; nothing else.
 */
import process from "node:process";
import { processTerminal } from "./src/cli/output.ts";
import { processEnvironment, runProgram } from "./src/cli/program.ts";

const env = processEnvironment();
if (Deno.build.standalone) {
  // Nothing else in the process needs the environment, except libraries that ask whether to colour their output.
  const { NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE } = process.env;
  process.env = { NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE };
  Deno.permissions.revokeSync({ name: "env" });
}
Deno.exit(await runProgram(Deno.args, { terminal: processTerminal(), env }));
