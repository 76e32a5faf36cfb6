/**
 * One run of load against one contender, with the cost of each process and a check of the contender's
 * records.
 */
import type { Endpoint } from "../contenders/contender.ts";
import type { LoadReport } from "../load/load.ts";
import { BenchError, pause, type Service } from "../processes.ts";
import { cpuMs, machineBusyMs, rssKib } from "./proc_stat.ts";
import type { Figures } from "./statistics.ts";

/** After a run on a database with a million records, merging parts of the full-text index may take minutes. */
const SETTLE_LIMIT_MS = 300_000;
const SETTLE_STEP_MS = 200;
/** At most this much of a step: one clock tick, which housekeeping may take. */
const IDLE_CPU_MS = 10;

export interface MeasuredRun {
  readonly endpoint: Endpoint;
  readonly upstream: Service;
  readonly load: () => Promise<LoadReport>;
}

/**
 * The load's figures, and of the CPU time: `proxyUs`, `upstreamUs`, `loadUs` for each answer, `proxyCores` while the
 * load ran, and `otherCores` of processes that have nothing to do with it. Deferred work of the proxy counts
 * too: the measurement ends when it is idle (`settleMs`).
 * @throws {BenchError} when an answer was an error, or the contender's records do not agree
 */
export async function measuredRun({ endpoint, upstream, load }: MeasuredRun): Promise<Figures> {
  const proxyPids = endpoint.service?.pids ?? [];
  const upstreamPids = upstream.pids;
  const proxyBeforeMs = cpuMs(proxyPids);
  const upstreamBeforeMs = cpuMs(upstreamPids);
  const machineBeforeMs = machineBusyMs();
  const report = await load();
  const machineMs = machineBusyMs() - machineBeforeMs;
  const proxyLoadedMs = cpuMs(proxyPids) - proxyBeforeMs;
  const upstreamMs = cpuMs(upstreamPids) - upstreamBeforeMs;
  if (report.errors > 0) {
    throw new BenchError(`${endpoint.name} answered ${report.errors} requests with errors`);
  }
  if (report.answered === 0) throw new BenchError(`${endpoint.name} answered nothing`);
  const startMs = performance.now();
  await settle(endpoint, proxyPids);
  await endpoint.audit?.(report);
  const perAnswer = (ms: number) => ms * 1_000 / report.answered;
  return {
    ...report.figures,
    proxyUs: perAnswer(cpuMs(proxyPids) - proxyBeforeMs),
    upstreamUs: perAnswer(upstreamMs),
    loadUs: perAnswer(report.cpuMs),
    proxyCores: proxyLoadedMs / 1_000 / report.seconds,
    upstreamCores: upstreamMs / 1_000 / report.seconds,
    loadCores: report.cpuMs / 1_000 / report.seconds,
    // Only one of the two includes the start of the load generator, so small values mean nothing.
    otherCores: Math.max(0, machineMs - proxyLoadedMs - upstreamMs - report.cpuMs) / 1_000 / report.seconds,
    rssMib: rssKib(proxyPids) / 1_024,
    settleMs: performance.now() - startMs,
  };
}

/** Waits until nothing is left that would disturb the next measurement. */
async function settle(endpoint: Endpoint, pids: readonly number[]): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_LIMIT_MS;
  let before = cpuMs(pids);
  while (performance.now() < deadlineMs) {
    await pause(SETTLE_STEP_MS);
    const now = cpuMs(pids);
    if (now - before <= IDLE_CPU_MS && endpoint.isBehind?.() !== true) return;
    before = now;
  }
  throw new BenchError(`${endpoint.name} was still busy ${SETTLE_LIMIT_MS / 1_000} s after its run`);
}
