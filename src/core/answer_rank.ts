/**
 * Which answer of several failed attempts tells the client most. Pure: the order is that of docs/failover.md.
 */
import { impliedStatus } from "./error_meaning.ts";
import type { AttemptOutcome } from "./types.ts";

/** An answer that is finished and says nothing: a refusal, a content filter, a token limit. */
const FINISHED = 0;
/** A success that holds neither an answer nor an error. */
const MEANINGLESS = 20;

/** Lower is better; null: the attempt has given nothing that could be relayed. */
export function answerRank(outcome: AttemptOutcome): number | null {
  switch (outcome.type) {
    case "response":
      return outcome.status < 400 || outcome.status > 599 ? null : statusRank(outcome.status);
    case "bad_reply":
    case "bad_stream":
      if (outcome.isCut) return null;
      if (outcome.isFinished) return FINISHED;
      // Among equals, one whose status says that it failed: clients understand it without reading.
      return outcome.error === null ? MEANINGLESS : statusRank(impliedStatus(outcome.error)) + 1;
    case "connect_error":
    case "timeout":
    case "no_credential":
    case "client_gone":
      return null;
    default:
      return outcome satisfies never;
  }
}

/** Whether it says what the client did wrong, or more. */
export function isTelling(rank: number): boolean {
  return rank < statusRank(429);
}

/** Even numbers. */
function statusRank(status: number): number {
  switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return 2;
    case 404:
      return 4;
    case 429:
      return 6;
    case 401:
    case 403:
      return 8;
    default:
      return status >= 500 ? 10 : 12;
  }
}
