/**
 * Whether anybody still reads what a long output prints (`export | head -1`).
 */
import type { Terminal } from "../output.ts";

/** A terminal that can tell that its reader has closed the pipe. */
export interface PipedTerminal extends Terminal {
  readonly isReaderGone: boolean;
}

/** False for terminals that cannot tell. */
export function isReaderGone(terminal: Terminal | PipedTerminal): boolean {
  return "isReaderGone" in terminal && terminal.isReaderGone;
}
