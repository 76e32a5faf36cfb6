/**
 * A client of many paced streams as a process of its own: checks every byte, and measures the delay of events.
 *
 * It must not use the processor that the proxy needs. So it reads only the measured streams at once, and the
 * others now and then. A proxy does not see the difference: the kernel takes the bytes either way. Its one
 * argument is the JSON of a `StreamOrder`; it prints the JSON of a `StreamFindings`.
 */
import { chatRequest, MessageReader, writeAll } from "../http1.ts";
import { quantile } from "../measure/statistics.ts";
import { EVENT_TEMPLATE, nowUs, readEvent, STREAM_END } from "../paced_events.ts";

export interface StreamOrder {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly streams: number;
  /** Number of measured streams, spread evenly over all. */
  readonly measured: number;
  /** Of each stream. */
  readonly events: number;
  /** The starts are spread evenly over this time. */
  readonly spreadMs: number;
  /** Time limit of a stream. */
  readonly limitMs: number;
}

export interface StreamFindings {
  readonly completed: number;
  /** The first few failures. */
  readonly failures: readonly string[];
  /** Events received. */
  readonly received: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly delayP50Us: number;
  readonly delayP99Us: number;
  readonly delayMaxUs: number;
  /** From the request to the first event. */
  readonly firstP50Us: number;
  readonly firstP99Us: number;
}

const READ_BYTES = 16_384;
/** Far below the size of a socket buffer. */
const UNMEASURED_READ_MS = 400;
const MAX_FAILURES = 5;

class StreamClient {
  readonly #order: StreamOrder;
  readonly #request: Uint8Array;
  readonly #delaysUs: Float64Array;
  readonly #firstUs: number[] = [];
  readonly #failures: string[] = [];
  #received = 0;
  #timed = 0;
  #completed = 0;
  #bytes = 0;

  constructor(order: StreamOrder) {
    this.#order = order;
    this.#request = chatRequest(order);
    this.#delaysUs = new Float64Array(order.measured * order.events);
  }

  async run(): Promise<StreamFindings> {
    const { streams, measured, spreadMs } = this.#order;
    const startMs = performance.now();
    const running: Promise<void>[] = [];
    for (let index = 0; index < streams; index++) {
      const waitMs = startMs + index * spreadMs / streams - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      const isMeasured =
        Math.floor(index * measured / streams) !== Math.floor((index + 1) * measured / streams);
      running.push(this.#runStream(isMeasured));
    }
    await Promise.all(running);
    return this.#findings((performance.now() - startMs) / 1_000);
  }

  async #runStream(isMeasured: boolean): Promise<void> {
    let connection: Deno.TcpConn | null = null;
    let limit: ReturnType<typeof setTimeout> | undefined;
    try {
      connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#order.port });
      const opened = connection;
      limit = setTimeout(() => opened.close(), this.#order.limitMs);
      opened.setNoDelay();
      await this.#readStream(opened, isMeasured);
      this.#completed++;
    } catch (error) {
      if (this.#failures.length < MAX_FAILURES) this.#failures.push(String(error));
    } finally {
      clearTimeout(limit);
      try {
        connection?.close();
      } catch {
        // Closed by the time limit.
      }
    }
  }

  async #readStream(connection: Deno.TcpConn, isMeasured: boolean): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    const startUs = nowUs();
    let arrivedUs = 0;
    const body = new EventReader(this.#order.events, (number, sentUs) => {
      this.#received++;
      if (!isMeasured) return;
      if (number === 0) this.#firstUs.push(arrivedUs - startUs);
      this.#delaysUs[this.#timed++] = arrivedUs - sentUs;
    });
    const reader = new MessageReader((part) => body.push(part));
    await writeAll(connection, this.#request);
    for (;;) {
      if (!isMeasured) await new Promise((resolve) => setTimeout(resolve, UNMEASURED_READ_MS));
      const count = await connection.read(buffer);
      arrivedUs = nowUs();
      if (count === null) throw new Error("the connection was closed early");
      this.#bytes += count;
      if (reader.push(buffer.subarray(0, count))) break;
    }
    if (reader.status !== 200) throw new Error(`status ${reader.status}`);
    body.checkEnd();
  }

  #findings(seconds: number): StreamFindings {
    const delays = this.#delaysUs.subarray(0, this.#timed).sort();
    const firsts = Float64Array.from(this.#firstUs).sort();
    return {
      completed: this.#completed,
      failures: this.#failures,
      received: this.#received,
      seconds,
      bytes: this.#bytes,
      delayP50Us: quantile(delays, 0.5),
      delayP99Us: quantile(delays, 0.99),
      delayMaxUs: quantile(delays, 1),
      firstP50Us: quantile(firsts, 0.5),
      firstP99Us: quantile(firsts, 0.99),
    };
  }
}

/** Cuts a body into its events, which all have the same length, and checks what follows them. */
class EventReader {
  readonly #events: number;
  readonly #onEvent: (number: number, sentUs: number) => void;
  readonly #partial = new Uint8Array(Math.max(EVENT_TEMPLATE.length, STREAM_END.length));
  #filled = 0;
  #count = 0;

  constructor(events: number, onEvent: (number: number, sentUs: number) => void) {
    this.#events = events;
    this.#onEvent = onEvent;
  }

  push(part: Uint8Array): void {
    let at = 0;
    while (at < part.length) {
      const isEvent = this.#count < this.#events;
      const wanted = isEvent ? EVENT_TEMPLATE.length : STREAM_END.length;
      const taken = Math.min(wanted - this.#filled, part.length - at);
      if (taken === 0) throw new Error("bytes after the end of the stream");
      this.#partial.set(part.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (!isEvent || this.#filled < wanted) continue;
      this.#filled = 0;
      const number = this.#count++;
      this.#onEvent(number, readEvent(this.#partial, number));
    }
  }

  checkEnd(): void {
    if (this.#count < this.#events) throw new Error(`only ${this.#count} of ${this.#events} events came`);
    if (this.#filled < STREAM_END.length || STREAM_END.some((byte, at) => byte !== this.#partial[at])) {
      throw new Error("the end of the stream is not what was sent");
    }
  }
}

if (import.meta.main) {
  const order: StreamOrder = JSON.parse(Deno.args[0] ?? "");
  console.log(JSON.stringify(await new StreamClient(order).run()));
}
