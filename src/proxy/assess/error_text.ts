/**
 * The problem of a reply whose text is one of the errors that its upstream's row names.
 */
import { ERROR_TEXT_LENGTH } from "../../core/error_texts.ts";
import type { ReplyProblem } from "./assessment.ts";

export function errorTextProblem(text: string): ReplyProblem {
  const quoted = text.slice(0, ERROR_TEXT_LENGTH).trim();
  const message = `its text is an error, by error_text: ${quoted}`;
  return { type: "bad_reply", message, isCut: false, isFinished: false, error: null };
}
