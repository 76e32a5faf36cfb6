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

/** As many requests as a number of connections takes, for some seconds. */
export interface FullLoad {
  readonly endpoint: Endpoint;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadReport extends Answered {
  /** Answers that were none, or not a success. */
  readonly errors: number;
  readonly seconds: number;
  /** Received, heads included. */
  readonly bytes: number;
  /** Of the load generator. */
  readonly cpuMs: number;
  readonly figures: Figures;
}

export type FullLoadGenerator = (tools: LoadTools, load: FullLoad) => Promise<LoadReport>;
