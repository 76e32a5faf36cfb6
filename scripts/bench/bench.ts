/**
 * What all scenarios share: the tools of this machine, the contenders, and how long to measure.
 */
import type { Contender, Endpoint } from "./contenders/contender.ts";
import type { OursBuild } from "./contenders/choose.ts";
import type { FullLoadGenerator, LoadTools } from "./load/load.ts";
import type { ContenderName, Layout, Result } from "./measure/result.ts";
import { PATH } from "./payloads.ts";
import { BenchError, type Processes } from "./processes.ts";
import type { Upstream, UpstreamPlace } from "./upstreams/upstream.ts";

export interface Bench {
  readonly processes: Processes;
  readonly directory: string;
  /** Cores of the proxy, and of the upstream and the load generator; null: any. */
  readonly proxyCore: number | null;
  readonly otherCore: number | null;
  readonly nginx: string | null;
  readonly contenders: readonly Contender[];
  readonly ours: OursBuild;
  readonly fullLoad: FullLoadGenerator;
  /** Names of the load generator and the upstream, for the report. */
  readonly loadNote: string;
  readonly rounds: number;
  readonly isQuick: boolean;
  /** Reports progress to the user. */
  readonly say: (text: string) => void;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly layout: Layout;
  readonly run: (bench: Bench) => Promise<Result[]>;
}

export function loadTools({ processes, directory, otherCore }: Bench): LoadTools {
  return { processes, directory, core: otherCore };
}

export function upstreamPlace({ processes, directory, otherCore, nginx }: Bench): UpstreamPlace {
  return { processes, directory, core: otherCore, nginx };
}

/** Starts contenders in front of an upstream, hands them over, and stops all of them. */
export async function withEndpoints<T>(
  bench: Bench,
  { contenders, upstream }: { readonly contenders: readonly Contender[]; readonly upstream: Upstream },
  use: (endpoints: readonly Endpoint[]) => Promise<T>,
): Promise<T> {
  const { processes, directory, proxyCore } = bench;
  const endpoints: Endpoint[] = [];
  try {
    for (const contender of contenders) {
      endpoints.push(
        await contender.start({ processes, directory, upstreamPort: upstream.port, core: proxyCore }),
      );
    }
    return await use(endpoints);
  } finally {
    for (const { service } of endpoints) if (service !== null) await processes.stop(service);
    await processes.stop(upstream.service);
  }
}

/**
 * Sends one request and compares every byte of the answer. @throws {BenchError} when the answer is not the
 * expected one
 */
export async function probe(endpoint: Endpoint, body: string, expected: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${endpoint.port}${PATH}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...endpoint.headers },
    body,
  });
  const text = await response.text();
  if (response.status !== 200) {
    throw new BenchError(`${endpoint.name} answered ${response.status}: ${text.slice(0, 300)}`);
  }
  if (text !== expected) {
    throw new BenchError(`${endpoint.name} answered wrong bytes: ${text.slice(0, 300)}`);
  }
  await endpoint.audit?.({ answered: 1, unfinished: 0 });
}

export function toResults(
  scenario: string,
  variant: string,
  measured: ReadonlyMap<Pick<Endpoint, "name">, Result["rounds"]>,
): Result[] {
  return [...measured].map(([{ name }, rounds]) => ({ scenario, variant, contender: name, rounds }));
}

export function named(contenders: readonly Contender[], ...names: readonly ContenderName[]): Contender[] {
  return contenders.filter(({ name }) => names.includes(name));
}
