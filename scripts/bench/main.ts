/**
 * Measures openai-api-route beside other proxies: `deno task bench [scenarios] [--quick] [--json FILE]`.
 *
 * Owns the course of a run. Everything that it starts is on 127.0.0.1, bounded, and gone at the end. Needs Linux.
 */
import { CommanderError } from "commander";
import type { Bench } from "./bench.ts";
import { direct } from "./contenders/direct.ts";
import { nginxContender } from "./contenders/nginx.ts";
import { oursContender, oursProgram } from "./contenders/ours.ts";
import { relayContender } from "./contenders/relay.ts";
import type { Contender } from "./contenders/contender.ts";
import { fullLoadGenerator } from "./load/load.ts";
import type { Result } from "./measure/result.ts";
import { type Options, parseOptions } from "./options.ts";
import { BenchError, findProgram, Processes } from "./processes.ts";
import { scenarioTable } from "./report/scenario_table.ts";
import { burst } from "./scenarios/burst.ts";
import { fixedRate } from "./scenarios/fixed_rate.ts";
import { paced } from "./scenarios/paced.ts";
import { plain } from "./scenarios/plain.ts";

const SCENARIOS = [plain, fixedRate, burst, paced];
const BUILT = new URL("../../dist/openai-api-route", import.meta.url).pathname;

async function run(options: Options, interrupt: AbortSignal): Promise<void> {
  const directory = await workFolder(options.directory);
  const print = options.json === "-" ? console.error : console.log;
  try {
    await using processes = new Processes(directory);
    interrupt.addEventListener("abort", () => void processes[Symbol.asyncDispose](), { once: true });
    const bench = await prepare(options, processes, directory);
    for (const { name, note } of bench.contenders) print(`${name.padEnd(8)} ${note}`);
    const results: Result[] = [];
    for (const scenario of SCENARIOS) {
      if (options.scenarios.length > 0 && !options.scenarios.includes(scenario.name)) continue;
      results.push(...await scenario.run(bench));
      print(`\n${scenarioTable(scenario.layout, results)}`);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function prepare(options: Options, processes: Processes, directory: string): Promise<Bench> {
  const [nginx, wrk] = await Promise.all([findProgram("nginx"), findProgram("wrk")]);
  const executable = await executableOf(options.ours);
  const ours = { program: oursProgram(executable), version: "" };
  const version = await processes.run({
    name: "version",
    command: ours.program.command,
    args: [...ours.program.args, "--version"],
  }, 30_000);
  ours.version = version.stdout.trim();
  const contenders: Contender[] = [direct];
  if (nginx !== null) contenders.push(nginxContender(nginx, "1"));
  contenders.push(relayContender(options.relay, Deno.version.deno));
  contenders.push(oursContender(ours.program, ours.version));
  return {
    processes,
    directory,
    proxyCore: options.pin ? 0 : null,
    otherCore: options.pin ? 1 : null,
    nginx,
    contenders: contenders.filter(({ name }) => options.only.includes(name)),
    ours,
    fullLoad: fullLoadGenerator(wrk),
    rounds: options.rounds ?? (options.quick ? 3 : 5),
    isQuick: options.quick,
    say: (text) => console.error(`... ${text}`),
  };
}

async function executableOf(wanted: string | null): Promise<string | null> {
  if (wanted === "source") return null;
  const path = wanted ?? BUILT;
  const isThere = await Deno.stat(path).then((info) => info.isFile, () => false);
  if (!isThere && wanted !== null) {
    throw new BenchError(`there is no executable ${path}; build it: deno task build`);
  }
  return isThere ? await Deno.realPath(path) : null;
}

/** A folder of its own on a real disk: what is measured includes writing records. */
async function workFolder(wanted: string | null): Promise<string> {
  const parent = wanted ?? cacheFolder();
  await Deno.mkdir(parent, { recursive: true });
  return await Deno.makeTempDir({ dir: parent, prefix: "run-" });
}

function cacheFolder(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${cache}/openai-api-route-bench`;
}

async function main(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args, SCENARIOS.map(({ name }) => name));
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  Deno.env.set("NO_PROXY", "127.0.0.1");
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupt.abort());
  }
  try {
    await run(options, interrupt.signal);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) console.error("bench: interrupted");
    else console.error(error instanceof BenchError ? `bench: ${error.message}` : error);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
