/**
 * Many streams at once, each at the pace of a model: what a proxy adds to the delay of each event.
 */
import { type Bench, loadTools, type Scenario, toResults, upstreamPlace, withEndpoints } from "../bench.ts";
import type { Contender, Endpoint } from "../contenders/contender.ts";
import { runStreams } from "../load/client_process.ts";
import { withAdded } from "../measure/added.ts";
import { alternate } from "../measure/alternate.ts";
import { measuredRun } from "../measure/measured_run.ts";
import { PeakMemory } from "../measure/peak_memory.ts";
import type { Result } from "../measure/result.ts";
import type { Figures } from "../measure/statistics.ts";
import { requestBody } from "../payloads.ts";
import { BenchError } from "../processes.ts";
import { startUpstream } from "../upstreams/upstream.ts";

/** Opening more at once would measure connecting, not relaying. */
const STARTS_PER_S = 1_000;
const MAX_MEASURED_STREAMS = 200;
/**
 * A long-running program is compiled and optimised; for the code that begins a stream, that takes a thousand
 * streams.
 */
const WARM_UP = { rounds: 6, streams: 250, events: 20 };

export interface Pace {
  readonly streams: number;
  readonly eventsPerS: number;
}

export const PACES: readonly Pace[] = [
  { streams: 100, eventsPerS: 25 },
  { streams: 400, eventsPerS: 25 },
  { streams: 1_000, eventsPerS: 25 },
  { streams: 4_000, eventsPerS: 5 },
];

export function paceName({ streams, eventsPerS }: Pace): string {
  return `${streams} x ${eventsPerS}/s`;
}

/** The npm gateway gets no larger load: it falls behind, and the run would take minutes. */
const MAX_PORTKEY_STREAMS = 1_000;

export const paced: Scenario = {
  name: "paced",
  summary: "100 to 4,000 streams at once: what is added to each event's delay",
  layout: {
    scenario: "paced",
    title: "Paced streams: delay from the upstream's write of an event to the client's read of it, ms",
    columns: [
      { title: "p50", figure: "delayP50Ms", digits: 2 },
      { title: "p99", figure: "delayP99Ms", digits: 2 },
      { title: "added p50", figure: "addedDelayP50Ms", digits: 2 },
      { title: "added p99", figure: "addedDelayP99Ms", digits: 2 },
      { title: "max", figure: "delayMaxMs", digits: 0 },
      { title: "first p50", figure: "firstP50Ms", digits: 1 },
      { title: "first p99", figure: "firstP99Ms", digits: 1 },
      { title: "lost", figure: "lostEvents", digits: 0 },
      { title: "cores: proxy", figure: "proxyCores", digits: 2 },
      { title: "upstream", figure: "upstreamCores", digits: 2 },
      { title: "load", figure: "loadCores", digits: 2 },
      { title: "others", figure: "otherCores", digits: 2 },
      { title: "us/event", figure: "proxyUsPerEvent", digits: 1 },
      { title: "RSS MiB", figure: "peakRssMib", digits: 0 },
      { title: "KB/stream", figure: "kbPerStream", digits: 0 },
    ],
    ratioOf: "delayP99Ms",
    notes: [
      `delays are those of up to ${MAX_MEASURED_STREAMS} of the streams, spread over all, so that the client leaves the processor to the proxy; every byte of every stream is checked`,
      "ours/this: of p99, less is better",
      "the npm gateway is missing where streams of it failed",
      "added: less direct's of the same round; first: from the request to the first event; KB/stream: growth of the resident memory over a warmed-up process",
    ],
  },
  async run(bench: Bench) {
    const results: Result[] = [];
    for (const pace of PACES) results.push(...await measurePace(bench, pace));
    return results;
  },
};

async function measurePace(bench: Bench, pace: Pace): Promise<Result[]> {
  const contenders = bench.contenders.filter(({ name }) =>
    name !== "portkey" || pace.streams <= MAX_PORTKEY_STREAMS
  );
  bench.say(`paced, ${paceName(pace)}`);
  const seen = new Map<Contender, Endpoint>();
  const overwhelmed = new Set<Contender>();
  const measured = await alternate(contenders, bench.rounds, async (contender) => {
    if (overwhelmed.has(contender)) return {};
    try {
      const { endpoint, figures } = await measureFresh(bench, contender, pace);
      seen.set(contender, endpoint);
      return figures;
    } catch (error) {
      // Only this one may fail at this load.
      if (contender.name !== "portkey" || !(error instanceof BenchError)) throw error;
      overwhelmed.add(contender);
      bench.say(error.message);
      return {};
    }
  });
  for (const contender of overwhelmed) seen.delete(contender);
  const byEndpoint = new Map<Endpoint, Figures[]>();
  for (const [contender, rounds] of measured) {
    const endpoint = seen.get(contender);
    if (endpoint !== undefined) byEndpoint.set(endpoint, rounds);
  }
  return toResults(
    "paced",
    paceName(pace),
    withAdded(byEndpoint, ["delayP50Ms", "delayP99Ms", "firstP50Ms"]),
  );
}

/** A new process each time, so that the memory growth is that of this round. */
async function measureFresh(
  bench: Bench,
  contender: Contender,
  { streams, eventsPerS }: Pace,
): Promise<{ readonly endpoint: Endpoint; readonly figures: Figures }> {
  const periodMs = 1_000 / eventsPerS;
  const upstream = await startUpstream(upstreamPlace(bench), { kind: "paced", periodMs });
  return await withEndpoints(bench, { contenders: [contender], upstream }, async ([endpoint]) => {
    if (endpoint === undefined) throw new RangeError("no endpoint");
    const run = (count: number, events: number) => {
      const { name, port, headers } = endpoint;
      const spreadMs = Math.max(1, count / STARTS_PER_S) * 1_000;
      const body = requestBody({ bytes: 1_024, isStream: true, maxTokens: events });
      const limitMs = events * periodMs * 2 + 30_000;
      const order = {
        port,
        headers,
        body,
        streams: count,
        measured: Math.min(count, MAX_MEASURED_STREAMS),
        events,
        spreadMs,
        limitMs,
      };
      const load = () => runStreams(loadTools(bench), { name, limitMs: limitMs + spreadMs, order });
      return measuredRun({ endpoint, upstream: upstream.service, load });
    };
    for (let round = 0; round < WARM_UP.rounds; round++) await run(WARM_UP.streams, WARM_UP.events);
    const pids = endpoint.service?.pids ?? [];
    const events = eventsPerS * (bench.isQuick ? 4 : 10);
    using memory = new PeakMemory(pids);
    const figures = await run(streams, events);
    return {
      endpoint,
      figures: {
        ...figures,
        peakRssMib: memory.peakKib / 1_024,
        kbPerStream: memory.growthKib * 1.024 / streams,
        proxyUsPerEvent: (figures["proxyUs"] ?? NaN) / events,
      },
    };
  });
}
