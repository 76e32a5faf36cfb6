/**
 * Plain chat completions at full speed.
 */
import { type Bench, type Scenario, upstreamPlace } from "../bench.ts";
import { replyBody, requestBody } from "../payloads.ts";
import { startPlainUpstream } from "../upstreams/upstream.ts";
import { CPU_COLUMNS } from "./columns.ts";
import { measureFullLoad } from "./full_load.ts";

const REQUEST_BYTES = 1_024;
const REPLY_BYTES = 400;

export const plain: Scenario = {
  name: "plain",
  summary: "chat completions, 1 KB requests, 400 B replies, at full speed",
  layout: {
    scenario: "plain",
    title: "Plain: chat completions, 1 KB request, 400 B reply",
    columns: [
      { title: "requests/s", figure: "perS", digits: 0 },
      { title: "p50 ms", figure: "p50Ms", digits: 2 },
      { title: "p99 ms", figure: "p99Ms", digits: 2 },
      ...CPU_COLUMNS,
    ],
    ratioOf: "perS",
    notes: [],
  },
  run: async (bench: Bench) =>
    await measureFullLoad(bench, {
      scenario: "plain",
      contenders: bench.contenders,
      upstream: await startPlainUpstream(upstreamPlace(bench), REPLY_BYTES),
      body: requestBody({ bytes: REQUEST_BYTES }),
      expected: replyBody(REPLY_BYTES),
      connections: [1, 64, 256],
      nameOf: (connections) => connections === 1 ? "1 connection" : `${connections} connections`,
    }),
};
