/**
 * Takes the event with the usage of a stream out of what the client gets, when the router asked for it and the client did
 * not: exactly that one event, and no other byte.
 *
 * It is the last event before the end marker that has `"choices":[]` and a `usage` object. An event is held back only
 * until it is seen to be another one, which its `choices` show; a found one until what follows shows that it was the last:
 *
 *     data: {"choices":[{...}]}         passes at `[{`
 *     data: {"choices":[],"usage":{}}   is held
 *     data: [DONE]                      shows that the held one was the last: that is left out
 *
 * One pass over the bytes, linear in time; holds back at most {@link MAX_HELD_BYTES}.
 */
import { concat } from "../../core/bytes.ts";

/** No usage is larger; what would be held beyond that is passed on. */
export const MAX_HELD_BYTES = 64 * 1024; // docs/tuning.md#budgets-and-remembered-values

/** Bytes of events that are looked at as a whole; a stream with more counts all the time, and passes as it is. */
export const MAX_LOOKED_BYTES = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values

const NOTHING = new Uint8Array(0);
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const QUOTE = 0x22;
const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const LETTER_D = 0x64;
const CHOICES = new TextEncoder().encode('"choices"');

// Where the next byte is.
/** Between two events, at the start of a line. */
const BETWEEN = 0;
/** In a comment that belongs to no event. */
const IN_COMMENT = 1;
/** In an event that may be the one. */
const IN_EVENT = 2;
/** In an event that is not, and passes. */
const IN_OTHER = 3;

// What was seen of `choices` in the event; smaller numbers count the bytes of its key.
const AFTER_KEY = 100;
const AFTER_COLON = 101;
const AFTER_BRACKET = 102;
const IS_EMPTY = 103;

/** One stream. */
export class UsageEventFilter {
  /** The event was found and left out: nothing else is looked for. */
  #isDone = false;
  #place = BETWEEN;
  #isLineStart = true;
  #isAfterCr = false;
  /** In the name of a field, at the start of a line of an event. */
  #isInName = false;
  #isDataLine = false;
  /** The event's data has begun. */
  #hasData = false;
  #seen = 0;
  /** Held back from earlier chunks. */
  #held = NOTHING;
  #heldLength = 0;
  /** How many of the held bytes, from the first on, are a found event; 0: none was found yet. */
  #foundLength = 0;
  /** Where among the held bytes the event under way begins. */
  #eventAt = 0;
  #lookedBytes = 0;
  // While a chunk is looked at:
  #chunk = NOTHING;
  /** The next carriage return in it. */
  #nextCr = 0;
  /** From where on the chunk's bytes are neither in the output nor held. */
  #from = 0;
  /** From where on they are held; -1: they are not. */
  #heldFrom = -1;
  #output: Uint8Array[] = [];

