/**
 * What came of a reply under way since its row was written.
 *
 * Owns the question whether it can be appended to what is written. Pure; masks nothing itself.
 */
import type { Capture, TextLengths } from "../../capture/capture.ts";
import type { CapturedReply, ToolCall } from "../../core/types.ts";

/** How much of a reply under way its row holds, with its parts. */
export interface WrittenText extends TextLengths {
  /** Of the last part; 0: there is none. */
  readonly part: number;
  /** In UTF-16 units. */
  readonly toolCalls: number;
}

/** What the row holds when this was written to it whole. */
export function wholeOf(captured: CapturedReply | null): WrittenText {
  return {
    part: 0,
    text: captured?.text.length ?? 0,
    reasoning: captured?.reasoning.length ?? 0,
    toolCalls: callsLength(captured?.toolCalls ?? []),
  };
}

/**
 * The reply with nothing but what is new in its texts, and what the row holds then; null: it has to be written whole.
 *
 * @param margin how much of what was written is looked at once more: the end of a secret may have come since
 * @param isClean whether nothing in a text has to be masked
 */
export function partSince(
  capture: Capture,
  since: WrittenText,
  { margin, isClean }: { readonly margin: number; readonly isClean: (text: string) => boolean },
): { readonly reply: CapturedReply; readonly written: WrittenText } | null {
  const from = {
    text: Math.max(0, since.text - margin),
    reasoning: Math.max(0, since.reasoning - margin),
  };
  const captured = capture.partialFrom?.(from) ?? null;
  if (captured === null) return null;
  if (!isClean(captured.text) || !isClean(captured.reasoning)) return null;
  const text = newIn(captured.text, since.text - from.text);
  const reasoning = newIn(captured.reasoning, since.reasoning - from.reasoning);
  if (text === null || reasoning === null) return null;
  const toolCalls = callsLength(captured.toolCalls);
  return {
    // They never get fewer, so that none means: as they were.
    reply: {
      ...captured,
      text,
      reasoning,
      toolCalls: toolCalls === since.toolCalls ? [] : captured.toolCalls,
    },
    written: {
      part: since.part + 1,
      text: since.text + text.length,
      reasoning: since.reasoning + reasoning.length,
      toolCalls,
    },
  };
}

/** What follows that many units, whole characters only; null when what was written ends within one. */
function newIn(text: string, known: number): string | null {
  if (text.length < known || isHighSurrogate(text.charCodeAt(known - 1))) return null;
  const isCut = text.length > known && isHighSurrogate(text.charCodeAt(text.length - 1));
  return text.slice(known, isCut ? text.length - 1 : text.length);
}

function callsLength(calls: readonly ToolCall[]): number {
  let length = 0;
  for (const { id, name, arguments: text } of calls) {
    length += (id?.length ?? 0) + name.length + text.length + 1;
  }
  return length;
}

/** NaN, from before the text, is none. */
function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}
