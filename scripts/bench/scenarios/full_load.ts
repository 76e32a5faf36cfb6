/**
 * The course that all full-load scenarios share: probe, warm up, measure in turns, probe again.
 */
import { type Bench, loadTools, probe, toResults, withEndpoints } from "../bench.ts";
import type { Contender } from "../contenders/contender.ts";
import { alternate } from "../measure/alternate.ts";
import { measuredRun } from "../measure/measured_run.ts";
import type { Result } from "../measure/result.ts";
import type { Upstream } from "../upstreams/upstream.ts";

/** What runs for months is compiled and optimised by then, which takes its first tens of thousands of requests. */
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

export async function measureFullLoad(
  bench: Bench,
  { scenario, contenders, upstream, body, expected, connections, nameOf }: FullLoadScenario,
): Promise<Result[]> {
  const seconds = bench.isQuick ? 2 : 5;
  const results: Result[] = [];
  await withEndpoints(bench, { contenders, upstream }, async (endpoints) => {
    const run = (endpoint: typeof endpoints[number], count: number, forSeconds: number) =>
      measuredRun({
        endpoint,
        upstream: upstream.service,
        load: () =>
          bench.fullLoad(loadTools(bench), { endpoint, body, connections: count, seconds: forSeconds }),
      });
    for (const endpoint of endpoints) {
      await probe(endpoint, body, expected);
      await run(endpoint, 64, warmUpSeconds(bench));
    }
    for (const count of connections) {
      const variant = nameOf(count);
      bench.say(`${scenario}, ${variant}`);
      const measured = await alternate(endpoints, bench.rounds, (endpoint) => run(endpoint, count, seconds));
      results.push(...toResults(scenario, variant, measured));
    }
    for (const endpoint of endpoints) await probe(endpoint, body, expected);
  });
  return results;
}
