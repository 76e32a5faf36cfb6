/**
 * The interface of everything that the benchmark compares.
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

/** The result of one run of a load generator. */
export interface Answered {
  /** Requests that got a complete, successful answer. */
  readonly answered: number;
  /** Requests that may have been on their way when the load ended. */
  readonly unfinished: number;
}

/** A running contender. */
export interface Endpoint {
  readonly name: ContenderName;
  readonly port: number;
  /** Additional header fields of requests. */
  readonly headers: Readonly<Record<string, string>>;
  /** null: there is no process between client and upstream. */
  readonly service: Service | null;
  /** The folder of its records. */
  readonly database?: string;
  /** Whether deferred work is pending, as far as the contender can tell. */
  isBehind?(): boolean;
  /**
   * Checks its records of the requests answered since the last check. @throws {BenchError} when they are not
   * right
   */
  audit?(since: Answered): Promise<void>;
}

export interface Contender {
  readonly name: ContenderName;
  /** Name and configuration, for the report. */
  readonly note: string;
  start(place: Place): Promise<Endpoint>;
}
