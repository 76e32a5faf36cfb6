/**
 * Measures openai-api-route beside other proxies: `deno task bench [scenarios] [--quick] [--json FILE]`.
 *
 * Owns the course of a run. Everything that it starts is on 127.0.0.1, bounded, and gone at the end. Needs Linux.
 */
import { CommanderError } from "commander";
import type { Bench } from "./bench.ts";
import { chooseContenders, findTools } from "./contenders/choose.ts";
import { chooseFullLoad } from "./load/full_load.ts";
import type { Result } from "./measure/result.ts";
import { medians } from "./measure/statistics.ts";
import { cacheFolder } from "./npm_cache.ts";
import { type Options, parseOptions } from "./options.ts";
import { BenchError, Processes } from "./processes.ts";
import { type Environment, environmentOf, environmentText } from "./report/environment.ts";
import { scenarioTable } from "./report/scenario_table.ts";
import { targetsTable, type Verdict, verdicts } from "./report/targets.ts";
import { big } from "./scenarios/big.ts";
import { burst } from "./scenarios/burst.ts";
import { failover } from "./scenarios/failover.ts";
import { fixedRate } from "./scenarios/fixed_rate.ts";
import { footprint } from "./scenarios/footprint.ts";
import { growth } from "./scenarios/growth.ts";
import { paced } from "./scenarios/paced.ts";
import { plain } from "./scenarios/plain.ts";

const SCENARIOS = [plain, fixedRate, burst, paced, failover, growth, big, footprint];
const ROUNDS = 5;
const QUICK_ROUNDS = 3;

async function run(options: Options, interrupt: AbortSignal): Promise<void> {
  const print = options.json === "-" ? console.error : console.log;
  const directory = await workFolder(options.directory);
  try {
    await using processes = new Processes(directory);
    interrupt.addEventListener("abort", () => void processes[Symbol.asyncDispose](), { once: true });
    const { bench, missing } = await prepare(options, processes, directory);
    const environment = await environmentOf(bench);
    print(environmentText(environment));
    for (const text of missing) print(`missing  ${text}`);
    const results: Result[] = [];
    for (const scenario of SCENARIOS) {
      if (options.scenarios.length > 0 && !options.scenarios.includes(scenario.name)) continue;
      results.push(...await scenario.run(bench));
      print(`\n${scenarioTable(scenario.layout, results)}`);
    }
    const targets = verdicts(results);
    print(`\n${targetsTable(targets)}`);
    if (options.json !== null) await writeJson(options.json, { environment, results, targets });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function prepare(
  options: Options,
  processes: Processes,
  directory: string,
): Promise<{ readonly bench: Bench; readonly missing: readonly string[] }> {
  const tools = await findTools();
  const { contenders, ours, missing } = await chooseContenders(processes, tools, options);
  const { generate, note } = await chooseFullLoad(tools);
  const upstreams = `plain upstream: ${
    tools.nginx === null ? "Deno" : "nginx, 1 worker"
  }; streams: Deno, raw sockets`;
  const bench: Bench = {
    processes,
    directory,
    proxyCore: options.pin ? 0 : null,
    otherCore: options.pin ? 1 : null,
    nginx: tools.nginx,
    contenders,
    ours,
    fullLoad: generate,
    loadNote: `${note}; fixed rate and paced streams: Deno, raw sockets; ${upstreams}`,
    rounds: options.rounds ?? (options.quick ? QUICK_ROUNDS : ROUNDS),
    isQuick: options.quick,
    say: (text) => console.error(`... ${text}`),
  };
  return { bench, missing };
}

async function writeJson(
  path: string,
  { environment, results, targets }: {
    readonly environment: Environment;
    readonly results: readonly Result[];
    readonly targets: readonly Verdict[];
  },
): Promise<void> {
  const withMedians = results.map((result) => ({ ...result, medians: medians(result.rounds) }));
  const text = JSON.stringify({ environment, results: withMedians, targets }, null, 2);
  if (path === "-") console.log(text);
  else await Deno.writeTextFile(path, text + "\n");
}

/** A folder on a real disk: writing records is part of the measurement. */
async function workFolder(wanted: string | null): Promise<string> {
  const parent = wanted ?? cacheFolder();
  await Deno.mkdir(parent, { recursive: true });
  return await Deno.makeTempDir({ dir: parent, prefix: "run-" });
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
  // Without this, an uncaught error would leave processes running.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    console.error(event.reason);
    interrupt.abort();
  });
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
