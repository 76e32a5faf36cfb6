/**
 * The events of paced streams: all of the same length, each with its number and the time when it was sent, so
 * that the client can detect delay, reordering and loss.
 */
import { chatEvent } from "./payloads.ts";

const STAMP_DIGITS = 16;
const NUMBER_DIGITS = 6;
const ZERO = 48;
const encoder = new TextEncoder();

/** An event with zeros for time and number. */
export const EVENT_TEMPLATE = encoder.encode(
  chatEvent(`{"content":"${"0".repeat(STAMP_DIGITS)} ${"0".repeat(NUMBER_DIGITS)}"}`, "null"),
);
const STAMP_AT = new TextDecoder().decode(EVENT_TEMPLATE).indexOf("0".repeat(STAMP_DIGITS));
const NUMBER_AT = STAMP_AT + STAMP_DIGITS + 1;

/** The end of the stream. */
export const STREAM_END = encoder.encode(chatEvent("{}", `"stop"`) + "data: [DONE]\n\n");

/** Microseconds since 1970, steady within a process and, on one machine, comparable between processes. */
export function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1_000);
}

/** @param at where the event begins in the buffer */
export function stampEvent(buffer: Uint8Array, at: number, number: number): void {
  writeDigits(buffer, at + NUMBER_AT, NUMBER_DIGITS, number);
  writeDigits(buffer, at + STAMP_AT, STAMP_DIGITS, nowUs());
}

/** When it was sent. @throws {Error} when a byte differs from what was sent, or the event is out of order */
export function readEvent(event: Uint8Array, number: number): number {
  for (let at = 0; at < EVENT_TEMPLATE.length; at++) {
    if (event[at] !== EVENT_TEMPLATE[at] && (at < STAMP_AT || at >= NUMBER_AT + NUMBER_DIGITS)) {
      throw new Error(`event ${number} has a wrong byte at ${at}`);
    }
  }
  const seen = readDigits(event, NUMBER_AT, NUMBER_DIGITS);
  if (seen !== number) throw new Error(`event ${seen} came instead of ${number}`);
  return readDigits(event, STAMP_AT, STAMP_DIGITS);
}

function writeDigits(buffer: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value;
  for (let digit = digits - 1; digit >= 0; digit--) {
    const next = Math.floor(rest / 10);
    buffer[at + digit] = ZERO + rest - next * 10;
    rest = next;
  }
}

function readDigits(buffer: Uint8Array, at: number, digits: number): number {
  let value = 0;
  for (let digit = 0; digit < digits; digit++) value = value * 10 + (buffer[at + digit] ?? ZERO) - ZERO;
  return value;
}
