/**
 * The event-stream parser: a pure push parser to the WHATWG rules.
 *
 * Owns line splitting, fields and event boundaries, with the byte offset of each. It knows nothing of JSON
 * or of any API, does no I/O, keeps no reference to a chunk, and takes time linear in the bytes however
 * they are cut. Memory is bounded by `limitBytes` per event.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
import { ByteBuffer } from "./bytes.ts";

/** Limit on the bytes of one event's fields; the data of a larger event is dropped. */
const DEFAULT_EVENT_LIMIT_BYTES = 4 * 1024 * 1024;

/** One block of fields. The standard dispatches it only when `hasData` and `isTerminated`. */
export interface StreamEvent {
  /** Value of the `event` field; empty when there is none (the standard's type is then `message`). */
  readonly name: string;
  /** Values of the `data` fields, joined by line feeds; empty when oversized. */
  readonly data: string;
  readonly hasData: boolean;
  /** Last valid `id` of the stream so far; empty when none. */
  readonly lastEventId: string;
  /** Offset in the stream of the block's first field line; comments and blank lines before it are outside. */
  readonly startByte: number;
  /** False for the rest of a stream that ended before the blank line; the standard discards it. */
  readonly isTerminated: boolean;
  /** The event exceeded the limit; its data was dropped. */
  readonly isOversized: boolean;
}

export interface EventStreamParserOptions {
  /** Called at each boundary; must not throw. */
  readonly onEvent: (event: StreamEvent) => void;
  /** Called for each valid `retry` field, in milliseconds. */
  readonly onRetry?: (retryMs: number) => void;
  /** Default {@link DEFAULT_EVENT_LIMIT_BYTES}. */
  readonly limitBytes?: number;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const BOM = new Uint8Array([0xef, 0xbb, 0xbf]);

export class EventStreamParser {
  readonly #onEvent: (event: StreamEvent) => void;
  readonly #onRetry: ((retryMs: number) => void) | undefined;
  readonly #limitBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** Offset of the next chunk's first byte. */
  #offset = 0;
  #bomMatched = 0;
  #isBomSettled = false;
  #isAfterCr = false;
  /** What was settled before the line that this carriage return has ended. */
  #settledBeforeCr = 0;

  /** Offset of the line being read. */
  #lineStart = 0;
  /** The start of a line that continues in the next chunk. */
  readonly #line: ByteBuffer;
  /** Length of that line so far, kept or not. */
  #lineBytes = 0;

  /** Offset of the open block's first field line; -1 when no block is open. */
  #blockStart = -1;
  #blockBytes = 0;
  #isOversized = false;
  #name = "";
  #data = "";
  #hasData = false;
  #lastEventId = "";

  constructor(options: EventStreamParserOptions) {
    this.#onEvent = options.onEvent;
    this.#onRetry = options.onRetry;
    this.#limitBytes = options.limitBytes ?? DEFAULT_EVENT_LIMIT_BYTES;
    this.#line = new ByteBuffer(this.#limitBytes);
  }

  /**
   * Length of the longest prefix of whole lines that ends outside of any open block. A line feed that may follow belongs to
   * its line, so that nothing is ever inserted between the two.
   */
  get settledBytes(): number {
    return this.#isAfterCr ? this.#settledBeforeCr : this.#settledLines();
  }

  /** The next byte begins a line, outside of any event. */
  get isBetweenEvents(): boolean {
    return this.#blockStart === -1 && this.#lineBytes === 0 && this.#isBomSettled && !this.#isAfterCr;
  }

  push(chunk: Uint8Array): void {
    let at = this.#isBomSettled ? 0 : this.#skipBom(chunk);
    if (this.#isAfterCr && at < chunk.length) {
      this.#isAfterCr = false;
      if (chunk[at] === LF) {
        at++;
        this.#lineStart++;
      }
    }
    let lf = chunk.indexOf(LF, at);
    let cr = chunk.indexOf(CR, at);
    while (lf !== -1 || cr !== -1) {
      const end = lf === -1 || (cr !== -1 && cr < lf) ? cr : lf;
      let next = end + 1;
      if (end === cr) {
        if (next === chunk.length) {
          this.#settledBeforeCr = this.#settledLines();
          this.#isAfterCr = true;
        } else if (chunk[next] === LF) next++;
      }
      this.#endLine(chunk.subarray(at, end));
      at = next;
      this.#lineStart = this.#offset + at;
      if (lf !== -1 && lf < at) lf = chunk.indexOf(LF, at);
      if (cr !== -1 && cr < at) cr = chunk.indexOf(CR, at);
    }
    if (at < chunk.length) this.#holdLine(at === 0 ? chunk : chunk.subarray(at));
    this.#offset += chunk.length;
  }

