/**
 * Runs the command line; nothing else.
 */
import { processTerminal } from "./src/cli/output.ts";
import { processEnvironment, runProgram } from "./src/cli/program.ts";

const env = processEnvironment();
// Nothing else in the process has to know the environment.
if (Deno.build.standalone) Deno.permissions.revokeSync({ name: "env" });
Deno.exit(await runProgram(Deno.args, { terminal: processTerminal(), env }));
