/**
 * The course that all full-load scenarios share: probe, warm up, measure in turns, probe again.
 */
import { type Bench, loadTools, probe, toResults, withEndpoints } from "../bench.ts";
import type { Contender, Endpoint } from "../contenders/contender.ts";
import { alternate } from "../measure/alternate.ts";
import { measuredRun } from "../measure/measured_run.ts";
import type { Result } from "../measure/result.ts";
import type { Figures } from "../measure/statistics.ts";
import type { Upstream } from "../upstreams/upstream.ts";

/** A long-running program is compiled and optimised, which takes the first tens of thousands of requests. */
export function warmUpSeconds(bench: Bench): number {
  return bench.isQuick ? 4 : 12;
}

export interface FullLoadScenario {
  readonly scenario: string;
  readonly contenders: readonly Contender[];
  readonly upstream: Upstream;
  readonly body: string;
  readonly expected: string;
  readonly connections: readonly number[];
  /** The variant's name for a number of connections. */
  readonly nameOf: (connections: number) => string;
}

/** Warms a contender up before the measured runs. */
export async function warmUp(
  bench: Bench,
  { endpoint, upstream, body }: {
    readonly endpoint: Endpoint;
    readonly upstream: Upstream;
    readonly body: string;
  },
): Promise<void> {
  await runFullLoad(bench, { endpoint, upstream, body, connections: 64, seconds: warmUpSeconds(bench) });
}

function runFullLoad(
  bench: Bench,
  { upstream, ...order }: Parameters<Bench["fullLoad"]>[1] & { readonly upstream: Upstream },
): Promise<Figures> {
  const load = () => bench.fullLoad(loadTools(bench), order);
  return measuredRun({ endpoint: order.endpoint, upstream: upstream.service, load });
}

export async function measureFullLoad(
  bench: Bench,
  { scenario, contenders, upstream, body, expected, connections, nameOf }: FullLoadScenario,
): Promise<Result[]> {
  const seconds = bench.isQuick ? 2 : 5;
  const results: Result[] = [];
  await withEndpoints(bench, { contenders, upstream }, async (endpoints) => {
    for (const endpoint of endpoints) {
      await probe(endpoint, body, expected);
      await warmUp(bench, { endpoint, upstream, body });
    }
    for (const count of connections) {
      const variant = nameOf(count);
      bench.say(`${scenario}, ${variant}`);
      const measured = await alternate(
        endpoints,
        bench.rounds,
        (endpoint) => runFullLoad(bench, { endpoint, upstream, body, connections: count, seconds }),
      );
      results.push(...toResults(scenario, variant, measured));
    }
    for (const endpoint of endpoints) await probe(endpoint, body, expected);
  });
  return results;
}
