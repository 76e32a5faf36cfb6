/**
 * Streams whose events arrive all at once: the cost of relaying and capturing alone.
 */
import { type Bench, type Scenario, upstreamPlace } from "../bench.ts";
import type { Result } from "../measure/result.ts";
import { requestBody, streamEvents } from "../payloads.ts";
import { startUpstream } from "../upstreams/upstream.ts";
import { CPU_COLUMNS } from "./columns.ts";
import { measureFullLoad } from "./full_load.ts";

const EVENTS = 300;

export const burst: Scenario = {
  name: "burst",
  summary: "streams of 300 events in one go",
  layout: {
    scenario: "burst",
    title: `Burst: chat streams of ${EVENTS} events, written by the upstream in one go`,
    columns: [
      { title: "streams/s", figure: "perS", digits: 0 },
      { title: "p50 ms", figure: "p50Ms", digits: 2 },
      { title: "p99 ms", figure: "p99Ms", digits: 2 },
      ...CPU_COLUMNS,
    ],
    ratioOf: "perS",
    notes: [
      "one chunk: the HTTP body is a single chunk; chunk per event: each event is a chunk of its own, as servers that flush do",
    ],
  },
  async run(bench: Bench) {
    const results: Result[] = [];
    for (const isChunkPerEvent of [false, true]) {
      results.push(
        ...await measureFullLoad(bench, {
          scenario: "burst",
          contenders: bench.contenders,
          upstream: await startUpstream(upstreamPlace(bench), {
            kind: "burst",
            events: EVENTS,
            isChunkPerEvent,
          }),
          body: requestBody({ bytes: 1_024, isStream: true }),
          expected: streamEvents(EVENTS).join(""),
          connections: isChunkPerEvent ? [16] : [16, 64],
          nameOf: (connections) =>
            `${connections} connections, ${isChunkPerEvent ? "chunk per event" : "one chunk"}`,
        }),
      );
    }
    return results;
  },
};
