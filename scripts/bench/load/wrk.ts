/**
 * Full load by `wrk`: as many requests as possible over a number of connections.
 */
import { PATH } from "../payloads.ts";
import { BenchError } from "../processes.ts";
import type { FullLoad, LoadReport, LoadTools } from "./load.ts";

const GRACE_MS = 30_000;

/** @param program the path of wrk */
export async function runWrk(
  program: string,
  { processes, directory, core }: LoadTools,
  load: FullLoad,
): Promise<LoadReport> {
  const script = await Deno.makeTempFile({ dir: directory, prefix: "wrk-", suffix: ".lua" });
  await Deno.writeTextFile(script, luaScript(load));
  const { stdout, cpuMs } = await processes.run({
    name: "wrk",
    command: program,
    args: [
      ...[
        "-t",
        "1",
        "-c",
        String(load.connections),
        "-d",
        `${load.seconds}s`,
        "--timeout",
        "30s",
        "-s",
        script,
      ],
      `http://127.0.0.1:${load.endpoint.port}${PATH}`,
    ],
    core,
  }, load.seconds * 1_000 + GRACE_MS);
  await Deno.remove(script);
  return toReport(stdout, cpuMs, load.connections);
}

export function toReport(stdout: string, cpuMs: number, connections: number): LoadReport {
  const line = stdout.split("\n").find((each) => each.startsWith("{"));
  if (line === undefined) throw new BenchError(`wrk printed no figures:\n${stdout}`);
  const { requests, microseconds, bytes, errors, p50, p99 }: Record<string, number> = JSON.parse(line);
  const answered = (requests ?? 0) - (errors ?? 0);
  const seconds = (microseconds ?? NaN) / 1e6;
  return {
    answered,
    errors: errors ?? 0,
    unfinished: connections,
    seconds,
    bytes: bytes ?? 0,
    cpuMs,
    figures: { perS: answered / seconds, p50Ms: (p50 ?? NaN) / 1_000, p99Ms: (p99 ?? NaN) / 1_000 },
  };
}

/** All strings are ASCII, for which JSON string literals are valid in Lua. */
function luaScript({ endpoint, body }: FullLoad): string {
  const headers = { "content-type": "application/json", ...endpoint.headers };
  return `
wrk.method = "POST"
wrk.body = ${JSON.stringify(body)}
${
    Object.entries(headers).map(([name, value]) =>
      `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`
    ).join("\n")
  }
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;
}
