/**
 * The footprint of a contender: time to start, memory at rest and per open stream, size on disk.
 */
import {
  type Bench,
  loadTools,
  probe,
  type Scenario,
  toResults,
  upstreamPlace,
  withEndpoints,
} from "../bench.ts";
import type { Contender, Endpoint } from "../contenders/contender.ts";
import { runStreams } from "../load/client_process.ts";
import { PeakMemory } from "../measure/peak_memory.ts";
import { rssKib } from "../measure/proc_stat.ts";
import type { Result } from "../measure/result.ts";
import type { Figures } from "../measure/statistics.ts";
import { requestBody, streamEvents } from "../payloads.ts";
import { pause } from "../processes.ts";
import { startUpstream } from "../upstreams/upstream.ts";

const IDLE_MS = 2_000;
const STREAMS = 1_000;
const EVENTS = 5;
const PERIOD_MS = 1_000;
const BODY = requestBody({ bytes: 1_024, isStream: true });
const STREAM = { events: 3, isChunkPerEvent: true };

export const footprint: Scenario = {
  name: "footprint",
  summary: "time to start, memory at rest and for each open stream, size of the executable",
  layout: {
    scenario: "footprint",
    title: "Footprint",
    columns: [
      { title: "start to first answer ms", figure: "startMs", digits: 0 },
      { title: "idle RSS MiB", figure: "idleMib", digits: 0 },
      { title: `RSS MiB with ${STREAMS} streams`, figure: "streamsMib", digits: 0 },
      { title: "KB/stream", figure: "kbPerStream", digits: 0 },
      { title: "executable MB", figure: "executableMb", digits: 1 },
    ],
    ratioOf: null,
    notes: [
      `idle: ${
        IDLE_MS / 1_000
      } s after the first answer; KB/stream: growth from there with ${STREAMS} streams of one event a second, the warming-up of the process included`,
    ],
  },
  async run(bench: Bench) {
    bench.say("footprint");
    const results: Result[] = [];
    for (const contender of bench.contenders.filter(({ name }) => name !== "direct")) {
      const rounds: Figures[] = [];
      for (let round = 0; round < bench.rounds; round++) {
        rounds.push({ ...await startTime(bench, contender), ...await streamMemory(bench, contender) });
      }
      const size = contender.name === "ours" ? await executableSize(bench) : {};
      results.push(
        ...toResults("footprint", "", new Map([[contender, rounds.map((each) => ({ ...each, ...size }))]])),
      );
    }
    return results;
  },
};

async function startTime(bench: Bench, contender: Contender): Promise<Figures> {
  const upstream = await startUpstream(upstreamPlace(bench), { kind: "burst", ...STREAM });
  return await withEndpoints(bench, { contenders: [contender], upstream }, async ([endpoint]) => {
    const service = endpoint?.service;
    if (endpoint === undefined || service === null || service === undefined) {
      throw new RangeError("no process");
    }
    await probe(endpoint, BODY, streamEvents(STREAM.events).join(""));
    return { startMs: performance.now() - service.startedAtMs };
  });
}

async function streamMemory(bench: Bench, contender: Contender): Promise<Figures> {
  const upstream = await startUpstream(upstreamPlace(bench), { kind: "paced", periodMs: PERIOD_MS });
  return await withEndpoints(bench, { contenders: [contender], upstream }, async ([endpoint]) => {
    if (endpoint === undefined) throw new RangeError("no endpoint");
    await runPaced(bench, endpoint, 1);
    await pause(IDLE_MS);
    const pids = endpoint.service?.pids ?? [];
    const idleKib = rssKib(pids);
    using memory = new PeakMemory(pids);
    await runPaced(bench, endpoint, STREAMS);
    return {
      idleMib: idleKib / 1_024,
      streamsMib: memory.peakKib / 1_024,
      kbPerStream: memory.growthKib * 1.024 / STREAMS,
    };
  });
}

async function runPaced(bench: Bench, { name, port, headers }: Endpoint, streams: number): Promise<void> {
  const body = requestBody({ bytes: 1_024, isStream: true, maxTokens: EVENTS });
  const limitMs = EVENTS * PERIOD_MS * 4;
  const order = { port, headers, body, streams, measured: streams, events: EVENTS, spreadMs: 1_000, limitMs };
  await runStreams(loadTools(bench), { name, limitMs, order });
}

async function executableSize({ ours }: Bench): Promise<Figures> {
  return ours.executable === null ? {} : { executableMb: (await Deno.stat(ours.executable)).size / 1e6 };
}
