/**
 * A client that sends requests at a fixed rate, independent of earlier answers (open loop), as a process of
 * its own.
 *
 * Latency counts from the time when a request was due, not from when it was sent, so that a server that stalls
 * cannot hide it. Its one argument is the JSON of a `RateOrder`; it prints the JSON of a `RateFindings`.
 */
import { chatRequest } from "../http1.ts";
import { quantile } from "../measure/statistics.ts";
import { nowUs } from "../paced_events.ts";
import { KeepAlive } from "./keep_alive.ts";
import type { Pace } from "./pacer_worker.ts";

export interface RateOrder {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly expected: string;
  readonly ratePerS: number;
  /** How many requests in all. */
  readonly count: number;
}

export interface RateFindings {
  readonly answered: number;
  readonly failures: readonly string[];
  readonly seconds: number;
  readonly bytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** How late the client itself sent them. */
  readonly lagP50Us: number;
  readonly lagP99Us: number;
  readonly connections: number;
}

/** Opened before the first request is due, so that their cost is not measured. */
const FIRST_CONNECTIONS = 32;
const MAX_FAILURES = 5;

class RateClient {
  readonly #order: RateOrder;
  readonly #request: Uint8Array;
  readonly #expected: Uint8Array;
  readonly #idle: KeepAlive[] = [];
  readonly #all: KeepAlive[] = [];
  readonly #latenciesUs: number[] = [];
  readonly #lagsUs: number[] = [];
  readonly #failures: string[] = [];

  constructor(order: RateOrder) {
    this.#order = order;
    this.#request = chatRequest(order);
    this.#expected = new TextEncoder().encode(order.expected);
  }

  async run(): Promise<RateFindings> {
    for (let index = 0; index < FIRST_CONNECTIONS; index++) this.#idle.push(await this.#connect());
    const startMs = performance.now();
    const asked: Promise<void>[] = [];
    for await (const dueUs of this.#dueTimes()) asked.push(this.#ask(dueUs));
    await Promise.all(asked);
    const seconds = (performance.now() - startMs) / 1_000;
    for (const connection of this.#all) connection.close();
    return this.#findings(seconds);
  }

  /** Yields the due time of each request once it is reached. */
  async *#dueTimes(): AsyncGenerator<number> {
    const pacer = new Worker(new URL("pacer_worker.ts", import.meta.url), { type: "module" });
    const waiting: number[] = [];
    let wake = () => {};
    pacer.onmessage = ({ data }: MessageEvent<number>) => {
      waiting.push(data);
      wake();
    };
    const { ratePerS, count } = this.#order;
    pacer.postMessage({ ratePerS, count } satisfies Pace);
    for (let index = 0; index < count; index++) {
      if (waiting.length === 0) await new Promise<void>((resolve) => wake = resolve);
      yield waiting.shift() ?? NaN;
    }
    pacer.terminate();
  }

  async #ask(dueUs: number): Promise<void> {
    try {
      const connection = this.#idle.pop() ?? await this.#connect();
      this.#lagsUs.push(nowUs() - dueUs);
      await connection.ask(this.#request);
      this.#latenciesUs.push(nowUs() - dueUs);
      this.#idle.push(connection);
    } catch (error) {
      if (this.#failures.length < MAX_FAILURES) this.#failures.push(String(error));
    }
  }

  async #connect(): Promise<KeepAlive> {
    const connection = await KeepAlive.open(this.#order.port, this.#expected);
    this.#all.push(connection);
    return connection;
  }

  #findings(seconds: number): RateFindings {
    const latencies = Float64Array.from(this.#latenciesUs).sort();
    const lags = Float64Array.from(this.#lagsUs).sort();
    return {
      answered: latencies.length,
      failures: this.#failures,
      seconds,
      bytes: this.#all.reduce((sum, { bytes }) => sum + bytes, 0),
      p50Us: quantile(latencies, 0.5),
      p99Us: quantile(latencies, 0.99),
      maxUs: quantile(latencies, 1),
      lagP50Us: quantile(lags, 0.5),
      lagP99Us: quantile(lags, 0.99),
      connections: this.#all.length,
    };
  }
}

if (import.meta.main) {
  const order: RateOrder = JSON.parse(Deno.args[0] ?? "");
  console.log(JSON.stringify(await new RateClient(order).run()));
}
