/**
 * Runs one of the project's load clients, which take a JSON argument and print a JSON result.
 */
import type { BigFindings, BigOrder } from "./big_client.ts";
import { BenchError } from "../processes.ts";
import type { LoadReport, LoadTools } from "./load.ts";
import type { RateFindings, RateOrder } from "./rate_client.ts";
import type { StreamFindings, StreamOrder } from "./stream_client.ts";

const GRACE_MS = 30_000;

interface ClientRun<Order> {
  readonly order: Order;
  /** Of the contender, for messages. */
  readonly name: string;
  readonly limitMs: number;
}

/** Paced streams; its figures are in ms. @throws {BenchError} when a stream failed or an event was lost */
export async function runStreams(tools: LoadTools, run: ClientRun<StreamOrder>): Promise<LoadReport> {
  const { findings, cpuMs } = await runClient<StreamFindings>("stream_client.ts", tools, run);
  const { streams, events } = run.order;
  if (findings.completed < streams) {
    throw new BenchError(
      `${run.name}: ${streams - findings.completed} of ${streams} streams failed: ${
        findings.failures.join("; ")
      }`,
    );
  }
  return {
    answered: streams,
    unfinished: 0,
    errors: 0,
    seconds: findings.seconds,
    bytes: findings.bytes,
    cpuMs,
    figures: {
      delayP50Ms: findings.delayP50Us / 1_000,
      delayP99Ms: findings.delayP99Us / 1_000,
      delayMaxMs: findings.delayMaxUs / 1_000,
      firstP50Ms: findings.firstP50Us / 1_000,
      firstP99Ms: findings.firstP99Us / 1_000,
      lostEvents: streams * events - findings.received,
      eventsPerS: findings.received / findings.seconds,
    },
  };
}

/** Requests at a fixed rate. @throws {BenchError} when an answer was wrong */
export async function runRate(tools: LoadTools, run: ClientRun<RateOrder>): Promise<LoadReport> {
  const { findings, cpuMs } = await runClient<RateFindings>("rate_client.ts", tools, run);
  const { count } = run.order;
  if (findings.answered < count) {
    throw new BenchError(
      `${run.name}: ${count - findings.answered} of ${count} requests failed: ${
        findings.failures.join("; ")
      }`,
    );
  }
  return {
    answered: count,
    unfinished: 0,
    errors: 0,
    seconds: findings.seconds,
    bytes: findings.bytes,
    cpuMs,
    figures: {
      perS: findings.answered / findings.seconds,
      p50Ms: findings.p50Us / 1_000,
      p99Ms: findings.p99Us / 1_000,
      maxMs: findings.maxUs / 1_000,
      lagP50Ms: findings.lagP50Us / 1_000,
      lagP99Ms: findings.lagP99Us / 1_000,
      connections: findings.connections,
    },
  };
}

/** Large bodies. @throws {BenchError} when an answer was wrong */
export async function runBig(tools: LoadTools, run: ClientRun<BigOrder>): Promise<LoadReport> {
  const { findings, cpuMs } = await runClient<BigFindings>("big_client.ts", tools, run);
  const { answered, seconds, bytes, failures } = findings;
  if (failures.length > 0) throw new BenchError(`${run.name}: ${failures.join("; ")}`);
  const megabytes = answered * Math.max(run.order.requestBytes, run.order.replyBytes) / 1e6;
  return {
    answered,
    unfinished: 0,
    errors: 0,
    seconds,
    bytes,
    cpuMs,
    figures: {
      megabytesPerS: megabytes / seconds,
      p50Ms: findings.p50Us / 1_000,
      maxMs: findings.maxUs / 1_000,
    },
  };
}

async function runClient<Findings>(
  file: string,
  { processes, core }: LoadTools,
  { order, limitMs }: ClientRun<unknown>,
): Promise<{ readonly findings: Findings; readonly cpuMs: number }> {
  const path = new URL(file, import.meta.url).pathname;
  const { stdout, cpuMs } = await processes.run({
    name: file.replace(".ts", ""),
    command: Deno.execPath(),
    args: ["run", "-A", "--no-check", "--quiet", path, JSON.stringify(order)],
    core,
  }, limitMs + GRACE_MS);
  return { findings: JSON.parse(stdout), cpuMs };
}
