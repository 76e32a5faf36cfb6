/**
 * What the benchmark needs of each thing that it compares.
 */
import type { ContenderName } from "../measure/result.ts";
import type { Processes, Service } from "../processes.ts";

/** Where a contender runs and where it sends requests. */
export interface Place {
  readonly processes: Processes;
  readonly directory: string;
  readonly upstreamPort: number;
  readonly core: number | null;
}

/** What a load generator did to a contender. */
export interface Answered {
  /** Requests with a complete, successful answer. */
  readonly answered: number;
  /** Requests that may have been on their way when the load ended. */
  readonly unfinished: number;
}

/** One that runs. */
export interface Endpoint {
  readonly name: ContenderName;
  readonly port: number;
  /** What requests need on top of the usual. */
  readonly headers: Readonly<Record<string, string>>;
  /** null: there is no process between client and upstream. */
  readonly service: Service | null;
  /** Where it keeps its records. */
  readonly database?: string;
  /** Whether work that was put off is still waiting, as far as the contender can tell. */
  isBehind?(): boolean;
  /** Checks its records of what was answered since the last time. @throws {BenchError} when they are not right */
  audit?(since: Answered): Promise<void>;
}

export interface Contender {
  readonly name: ContenderName;
  /** What it is and how it is set up, for the report. */
  readonly note: string;
  start(place: Place): Promise<Endpoint>;
}
