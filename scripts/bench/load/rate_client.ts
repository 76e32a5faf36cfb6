/**
 * A client that sends requests at a fixed rate, whatever happens to earlier ones, as a process of its own.
 *
 * Latency counts from the time when a request was due, not from when it was sent, so that a server that stalls
 * cannot hide it. Its one argument is the JSON of a `RateOrder`; it prints the JSON of a `RateFindings`.
 */
import { chatRequest, MessageReader, writeAll } from "../http1.ts";
import { quantile } from "../measure/statistics.ts";
import { nowUs } from "../paced_events.ts";
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
  /** How late the client itself was with sending. */
  readonly lagP50Us: number;
  readonly lagP99Us: number;
  readonly connections: number;
}

/** Opened before the first request is due, so that their cost is not measured. */
const FIRST_CONNECTIONS = 32;
const READ_BYTES = 4_096;
const MAX_FAILURES = 5;

class Connection {
  readonly #connection: Deno.TcpConn;
  readonly #buffer = new Uint8Array(READ_BYTES);
  readonly #reader: MessageReader;
  readonly #expected: Uint8Array;
  #at = 0;
  #isWrong = false;
  bytes = 0;

  constructor(connection: Deno.TcpConn, expected: Uint8Array) {
    connection.setNoDelay();
    this.#connection = connection;
    this.#expected = expected;
    this.#reader = new MessageReader((part) => {
      for (const byte of part) if (byte !== this.#expected[this.#at++]) this.#isWrong = true;
    });
  }

  async ask(request: Uint8Array): Promise<void> {
    this.#reader.reset();
    this.#at = 0;
    await writeAll(this.#connection, request);
    for (;;) {
      const count = await this.#connection.read(this.#buffer);
      if (count === null) throw new Error("the connection was closed early");
      this.bytes += count;
      if (this.#reader.push(this.#buffer.subarray(0, count))) break;
    }
    if (this.#reader.status !== 200) throw new Error(`status ${this.#reader.status}`);
    if (this.#isWrong || this.#at !== this.#expected.length) throw new Error("wrong bytes in an answer");
  }

  close(): void {
    this.#connection.close();
  }
}

class RateClient {
  readonly #order: RateOrder;
  readonly #request: Uint8Array;
  readonly #expected: Uint8Array;
  readonly #idle: Connection[] = [];
  readonly #all: Connection[] = [];
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

  /** Each time at which a request is due, when it has come. */
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

  async #connect(): Promise<Connection> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#order.port });
    const opened = new Connection(connection, this.#expected);
    this.#all.push(opened);
    return opened;
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
