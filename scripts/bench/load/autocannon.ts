/**
 * Full load by `autocannon` from npm, for machines without `wrk`; runs on Node when available, where it is
 * faster.
 */
import { installedPackage } from "../npm_cache.ts";
import { PATH } from "../payloads.ts";
import type { FullLoad, LoadReport, LoadTools } from "./load.ts";

const PACKAGE = { name: "autocannon", version: "8.0.0" };
const GRACE_MS = 60_000;

/** How to start it. */
export interface AutocannonProgram {
  readonly command: string;
  readonly args: readonly string[];
}

export async function autocannonProgram(node: string | null, npm: string | null): Promise<AutocannonProgram> {
  if (node === null || npm === null) {
    return {
      command: Deno.execPath(),
      args: ["run", "-A", "--quiet", "--no-lock", `npm:${PACKAGE.name}@${PACKAGE.version}`],
    };
  }
  return { command: node, args: [`${await installedPackage(npm, PACKAGE)}/autocannon.js`] };
}

export async function runAutocannon(
  program: AutocannonProgram,
  { processes, core }: LoadTools,
  { endpoint, body, connections, seconds }: FullLoad,
): Promise<LoadReport> {
  const headers = { "content-type": "application/json", ...endpoint.headers };
  const { stdout, cpuMs } = await processes.run({
    name: PACKAGE.name,
    command: program.command,
    args: [
      ...program.args,
      ...["--json", "-m", "POST", "-c", String(connections), "-d", String(Math.ceil(seconds)), "-t", "30"],
      ...Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}=${value}`]),
      ...["-b", body, `http://127.0.0.1:${endpoint.port}${PATH}`],
    ],
    core,
  }, seconds * 1_000 + GRACE_MS);
  return autocannonReport(stdout, cpuMs, connections);
}

interface AutocannonResult {
  readonly "2xx": number;
  readonly non2xx: number;
  readonly errors: number;
  readonly timeouts: number;
  /** Seconds. */
  readonly duration: number;
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly throughput: { readonly total: number };
}

export function autocannonReport(stdout: string, cpuMs: number, connections: number): LoadReport {
  const result: AutocannonResult = JSON.parse(stdout);
  const answered = result["2xx"];
  return {
    answered,
    errors: result.non2xx + result.errors + result.timeouts,
    unfinished: connections,
    seconds: result.duration,
    bytes: result.throughput.total,
    cpuMs,
    figures: { perS: answered / result.duration, p50Ms: result.latency.p50, p99Ms: result.latency.p99 },
  };
}