  #settledLines(): number {
    return this.#blockStart === -1 ? this.#lineStart : this.#blockStart;
  }

  /** Ends the stream; an unfinished event is emitted with `isTerminated` false. */
  end(): void {
    if (!this.#isBomSettled) this.#settleBom();
    if (this.#lineBytes > 0) this.#endLine(new Uint8Array(0));
    if (this.#blockStart !== -1) this.#dispatch(false);
  }

  /** Index of the first byte of `chunk` that is not part of a leading byte order mark. */
  #skipBom(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#bomMatched < BOM.length && chunk[at] === BOM[this.#bomMatched]) {
      at++;
      this.#bomMatched++;
    }
    if (at < chunk.length || this.#bomMatched === BOM.length) this.#settleBom();
    return at;
  }

  #settleBom(): void {
    this.#isBomSettled = true;
    if (this.#bomMatched > 0 && this.#bomMatched < BOM.length) {
      this.#holdLine(BOM.subarray(0, this.#bomMatched));
    }
  }

  /** Keeps the start of an unfinished line. */
  #holdLine(piece: Uint8Array): void {
    const isComment = this.#lineBytes === 0 ? piece[0] === COLON : this.#line.length === 0;
    this.#lineBytes += piece.length;
    if (isComment || this.#isOversized) return;
    if (this.#blockBytes + this.#lineBytes > this.#limitBytes) {
      this.#giveUp();
      return;
    }
    this.#line.append(piece);
  }

  #endLine(piece: Uint8Array): void {
    if (this.#lineBytes === 0) {
      this.#readLine(piece);
      return;
    }
    this.#holdLine(piece);
    this.#lineBytes = 0;
    // The buffer is empty for comments and oversized events, which are not read.
    if (this.#line.length > 0) this.#readLine(this.#line.view());
    this.#line.clear();
  }

  #readLine(line: Uint8Array): void {
    if (line.length === 0) {
      if (this.#blockStart !== -1) this.#dispatch(true);
      return;
    }
    if (line[0] === COLON) return;
    if (this.#isOversized) return;
    this.#blockBytes += line.length;
    if (this.#blockBytes > this.#limitBytes) {
      this.#giveUp();
      return;
    }
    if (this.#blockStart === -1) this.#blockStart = this.#lineStart;
    if (isDataField(line)) {
      this.#appendData(this.#decoder.decode(line.subarray(line[5] === SPACE ? 6 : 5)));
    } else {
      this.#readField(this.#decoder.decode(line));
    }
  }

  #readField(line: string): void {
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (field) {
      case "data":
        this.#appendData(value);
        break;
      case "event":
        this.#name = value;
        break;
      case "id":
        if (!value.includes("\0")) this.#lastEventId = value;
        break;
      case "retry":
        if (/^[0-9]+$/.test(value)) this.#onRetry?.(Number(value));
        break;
    }
  }

  #appendData(value: string): void {
    this.#data = this.#hasData ? `${this.#data}\n${value}` : value;
    this.#hasData = true;
  }

  #giveUp(): void {
    this.#isOversized = true;
    if (this.#blockStart === -1) this.#blockStart = this.#lineStart;
    this.#data = "";
    this.#line.clear();
  }

  #dispatch(isTerminated: boolean): void {
    const event: StreamEvent = {
      name: this.#name,
      data: this.#data,
      hasData: this.#hasData,
      lastEventId: this.#lastEventId,
      startByte: this.#blockStart,
      isTerminated,
      isOversized: this.#isOversized,
    };
    this.#blockStart = -1;
    this.#blockBytes = 0;
    this.#isOversized = false;
    this.#name = "";
    this.#data = "";
    this.#hasData = false;
    this.#onEvent(event);
  }
}

/** Whether the line starts with `data:`. */
function isDataField(line: Uint8Array): boolean {
  return line[0] === 0x64 && line[1] === 0x61 && line[2] === 0x74 && line[3] === 0x61 && line[4] === COLON;
}
