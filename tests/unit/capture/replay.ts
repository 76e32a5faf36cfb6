/** Runs bytes through a capture, cut at the places that a test chooses. */
import type { Capture, CaptureOptions, CaptureProgress } from "../../../src/capture/capture.ts";
import { createCapture } from "../../../src/capture/create.ts";
import type { CapturedReply, EndpointKind } from "../../../src/core/types.ts";

const FIXTURES = new URL("../../fixtures/streams/", import.meta.url);
const EVENT_STREAM = "text/event-stream; charset=utf-8";

export interface Replayed {
  readonly reply: CapturedReply;
  readonly progress: CaptureProgress;
}

export function readFixture(name: string): Uint8Array {
  return Deno.readFileSync(new URL(`${name}.sse`, FIXTURES));
}

export function fixtureNames(): string[] {
  return [...Deno.readDirSync(FIXTURES)].map((entry) => entry.name.replace(/\.sse$/, "")).sort();
}

export function streamOf(kind: EndpointKind, options: Partial<CaptureOptions> = {}): Capture {
  return createCapture({ kind, contentType: EVENT_STREAM, isEventStream: true, status: 200, ...options });
}

export function documentOf(kind: EndpointKind, options: Partial<CaptureOptions> = {}): Capture {
  return createCapture({
    kind,
    contentType: "application/json",
    isEventStream: false,
    status: 200,
    ...options,
  });
}

/** Pushes the bytes in pieces that end at the given offsets, and ends the capture. */
export function replay(
  capture: Capture,
  bytes: Uint8Array | string,
  options: { cuts?: readonly number[]; isCleanEnd?: boolean } = {},
): Replayed {
  const whole = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  let start = 0;
  for (const end of [...options.cuts ?? [], whole.length]) {
    capture.push(whole.slice(start, end));
    start = end;
  }
  const reply = capture.finish(options.isCleanEnd ?? true);
  return { reply, progress: { ...capture.progress } };
}

/** The offsets that cut `length` bytes into single bytes. */
export function everyByte(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1);
}

/** `data:` events of the given objects. */
export function events(...items: unknown[]): string {
  return items.map((item) => `data: ${typeof item === "string" ? item : JSON.stringify(item)}\n\n`).join("");
}

/** A chat chunk with one choice. */
export function chatChunk(delta: unknown, choice: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    object: "chat.completion.chunk",
    model: "gpt-5-nano",
    choices: [{ index: 0, delta, finish_reason: null, ...choice }],
  };
}
