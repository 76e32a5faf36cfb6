/**
 * Reads heads and bodies of HTTP/1.1 messages from a connection.
 *
 * Heads, chunk size lines and trailers are bounded. Chunks that have already arrived are returned as one piece.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
import { type ConnectionInput, copies } from "./connection.ts";
import type { Framing } from "./framing.ts";
import { CutHeadError, isFieldLine, isForbidden, MAX_HEAD_BYTES, MessageError } from "./head.ts";
import { readLatin1 } from "./latin1.ts";

const LF = 0x0a;
const CR = 0x0d;
const END_OF_HEAD_BYTES = 4;
/** Limit of empty lines before a head. */
const MAX_LEADING_BYTES = 1024;
const MAX_SIZE_LINE_BYTES = 1024;
/**
 * Limit of the chunked encoding's lines beyond 16 bytes per chunk plus twice its data, as in Go's net/http: the limit
 * of a body counts its data, and the overhead must not be a thousand times as much.
 */
const MAX_CHUNK_EXCESS_BYTES = 16 * 1024;
const CHUNK_ALLOWANCE_BYTES = 16;
const MAX_TRAILER_BYTES = 16 * 1024;

/** As {@link readHead}, if the whole head has arrived; null: {@link readHead} has to wait, or will throw. */
export function takeHead(input: ConnectionInput): string | null {
  const bytes = input.available;
  const start = endOfLeadingLineEnds(bytes);
  const end = endOfHead(bytes, start);
  return end < 0 || end - start > MAX_HEAD_BYTES ? null : cutHead(input, start, end);
}

/**
 * The next message's head as Latin-1 text without its blank line, or null when the connection ends before it begins.
 * Scans each byte once, in however many pieces the head arrives.
 * @param check called with the beginning of the head whenever more has arrived; throws when no head begins like that
 * @throws MessageError; Error when the connection breaks
 */
export async function readHead(
  input: ConnectionInput,
  check?: (beginning: Uint8Array) => void,
): Promise<string | null> {
  let skippedBytes = 0;
  let seenBytes = 0;
  for (;;) {
    const bytes = input.available;
    if (seenBytes === 0) {
      const start = endOfLeadingLineEnds(bytes);
      input.consume(start);
      skippedBytes += start;
      if (skippedBytes > MAX_LEADING_BYTES) {
        throw new MessageError(400, "too many empty lines before a message");
      }
    }
    const head = input.available;
    check?.(head);
    const end = endOfHead(head, 0, seenBytes);
    if (end > MAX_HEAD_BYTES || (end < 0 && head.length > MAX_HEAD_BYTES)) throw tooLarge();
    if (end >= 0) return cutHead(input, 0, end);
    // A lone carriage return may be the first half of an empty line.
    seenBytes = head.length === 1 && head[0] === CR ? 0 : head.length;
    if (!await input.fill()) {
      if (input.availableBytes <= 1 && seenBytes === 0) return null;
      throw new CutHeadError();
    }
  }
}

function cutHead(input: ConnectionInput, start: number, end: number): string {
  const text = readLatin1(input.available.subarray(start, end));
  input.consume(end + END_OF_HEAD_BYTES);
  return text;
}

/**
 * Where the end of the head begins: the line end before the empty line; -1 when it has not arrived.
 * @param seenBytes bytes that were scanned before without finding it
 * @throws MessageError for a bare line feed, after which the end might never come
 */
function endOfHead(bytes: Uint8Array, start: number, seenBytes = 0): number {
  for (let at = bytes.indexOf(LF, start + seenBytes); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at === start || bytes[at - 1] !== CR) throw new MessageError(400, "a line ends in a bare line feed");
    if (at - 3 >= start && bytes[at - 2] === LF && bytes[at - 3] === CR) return at - 3;
  }
  return -1;
}

/** RFC 9112 section 2.2: a client may send an empty line before its request. */
function endOfLeadingLineEnds(bytes: Uint8Array): number {
  let end = 0;
  while (bytes[end] === CR && bytes[end + 1] === LF) end += 2;
  return end;
}

function tooLarge(): MessageError {
  return new MessageError(431, `the head is larger than ${MAX_HEAD_BYTES} bytes`);
}

/** The body of one message, piece by piece. */
export class MessageBody {
  readonly #input: ConnectionInput;
  readonly #framing: Framing;
  /** Bytes left of the body, or of the chunk. */
  #left: number;
  #state: "size" | "data" | "data_end" | "trailers" | "done";
  #trailerBytes = 0;
  /** Of the chunked encoding's lines, beyond what the data allows. */
  #excessBytes = 0;
  /** Bytes of the incomplete line that were already scanned. */
  #seenBytes = 0;
  /** An error after the bytes that were returned last; thrown by the next call. */
  #error: MessageError | null = null;

  constructor(input: ConnectionInput, framing: Framing) {
    this.#input = input;
    this.#framing = framing;
    this.#left = framing.type === "length" ? framing.bytes : 0;
    const isEmpty = framing.type === "none" || (framing.type === "length" && framing.bytes === 0);
    this.#state = isEmpty ? "done" : framing.type === "chunked" ? "size" : "data";
  }

  /** The whole body has been read. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * The next bytes, at least one, a copy; null at the end.
   * @throws MessageError when the framing is broken; Error when the connection breaks or ends too early
   */
  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const bytes = this.take();
      if (bytes !== null || this.#state === "done") return bytes;
      if (!await this.#input.fill()) this.endOfInput();
    }
  }