  /** What the client gets now: the chunk itself, a part of it, or a copy. */
  push(chunk: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (this.#isDone || chunk.length === 0) return chunk;
    // Most chunks are whole events without any usage.
    const isOpen = this.#place !== BETWEEN || this.#heldLength > 0 || this.#isAfterCr;
    if (!isOpen && endsWithBlankLine(chunk) && !mayHoldEmptyList(chunk)) return chunk;
    this.#chunk = chunk;
    this.#from = 0;
    this.#heldFrom = this.#heldLength > 0 ? 0 : -1;
    this.#output = [];
    this.#nextCr = -1;
    for (let at = 0; at < chunk.length && !this.#isDone; at++) {
      if (this.#place === IN_OTHER || this.#place === IN_COMMENT) {
        const end = this.#isAfterCr ? at : this.#lineEnd(at);
        if (end > at) this.#isLineStart = false;
        if (end === chunk.length) break;
        at = end;
      }
      this.#step(chunk[at] ?? 0, at);
    }
    const passed = this.#passed();
    this.#chunk = NOTHING;
    return passed;
  }

  /** What is held back, at the end of the body; the event is left out even when its blank line is missing. */
  flush(): Uint8Array<ArrayBuffer> {
    const held = this.#held.subarray(0, this.#heldLength);
    const isLast = this.#place === IN_EVENT && this.#seen === IS_EMPTY &&
      isUsageEvent(held.subarray(this.#eventAt));
    this.#isDone = true;
    this.#held = NOTHING;
    this.#heldLength = 0;
    return isLast ? held.subarray(0, this.#eventAt) : held.subarray(this.#foundLength);
  }

  /** Where the next line ends, from there on; the chunk's length: not in it. Each byte is searched twice at most. */
  #lineEnd(at: number): number {
    const chunk = this.#chunk;
    if (this.#nextCr < at) this.#nextCr = indexOrLength(chunk, CR, at);
    return Math.min(this.#nextCr, indexOrLength(chunk.subarray(0, this.#nextCr), LF, at));
  }

  #step(byte: number, at: number): void {
    if (this.#isAfterCr) {
      this.#isAfterCr = false;
      if (byte === LF) return this.#endOfCrLf(at);
    }
    if (byte === LF || byte === CR) {
      this.#isAfterCr = byte === CR;
      return this.#lineEnded(at + 1);
    }
    switch (this.#place) {
      case BETWEEN:
        if (byte === COLON) this.#place = IN_COMMENT;
        else this.#begin(byte, at);
        break;
      case IN_EVENT:
        this.#inEvent(byte);
        break;
      default:
        this.#isLineStart = false;
    }
  }

  /** The first byte of an event. */
  #begin(byte: number, at: number): void {
    this.#place = IN_EVENT;
    this.#seen = 0;
    this.#hasData = false;
    if (this.#heldFrom < 0) this.#heldFrom = at;
    this.#eventAt = this.#heldLength + at - this.#heldFrom;
    this.#beginLine(byte);
  }

  #beginLine(byte: number): void {
    this.#isLineStart = false;
    this.#isInName = byte !== COLON;
    this.#isDataLine = byte === LETTER_D;
  }

  #inEvent(byte: number): void {
    if (this.#isLineStart) return this.#beginLine(byte);
    if (this.#isInName) {
      if (byte === COLON) this.#isInName = false;
      return;
    }
    if (!this.#isDataLine || isBlank(byte)) return;
    if (!this.#hasData) {
      this.#hasData = true;
      // Such as [DONE].
      if (byte !== OPENING_BRACE) return this.#isAnother();
    }
    this.#see(byte);
  }

  /** Looks for `"choices":[]`, with any blanks in it. */
  #see(byte: number): void {
    switch (this.#seen) {
      case IS_EMPTY:
        return;
      case AFTER_KEY:
        this.#seen = byte === COLON ? AFTER_COLON : byte === QUOTE ? 1 : 0;
        return;
      case AFTER_COLON:
        if (byte === OPENING_BRACKET) this.#seen = AFTER_BRACKET;
        else this.#isContent();
        return;
      case AFTER_BRACKET:
        if (byte === CLOSING_BRACKET) this.#seen = IS_EMPTY;
        else this.#isContent();
        return;
      default:
        if (byte === CHOICES[this.#seen]) this.#seen++;
        else this.#seen = byte === QUOTE ? 1 : 0;
        if (this.#seen === CHOICES.length) this.#seen = AFTER_KEY;
    }
  }

  #lineEnded(end: number): void {
    switch (this.#place) {
      case BETWEEN:
        return;
      case IN_COMMENT:
        this.#place = BETWEEN;
        return;
      default:
        if (!this.#isLineStart) this.#isLineStart = true;
        else {
          const mayBeUsage = this.#place === IN_EVENT;
          this.#place = BETWEEN;
          if (mayBeUsage) this.#eventEnded(end);
        }
    }
  }

  /** The line feed belongs to the carriage return before it, and so to an event that ended there. */
  #endOfCrLf(at: number): void {
    if (this.#foundLength === 0 || this.#heldLength + at - this.#heldFrom !== this.#foundLength) return;
    this.#hold(at + 1);
    this.#foundLength = this.#heldLength;
  }

  #eventEnded(end: number): void {
    const length = this.#heldBytes(end);
    if (this.#seen === IS_EMPTY && length <= MAX_HELD_BYTES) {
      this.#lookedBytes += length;
      if (this.#lookedBytes > MAX_LOOKED_BYTES) {
        this.#isDone = true;
        return this.#release(0);
      }
      const found = concat([
        this.#held.subarray(0, this.#heldLength),
        this.#chunk.subarray(this.#heldFrom, end),
      ]);
      if (isUsageEvent(found.subarray(this.#eventAt))) return this.#found(end);
    }
    this.#isAnother();
  }

  #heldBytes(end: number): number {
    return this.#heldLength + end - this.#heldFrom;
  }

  /** An event with usage: any that was found before was not the last. */
  #found(end: number): void {
    if (this.#from < this.#heldFrom) this.#output.push(this.#chunk.subarray(this.#from, this.#heldFrom));
    this.#hold(end);
    if (this.#foundLength > 0) {
      this.#output.push(this.#held.slice(0, this.#eventAt));
      this.#held.copyWithin(0, this.#eventAt, this.#heldLength);
      this.#heldLength -= this.#eventAt;
    }
    this.#foundLength = this.#heldLength;
  }

  /** The stream goes on with content: whatever is held was not the last. */
  #isContent(): void {
    this.#release(0);
  }

  /** Neither content nor usage: the end marker, or what else follows the content. */
  #isAnother(): void {
    const isFound = this.#foundLength > 0;
    this.#release(this.#foundLength);
    this.#isDone = isFound;
  }

  /** Passes on what is held, and the event under way. @param without how many of the first bytes are left out */
  #release(without: number): void {
    if (this.#heldLength > without) this.#output.push(this.#held.slice(without, this.#heldLength));
    this.#heldLength = 0;
    this.#foundLength = 0;
    this.#heldFrom = -1;
    if (this.#place === IN_EVENT) this.#place = IN_OTHER;
  }

  /** Keeps a copy of the chunk's bytes up to there: its buffer may be used again. */
  #hold(end: number): void {
    const bytes = this.#chunk.subarray(this.#heldFrom, end);
    const length = this.#heldLength + bytes.length;
    if (length > this.#held.length) {
      const grown = new Uint8Array(Math.max(2 * this.#held.length, length));
      grown.set(this.#held.subarray(0, this.#heldLength));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldLength);
    this.#heldLength = length;
    this.#from = this.#heldFrom = end;
  }

  /** The chunk has been looked at. */
  #passed(): Uint8Array<ArrayBuffer> {
    const chunk = this.#chunk;
    if (this.#heldFrom >= 0 && this.#heldBytes(chunk.length) > MAX_HELD_BYTES) this.#isAnother();
    const end = this.#heldFrom < 0 ? chunk.length : this.#heldFrom;
    const rest = this.#from === 0 && end === chunk.length ? chunk : chunk.subarray(this.#from, end);
    if (this.#heldFrom >= 0) this.#hold(chunk.length);
    return this.#output.length === 0 ? rest : concat([...this.#output, rest]);
  }
}

function indexOrLength(bytes: Uint8Array, byte: number, from: number): number {
  const at = bytes.indexOf(byte, from);
  return at < 0 ? bytes.length : at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function endsWithBlankLine(chunk: Uint8Array): boolean {
  const { length } = chunk;
  if (chunk[length - 1] !== LF) return false;
  const before = chunk[length - 2];
  return before === LF || (before === CR && chunk[length - 3] === LF);
}

/** Whether an empty list may be in it, as in few events. */
function mayHoldEmptyList(chunk: Uint8Array): boolean {
  for (let at = chunk.indexOf(CLOSING_BRACKET); at >= 0; at = chunk.indexOf(CLOSING_BRACKET, at + 1)) {
    let before = at - 1;
    while (isBlank(chunk[before])) before--;
    const byte = chunk[before];
    // A list may go over several lines of data.
    if (byte === OPENING_BRACKET || byte === COLON || byte === LF || byte === CR) return true;
  }
  return false;
}

/** Whether the lines of an event are those of the usage. */
export function isUsageEvent(lines: Uint8Array): boolean {
  let data = "";
  for (const line of new TextDecoder().decode(lines).split(/\r\n|\n|\r/)) {
    if (line.startsWith("data:")) data += `${line.slice(5)}\n`;
  }
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) && Array.isArray(value["choices"]) && value["choices"].length === 0 &&
      isObject(value["usage"]) && (value["error"] ?? null) === null;
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
