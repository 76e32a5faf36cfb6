/**
 * Tells the end of a connection that stood from one that could not be made.
 */

/** A connection that stood has ended before the head of a reply came. */
export class NoReplyError extends Error {
  override readonly name = "NoReplyError";
}

/** Names of the runtime's errors for a connection that stood, and ended. */
const ENDED_NAMES: ReadonlySet<string> = new Set([
  "ConnectionReset",
  "ConnectionAborted",
  "BrokenPipe",
  "UnexpectedEof",
]);

/** Whether an error says that a connection that stood has ended. */
export function isConnectionEnd(error: unknown): boolean {
  return error instanceof NoReplyError || (error instanceof Error && ENDED_NAMES.has(error.name));
}
