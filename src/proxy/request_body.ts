/**
 * Reads a client's request body once, whole, into bytes that can be sent again.
 */
import { concat } from "../core/bytes.ts";
import { RouterError } from "../core/errors.ts";
import type { Clock } from "../core/types.ts";
import type { RequestBody } from "../wire/exchange.ts";
import { MessageError } from "../wire/head.ts";
import { type TimedRead, TimedReader } from "./timed_reader.ts";

export type BodyRead =
  | { readonly type: "body"; readonly bytes: Uint8Array<ArrayBuffer> | null }
  /** The client left while it was sending; what had arrived. */
  | { readonly type: "cut"; readonly bytes: Uint8Array<ArrayBuffer> };

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** How long the client may send nothing. */
  readonly clientTimeoutMs: number;
}

/**
 * The body at once when all of it has come with the head, as nearly always; else a promise of it.
 * @throws RouterError 413 when the body is too large, 408 when it stops coming, 400 when it is framed wrongly.
 */
export function readBody(
  body: RequestBody | null,
  limits: BodyLimits,
  clock: Clock,
): BodyRead | Promise<BodyRead> {
  if (body === null) return { type: "body", bytes: null };
  if ((body.declaredBytes ?? 0) > limits.maxBodyBytes) throw tooLarge(limits.maxBodyBytes);
  const reading = new BodyReading(body, limits, clock);
  return reading.take() ?? reading.read();
}

class BodyReading {
  readonly #reader: TimedReader<RequestBody>;
  readonly #limits: BodyLimits;
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  constructor(body: RequestBody, limits: BodyLimits, clock: Clock) {
    this.#reader = new TimedReader(body, clock);
    this.#limits = limits;
  }

  /** Takes what has come; null when that is not all. */
  take(): BodyRead | null {
    for (let next = this.#reader.take(); next !== null; next = this.#reader.take()) {
      const body = this.#add(next);
      if (body !== null) return body;
    }
    return null;
  }

  async read(): Promise<BodyRead> {
    for (;;) {
      const body = this.#add(await this.#reader.read(this.#limits.clientTimeoutMs)) ?? this.take();
      if (body !== null) return body;
    }
  }

  /** The body, if this is its end. */
  #add(read: TimedRead): BodyRead | null {
    const { maxBodyBytes, clientTimeoutMs } = this.#limits;
    switch (read.type) {
      case "chunk":
        this.#chunks.push(read.bytes);
        this.#bytes += read.bytes.length;
        if (this.#bytes > maxBodyBytes) throw tooLarge(maxBodyBytes);
        return null;
      case "late":
        throw stalled(clientTimeoutMs);
      case "broken":
        if (read.error instanceof MessageError) {
          throw new RouterError(400, "invalid_request", `The request body is refused: ${read.error.message}`);
        }
        return { type: "cut", bytes: concat(this.#chunks) };
      case "end": {
        const [first] = this.#chunks;
        const whole = this.#chunks.length === 1 && first !== undefined ? first : concat(this.#chunks);
        return { type: "body", bytes: this.#bytes === 0 ? null : whole };
      }
      default:
        return read satisfies never;
    }
  }
}

function tooLarge(maxBytes: number): RouterError {
  return new RouterError(
    413,
    "request_too_large",
    `The request body is larger than ${maxBytes} bytes; raise --max-body or send less`,
  );
}

function stalled(limitMs: number): RouterError {
  const message = `The request body stopped coming for ${limitMs / 1000} s; send it again`;
  return new RouterError(408, "request_timeout", message);
}
