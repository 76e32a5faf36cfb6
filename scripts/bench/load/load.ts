/**
 * What load generators take and report.
 */
import type { Answered, Endpoint } from "../contenders/contender.ts";
import type { Figures } from "../measure/statistics.ts";
import type { Processes } from "../processes.ts";

export interface LoadTools {
  readonly processes: Processes;
  readonly directory: string;
  readonly core: number | null;
}

/** As many requests as possible over a number of connections, for some seconds. */
export interface FullLoad {
  readonly endpoint: Endpoint;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadReport extends Answered {
  /** Requests without a successful answer. */
  readonly errors: number;
  readonly seconds: number;
  /** Bytes received, heads included. */
  readonly bytes: number;
  /** Of the load generator. */
  readonly cpuMs: number;
  readonly figures: Figures;
}

export type FullLoadGenerator = (tools: LoadTools, load: FullLoad) => Promise<LoadReport>;
