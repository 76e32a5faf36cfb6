/**
 * The cases of the self-test, and their expected results.
 */
import type { ErrorClass } from "../../core/types.ts";
import {
  BUSY_KEY,
  busyKey,
  cutAfterContent,
  cutBeforeContent,
  dripStream,
  ERROR_TEXT,
  errorEvent,
  FIRST_TURN,
  goodReply,
  goodResponse,
  goodStream,
  hang,
  NEXT_TURN,
  REPLY_TEXT,
  RESPONSE_TEXT,
  serverError,
  silentStream,
  STREAM_TEXT,
  tooManyRequests,
} from "./scripts.ts";
import type { Script } from "./upstream.ts";

/** What a client saw, and what was recorded. */
export interface Result {
  /** null: there was no answer. */
  readonly status: number | null;
  /** Error classes of the recorded attempts, in order; `ok` for one that went well. */
  readonly attempts: readonly string[];
  /** null: not recorded. */
  readonly outcome: string | null;
  /** Compared with {@link Case.reply}; `own error`: an error of the router's own. */
  readonly reply: "reply as sent" | "reply cut" | "own error" | "another reply";
}

export interface Case {
  readonly name: string;
  /** In order of trial; `same`: those of the case before, in their current state. */
  readonly upstreams: readonly (Script | "refuse")[] | "same";
  /** Seconds until an upstream's headers; default: the router's rules. */
  readonly timeout?: number;
  /** Requests in a minute that each upstream takes; default: any number. */
  readonly rpm?: number;
  /** Of each upstream; default: a random one. */
  readonly keys?: readonly string[];
  /** What each upstream lists; default: none is asked for its models. */
  readonly lists?: readonly (readonly string[])[];
  /** A new upstream before the others. */
  readonly inFront?: Script;
  /** Default: a chat. */
  readonly request?: { readonly path: string; readonly body: Readonly<Record<string, string>> };
  readonly isStream: boolean;
  readonly hasWrongToken?: boolean;
  /** What the relayed upstream sends; null: the answer is the router's own. */
  readonly reply: string | null;
  readonly expected: Result;
}

/** A stream that fails over to a good upstream. */
function failsOver(
  name: string,
  { fault, as, timeout }: {
    readonly fault: Script | "refuse";
    readonly as: ErrorClass;
    readonly timeout?: number;
  },
): Case {
  return {
    name,
    upstreams: [fault, goodStream],
    ...(timeout === undefined ? {} : { timeout }),
    isStream: true,
    reply: STREAM_TEXT,
    expected: { status: 200, attempts: [as, "ok"], outcome: "complete", reply: "reply as sent" },
  };
}

export const CASES: readonly Case[] = [
  {
    name: "a plain reply",
    upstreams: [goodReply],
    isStream: false,
    reply: REPLY_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "a stream",
    upstreams: [goodStream],
    isStream: true,
    reply: STREAM_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "a slow stream, relayed as it comes",
    upstreams: [dripStream],
    isStream: true,
    reply: STREAM_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  failsOver("connection refused", { fault: "refuse", as: "connect_error" }),
  failsOver("no answer", { fault: hang, as: "timeout", timeout: 1 }),
  failsOver("429, asking to wait", { fault: tooManyRequests, as: "http_status" }),
  {
    name: "the next request spares it",
    upstreams: "same",
    isStream: true,
    reply: STREAM_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  failsOver("500", { fault: serverError, as: "http_status" }),
  failsOver("200, then an error event", { fault: errorEvent, as: "bad_stream" }),
  failsOver("200, then cut before content", { fault: cutBeforeContent, as: "bad_stream" }),
  failsOver("200, then silence", { fault: silentStream, as: "timeout" }),
  {
    name: "cut after content",
    upstreams: [cutAfterContent, goodStream],
    isStream: true,
    reply: STREAM_TEXT,
    expected: { status: 200, attempts: ["upstream_cut"], outcome: "upstream_cut", reply: "reply cut" },
  },
  {
    name: "every upstream fails",
    upstreams: ["refuse", serverError],
    isStream: false,
    reply: ERROR_TEXT,
    expected: {
      status: 500,
      attempts: ["connect_error", "http_status"],
      outcome: "upstream_error",
      reply: "reply as sent",
    },
  },
  {
    name: "an upstream that takes one request a minute",
    upstreams: [goodReply],
    rpm: 1,
    isStream: false,
    reply: REPLY_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "the next request waits in vain",
    upstreams: "same",
    isStream: false,
    reply: null,
    expected: { status: 429, attempts: [], outcome: "no_upstream", reply: "own error" },
  },
  {
    name: "two keys, the first without room",
    upstreams: [busyKey],
    keys: [BUSY_KEY, "selftest-key-with-room"],
    isStream: false,
    reply: REPLY_TEXT,
    expected: { status: 200, attempts: ["http_status", "ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "the next request spares that key",
    upstreams: "same",
    isStream: false,
    reply: REPLY_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "a model that only the second lists",
    upstreams: [serverError, goodReply],
    lists: [["another"], ["selftest"]],
    isStream: false,
    reply: REPLY_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "the first turn of a conversation",
    upstreams: [goodResponse],
    request: FIRST_TURN,
    isStream: false,
    reply: RESPONSE_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "the next turn goes to the same upstream",
    upstreams: "same",
    inFront: serverError,
    request: NEXT_TURN,
    isStream: false,
    reply: RESPONSE_TEXT,
    expected: { status: 200, attempts: ["ok"], outcome: "complete", reply: "reply as sent" },
  },
  {
    name: "no upstream",
    upstreams: [],
    isStream: false,
    reply: null,
    expected: { status: 503, attempts: [], outcome: "no_upstream", reply: "own error" },
  },
  {
    name: "a wrong token",
    upstreams: [goodReply],
    isStream: false,
    hasWrongToken: true,
    reply: null,
    expected: { status: 403, attempts: [], outcome: null, reply: "own error" },
  },
];
