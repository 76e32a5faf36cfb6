/**
 * Reads a client's whole request body once, into bytes that can be sent again.
 */
import { concat } from "../core/bytes.ts";
import { RouterError } from "../core/errors.ts";
import type { JsonMembers } from "../core/json_members.ts";
import type { JsonPieces } from "../core/request_fields.ts";
import type { Clock } from "../core/clock.ts";
import type { RequestBody } from "../wire/exchange.ts";
import { MessageError } from "../wire/head.ts";
import type { ReceivingAccount } from "./receiving_budget.ts";
import { Turns } from "./turns.ts";
import { type TimedRead, TimedReader } from "../wire/timed_reader.ts";

export type BodyRead =
  | {
    readonly type: "body";
    readonly bytes: Uint8Array<ArrayBuffer> | null;
    /** Found while the body was arriving; null when it arrived at once. */
    readonly members: JsonMembers | null;
  }
  /** The client left during the upload; `bytes` is what had arrived. */
  | { readonly type: "cut"; readonly bytes: Uint8Array<ArrayBuffer> };

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** How long the client may send nothing. */
  readonly clientTimeoutMs: number;
  /** The body is one that was decoded. */
  readonly isDecoded?: boolean;
}

/** What a body in several pieces needs. */
export interface Receiving {
  readonly account: ReceivingAccount;
  readonly pieces: JsonPieces;
}

/**
 * The body itself when all of it arrived with the head, as it nearly always does; else a promise of it.
 * @param receive called when it did not; the caller releases its account, unless this throws
 * @throws RouterError 413 when the body is too large, 429 when there is no memory for it, 408 when it stops coming, 400
 * when it is framed wrongly.
 */
export function readBody(
  body: RequestBody | null,
  { limits, clock, receive }: {
    readonly limits: BodyLimits;
    readonly clock: Clock;
    readonly receive: () => Receiving;
  },
): BodyRead | Promise<BodyRead> {
  if (body === null) return NO_BODY;
  if ((body.declaredBytes ?? 0) > limits.maxBodyBytes) throw tooLarge(limits);
  const reading = new BodyReading(body, limits, clock);
  return reading.take() ?? reading.read(receive());
}

const NO_BODY: BodyRead = { type: "body", bytes: null, members: null };

/** Larger bodies are joined in several turns. */
const MAX_JOINED_BYTES = 1024 * 1024; // docs/tuning.md#request-bodies

class BodyReading {
  readonly #reader: TimedReader<RequestBody>;
  readonly #limits: BodyLimits;
  readonly #turns: Turns;
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;
  #receiving: Receiving | null = null;

  constructor(body: RequestBody, limits: BodyLimits, clock: Clock) {
    this.#reader = new TimedReader(body, clock);
    this.#limits = limits;
    this.#turns = new Turns(clock);
  }

  /** Takes what has arrived; null when more must follow. */
  take(): BodyRead | null {
    for (let next = this.#reader.take(); next !== null; next = this.#reader.take()) {
      const body = this.#add(next);
      if (body !== null) return body;
    }
    return null;
  }

  async read(receiving: Receiving): Promise<BodyRead> {
    this.#receiving = receiving;
    try {
      for (const chunk of this.#chunks) this.#received(chunk);
      for (;;) {
        const read = this.#reader.take() ?? await this.#reader.read(this.#limits.clientTimeoutMs);
        if (read.type === "end") return await this.#joined();
        const body = this.#add(read);
        if (body !== null) return body;
        if (this.#turns.isOver) await this.#turns.next();
      }
    } catch (error) {
      receiving.account.release();
      throw error;
    }
  }

  #received(chunk: Uint8Array): void {
    this.#receiving?.account.take(chunk.length);
    this.#receiving?.pieces.push(chunk);
  }

  /** The whole body, joined in as many turns as needed. */
  async #joined(): Promise<BodyRead> {
    if (this.#bytes <= MAX_JOINED_BYTES) return this.#whole();
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks.splice(0)) {
      whole.set(chunk, at);
      at += chunk.length;
      if (this.#turns.isOver) await this.#turns.next();
    }
    this.#chunks.push(whole);
    return this.#whole();
  }

  #whole(): BodyRead {
    if (this.#bytes === 0) return NO_BODY;
    const [first] = this.#chunks;
    const bytes = this.#chunks.length === 1 && first !== undefined ? first : concat(this.#chunks);
    return { type: "body", bytes, members: this.#receiving?.pieces.end() ?? null };
  }

  /** The body, if this read ends it. */
  #add(read: TimedRead): BodyRead | null {
    const { maxBodyBytes, clientTimeoutMs } = this.#limits;
    switch (read.type) {
      case "chunk":
        this.#chunks.push(read.bytes);
        this.#bytes += read.bytes.length;
        if (this.#bytes > maxBodyBytes) throw tooLarge(this.#limits);
        this.#received(read.bytes);
        return null;
      case "late":
        throw stalled(clientTimeoutMs);
      case "broken":
        if (read.error instanceof MessageError) {
          throw new RouterError(400, "invalid_request", `The request body is refused: ${read.error.message}`);
        }
        return { type: "cut", bytes: concat(this.#chunks) };
      case "end":
        return this.#whole();
      default:
        return read satisfies never;
    }
  }
}

function tooLarge({ maxBodyBytes, isDecoded = false }: BodyLimits): RouterError {
  const when = isDecoded ? " after decoding" : "";
  return new RouterError(
    413,
    "request_too_large",
    `The request body is larger than ${maxBodyBytes} bytes${when}; raise --max-body or send less`,
  );
}

function stalled(limitMs: number): RouterError {
  const message = `The request body stopped coming for ${limitMs / 1000} s; send it again`;
  return new RouterError(408, "request_timeout", message);
}
