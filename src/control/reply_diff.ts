/**
 * What differs between two replies, line by line. Pure.
 */
import { type Change, diffLines } from "diff";
import type { ToolCall } from "../core/types.ts";
import { prettyJson } from "../core/recorded_text.ts";

/** A run of lines, without the last one's end. */
export interface DiffPart {
  readonly type: "same" | "removed" | "added";
  readonly text: string;
}

export interface ComparedReply {
  readonly response: string | null;
  readonly toolCalls: readonly ToolCall[];
}

/** Two replies with almost nothing in common could take minutes. */
const LIMIT_MS = 2_000; // docs/tuning.md#control-page-and-command-line

/** From the first to the second; null when they are too different to be compared in time. */
export function diffReplies(before: ComparedReply, after: ComparedReply): DiffPart[] | null {
  const changes = diffLines(comparedText(before), comparedText(after), { timeout: LIMIT_MS });
  return changes === undefined ? null : toParts(changes);
}

/** The same in small steps, so that it does not block a server. */
export function diffRepliesInSteps(
  before: ComparedReply,
  after: ComparedReply,
): Promise<DiffPart[] | null> {
  return new Promise((resolve) => {
    diffLines(comparedText(before), comparedText(after), {
      timeout: LIMIT_MS,
      callback: (changes) => resolve(changes === undefined ? null : toParts(changes)),
    });
  });
}

function toParts(changes: readonly Change[]): DiffPart[] {
  return changes.map(({ added, removed, value }) => ({
    type: added ? "added" : removed ? "removed" : "same",
    text: value.replace(/\n$/, ""),
  }));
}

/** Text and tool calls; not the calls' ids, which are new every time, nor the reasoning. */
function comparedText({ response, toolCalls }: ComparedReply): string {
  const calls = toolCalls.map((call) => `calls ${call.name}\n${prettyJson(call.arguments)}`);
  const text = [...(response ? [response] : []), ...calls].join("\n").replace(/\r\n/g, "\n");
  // Without the line break, a last line differs from the same line in the middle.
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
