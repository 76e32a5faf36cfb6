/**
 * Large requests and large replies.
 */
import { type Bench, loadTools, type Scenario, toResults, upstreamPlace, withEndpoints } from "../bench.ts";
import type { Endpoint } from "../contenders/contender.ts";
import { runBig } from "../load/client_process.ts";
import { alternate } from "../measure/alternate.ts";
import { measuredRun } from "../measure/measured_run.ts";
import type { Result } from "../measure/result.ts";
import { startUpstream } from "../upstreams/upstream.ts";
import { CPU_COLUMNS } from "./columns.ts";

const MB = 1_000_000;
const SMALL_BYTES = 1_024;
const CONNECTIONS = 4;
const WARM_UP_SECONDS = 1;
const GRACE_MS = 60_000;

interface Shape {
  readonly variant: string;
  readonly requestBytes: number;
  readonly replyBytes: number;
}

const SHAPES: readonly Shape[] = [
  { variant: "1 MB request", requestBytes: MB, replyBytes: SMALL_BYTES },
  { variant: "1 MB reply", requestBytes: SMALL_BYTES, replyBytes: MB },
  { variant: "20 MB request", requestBytes: 20 * MB, replyBytes: SMALL_BYTES },
  { variant: "20 MB reply", requestBytes: SMALL_BYTES, replyBytes: 20 * MB },
];

export const big: Scenario = {
  name: "big",
  summary: "requests and replies of 1 MB and 20 MB",
  layout: {
    scenario: "big",
    title: `Big: large requests and replies, ${CONNECTIONS} connections`,
    columns: [
      { title: "MB/s", figure: "megabytesPerS", digits: 0 },
      { title: "p50 ms", figure: "p50Ms", digits: 1 },
      { title: "max ms", figure: "maxMs", digits: 0 },
      ...CPU_COLUMNS,
    ],
    ratioOf: "megabytesPerS",
    notes: ["ours records requests up to 1 MiB whole, and describes larger ones"],
  },
  async run(bench: Bench) {
    const results: Result[] = [];
    for (const shape of SHAPES) results.push(...await measureShape(bench, shape));
    return results;
  },
};

async function measureShape(bench: Bench, { variant, requestBytes, replyBytes }: Shape): Promise<Result[]> {
  bench.say(`big, ${variant}`);
  const upstream = await startUpstream(upstreamPlace(bench), { kind: "plain", replyBytes });
  return await withEndpoints(bench, { contenders: bench.contenders, upstream }, async (endpoints) => {
    const run = (endpoint: Endpoint, seconds: number) => {
      const { name, port, headers } = endpoint;
      const order = { port, headers, requestBytes, replyBytes, connections: CONNECTIONS, seconds };
      const load = () => runBig(loadTools(bench), { name, limitMs: seconds * 1_000 + GRACE_MS, order });
      return measuredRun({ endpoint, upstream: upstream.service, load });
    };
    for (const endpoint of endpoints) await run(endpoint, WARM_UP_SECONDS);
    const measured = await alternate(
      endpoints,
      bench.rounds,
      (endpoint) => run(endpoint, bench.isQuick ? 1 : 4),
    );
    return toResults("big", variant, measured);
  });
}
