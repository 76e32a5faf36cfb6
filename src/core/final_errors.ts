/**
 * Errors after which the next upstream is not asked, or not every one of them. Pure.
 */
import type { ReportedError } from "./reported_error.ts";

/** Whether another upstream must not be asked, because code or type is among `--final-codes`. */
export function isFinalError(error: ReportedError | null, finalCodes: ReadonlySet<string>): boolean {
  if (error === null || finalCodes.size === 0) return false;
  return (error.code !== null && finalCodes.has(error.code)) ||
    (error.type !== null && finalCodes.has(error.type));
}

const TOO_LONG_LABELS: ReadonlySet<string> = new Set([
  "context_length_exceeded",
  "context_window_exceeded",
  "model_context_window_exceeded",
  "string_above_max_length",
  "request_too_large",
]);

/** What providers say that give no code of their own for it (Anthropic, Google, Bedrock, vLLM), in lower case. */
const TOO_LONG_TEXTS = [
  "prompt is too long",
  "input is too long",
  "maximum context length",
  "context length exceeded",
  "context window",
  "maximum number of tokens",
];
const LOOKED_AT_LENGTH = 500;

/**
 * Whether the request is too long for the model. Another model may take it; the same one at the same endpoint says the
 * same again, whatever the key.
 */
export function isTooLong(error: ReportedError | null, status: number): boolean {
  if (status === 413) return true;
  if (error === null) return false;
  if (TOO_LONG_LABELS.has(error.code ?? "") || TOO_LONG_LABELS.has(error.type ?? "")) return true;
  if (status >= 500 || status === 429) return false;
  const text = error.message.slice(0, LOOKED_AT_LENGTH).toLowerCase();
  return TOO_LONG_TEXTS.some((part) => text.includes(part));
}