  /** To be called when the connection has ended. @throws when that is not the end of the body */
  endOfInput(): void {
    if (this.#framing.type !== "until_close") {
      throw new Error("the connection ended before the end of the body");
    }
    this.#state = "done";
  }

  /**
   * A copy of the bytes that have arrived; null when there are none.
   * @throws MessageError
   */
  take(): Uint8Array<ArrayBuffer> | null {
    const lent = this.lend();
    return lent === null ? null : this.copyOf(lent);
  }

  /** A copy of what {@link lend} gave. */
  copyOf(lent: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.#framing.type === "chunked" ? lent.slice() : copies.of(lent);
  }

  /** As {@link take}, but not a copy: valid until the connection is read again. */
  lend(): Uint8Array<ArrayBuffer> | null {
    if (this.#framing.type === "chunked") return this.#lendChunks();
    const { availableBytes } = this.#input;
    const isBounded = this.#framing.type === "length";
    const count = isBounded ? Math.min(availableBytes, this.#left) : availableBytes;
    if (count === 0) return null;
    const bytes = this.#input.lend(count);
    if (isBounded) {
      this.#left -= count;
      if (this.#left === 0) this.#state = "done";
    }
    return bytes;
  }

  #lendChunks(): Uint8Array<ArrayBuffer> | null {
    if (this.#error !== null) throw this.#error;
    if (this.#input.availableBytes === 0) return null;
    const source = this.#input.available;
    // The data of the chunks is moved together, over the size lines between them, which have been parsed.
    let start = 0;
    let end = 0;
    let at = 0;
    while (this.#state !== "done") {
      if (this.#state === "data") {
        const count = Math.min(source.length - at, this.#left);
        if (count === 0) break;
        if (end === 0) start = end = at;
        else source.copyWithin(end, at, at + count);
        at += count;
        end += count;
        this.#left -= count;
        if (this.#left === 0) this.#state = "data_end";
        continue;
      }
      try {
        const lineEnd = endOfLine(source, at + this.#seenBytes);
        if (lineEnd < 0) {
          const openBytes = source.length - at;
          this.#checkOpenLine(openBytes);
          // The last byte may be the carriage return of the line end.
          this.#seenBytes = Math.max(0, openBytes - 1);
          break;
        }
        this.#seenBytes = 0;
        this.#readLine(source, at, lineEnd);
        at = lineEnd + 2;
      } catch (error) {
        if (end === 0 || !(error instanceof MessageError)) throw error;
        this.#error = error;
        break;
      }
    }
    this.#input.consume(at);
    return end === 0 ? null : source.subarray(start, end);
  }

  #readLine(source: Uint8Array, start: number, end: number): void {
    switch (this.#state) {
      case "size":
        if (end - start > MAX_SIZE_LINE_BYTES) throw new MessageError(400, "a chunk's size line is too long");
        this.#left = chunkSize(source, start, end);
        this.#excessBytes = Math.max(
          0,
          this.#excessBytes + (end - start + 2) - CHUNK_ALLOWANCE_BYTES - 2 * this.#left,
        );
        if (this.#excessBytes > MAX_CHUNK_EXCESS_BYTES) {
          throw new MessageError(400, "the chunked encoding holds too much beside the data");
        }
        this.#state = this.#left === 0 ? "trailers" : "data";
        return;
      case "data_end":
        if (end !== start) throw new MessageError(400, "a chunk is longer than its size");
        this.#state = "size";
        return;
      case "trailers":
        this.#trailerBytes += end - start + 2;
        if (this.#trailerBytes > MAX_TRAILER_BYTES) throw new MessageError(431, "the trailers are too large");
        if (end === start) this.#state = "done";
        else checkTrailer(source, start, end);
        return;
    }
  }

  /** Limits a line whose end has not arrived. */
  #checkOpenLine(bytes: number): void {
    const limit = this.#state === "trailers"
      ? MAX_TRAILER_BYTES
      : this.#state === "size"
      ? MAX_SIZE_LINE_BYTES
      : 1;
    if (bytes > limit) throw new MessageError(400, "a line of the chunked encoding is too long");
  }
}

/** Index of the CR of the line's CR LF; -1 when it has not arrived. */
function endOfLine(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === LF) throw new MessageError(400, "a line ends in a bare line feed");
    if (byte !== CR) continue;
    if (at + 1 === bytes.length) return -1;
    if (bytes[at + 1] !== LF) throw new MessageError(400, "a carriage return stands alone");
    return at;
  }
  return -1;
}

/** Longer chunk sizes are rejected. */
const MAX_SIZE_DIGITS = 12;

/** Trailers are dropped, but must be valid field lines (RFC 9112 section 7.1.2). */
function checkTrailer(bytes: Uint8Array, start: number, end: number): void {
  if (!isFieldLine(readLatin1(bytes.subarray(start, end)))) {
    throw new MessageError(400, "a trailer is malformed");
  }
}

/** Hexadecimal digits, then nothing, or an extension, which is ignored (RFC 9112 section 7.1.1). */
function chunkSize(bytes: Uint8Array, start: number, end: number): number {
  let size = 0;
  let at = start;
  for (; at < end; at++) {
    const digit = hexDigit(bytes[at] ?? 0);
    if (digit < 0) break;
    size = size * 16 + digit;
  }
  const digits = at - start;
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++;
  if (digits === 0 || digits > MAX_SIZE_DIGITS || (at < end && bytes[at] !== 0x3b)) {
    throw new MessageError(400, "a chunk's size is malformed");
  }
  for (; at < end; at++) {
    if (isForbidden(bytes[at] ?? 0)) {
      throw new MessageError(400, "a chunk's extension holds a control character");
    }
  }
  return size;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
