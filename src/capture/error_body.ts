/**
 * What the body of an error reply says, whatever its shape and content encoding.
 */
import type { ReportedError } from "../core/reported_error.ts";
import { readableText } from "./content_coding.ts";
import { errorOfBody } from "./judge.ts";

export interface ErrorBody {
  /** Null when its shape is unknown, or it is not whole. */
  readonly error: ReportedError | null;
  /** For people: the error's message, or the body itself. */
  readonly text: string;
}

/** Reads a body of which the beginning may be all that came. */
export function readErrorBody(body: Uint8Array, contentEncoding: string | null): ErrorBody {
  const text = readableText(body, contentEncoding);
  const error = errorOfBody(text);
  return { error, text: error?.message ?? text.trim() };
}
