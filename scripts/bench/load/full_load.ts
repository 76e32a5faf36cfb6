/**
 * Chooses what makes full load on this machine.
 */
import type { FullLoadGenerator } from "./load.ts";
import { autocannonProgram, runAutocannon } from "./autocannon.ts";
import { runWrk } from "./wrk.ts";

export interface LoadPrograms {
  /** Their paths; null: not installed. */
  readonly wrk: string | null;
  readonly node: string | null;
  readonly npm: string | null;
}

export interface ChosenLoad {
  readonly generate: FullLoadGenerator;
  /** For the report. */
  readonly note: string;
}

export async function chooseFullLoad({ wrk, node, npm }: LoadPrograms): Promise<ChosenLoad> {
  if (wrk !== null) return { generate: (tools, load) => runWrk(wrk, tools, load), note: "wrk, 1 thread" };
  const program = await autocannonProgram(node, npm);
  return {
    generate: (tools, load) => runAutocannon(program, tools, load),
    note: "autocannon, as wrk is not installed: mind its cores",
  };
}
