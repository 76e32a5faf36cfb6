/**
 * Plain chat completions at a fixed rate: what a proxy adds to the latency.
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
import type { Endpoint } from "../contenders/contender.ts";
import { runRate } from "../load/client_process.ts";
import { withAdded } from "../measure/added.ts";
import { alternate } from "../measure/alternate.ts";
import { measuredRun } from "../measure/measured_run.ts";
import { replyBody, requestBody } from "../payloads.ts";
import { startPlainUpstream } from "../upstreams/upstream.ts";
import { CPU_COLUMNS } from "./columns.ts";
import { warmUp } from "./full_load.ts";

const RATE_PER_S = 1_000;
const EXPECTED = replyBody(400);
const BODY = requestBody({ bytes: 1_024 });

export const fixedRate: Scenario = {
  name: "rate",
  summary: "the same requests at a fixed 1,000/s: what is added to the latency",
  layout: {
    scenario: "rate",
    title: `Fixed rate: ${RATE_PER_S} plain requests a second`,
    columns: [
      { title: "p50 ms", figure: "p50Ms", digits: 3 },
      { title: "p99 ms", figure: "p99Ms", digits: 3 },
      { title: "added p50", figure: "addedP50Ms", digits: 3 },
      { title: "added p99", figure: "addedP99Ms", digits: 3 },
      { title: "client lag p50", figure: "lagP50Ms", digits: 3 },
      { title: "lag p99", figure: "lagP99Ms", digits: 3 },
      ...CPU_COLUMNS,
    ],
    ratioOf: null,
    notes: [
      "latency counts from when a request was due; added: less direct's of the same round",
      "the npm gateway is left out: this is close to, or more than, what it can take",
    ],
  },
  async run(bench: Bench) {
    const contenders = bench.contenders.filter(({ name }) => name !== "portkey");
    const upstream = await startPlainUpstream(upstreamPlace(bench), 400);
    return await withEndpoints(bench, { contenders, upstream }, async (endpoints) => {
      const run = (endpoint: Endpoint, seconds: number) => {
        const { name, port, headers } = endpoint;
        const count = RATE_PER_S * seconds;
        const order = { port, headers, body: BODY, expected: EXPECTED, ratePerS: RATE_PER_S, count };
        const load = () => runRate(loadTools(bench), { name, limitMs: seconds * 1_000, order });
        return measuredRun({ endpoint, upstream: upstream.service, load });
      };
      for (const endpoint of endpoints) {
        await probe(endpoint, BODY, EXPECTED);
        await warmUp(bench, { endpoint, upstream, body: BODY });
      }
      bench.say(`rate, ${RATE_PER_S}/s`);
      const measured = await alternate(
        endpoints,
        bench.rounds,
        (endpoint) => run(endpoint, bench.isQuick ? 3 : 10),
      );
      return toResults("rate", `${RATE_PER_S}/s`, withAdded(measured, ["p50Ms", "p99Ms"]));
    });
  },
};
