/**
 * What a failed attempt had said: it was paid for, so the record keeps it.
 */
import type { Capture } from "../../capture/capture.ts";

/** The text, else the reasoning, else the calls; null when the stream has shown no content. */
export function partialText(capture: Capture): string | null {
  if (!capture.progress.hasContent) return null;
  // Ended, since only then all of an encoded stream is decoded.
  const { text, reasoning, toolCalls } = capture.finish(false);
  const calls = toolCalls.map((call) => `${call.name}(${call.arguments})`).join("\n");
  return [text, reasoning, calls].find((part) => part !== "") ?? null;
}
