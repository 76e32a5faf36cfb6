/**
 * Reads a reply to its end before anything of it is relayed, and says whether it is what it claims to be.
 *
 * A reply that is too large, too slow or broken off is passed on as an open one, with what was read of it.
 */
import { asObject, parseJson, readError } from "../../capture/json.ts";
import { concat } from "../../core/bytes.ts";
import { messageOf } from "../../core/errors.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import type { CapturedReply, EndpointKind } from "../../core/types.ts";
import { isDecodable } from "./encoding.ts";
import type { Assessing, OpenReply, ReplyAssessment, ReplyProblem, WholeReply } from "./assessment.ts";
import { LeadingBlanks } from "./leading_blanks.ts";
import type { TimedRead, TimedReader } from "../../wire/timed_reader.ts";

/** JSON up to this size is read whole before anything of it is relayed. */
const WHOLE_LIMIT_BYTES = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values

/** Kinds whose successful reply is always a JSON document. */
const JSON_KINDS: ReadonlySet<EndpointKind> = new Set(
  ["chat", "completions", "responses", "messages", "embeddings", "images", "moderations", "models"],
);

export class WholeReplyReader {
  readonly #reader: TimedReader;
  readonly #context: Assessing;
  readonly #chunks: Uint8Array<ArrayBuffer>[];
  #bytes: number;
  readonly #blanks: LeadingBlanks;

  /** @param chunks what was read before */
  constructor(reader: TimedReader, context: Assessing, chunks: Uint8Array<ArrayBuffer>[] = []) {
    this.#reader = reader;
    this.#context = context;
    this.#chunks = chunks;
    this.#bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#blanks = new LeadingBlanks(context);
  }

  /** Synchronous when the whole body arrived with the head, as it nearly always does. */
  assess(): ReplyAssessment | Promise<ReplyAssessment> {
    if ((this.#context.head.contentLength ?? 0) > WHOLE_LIMIT_BYTES) return this.#open(null);
    return this.#take() ?? this.#read();
  }

  get #isError(): boolean {
    return this.#context.head.status >= 400;
  }

  /** Takes what has arrived; null when more must follow. */
  #take(): ReplyAssessment | null {
    for (let next = this.#reader.take(); next !== null; next = this.#reader.take()) {
      const assessment = this.#add(next);
      if (assessment !== null) return assessment;
    }
    return null;
  }

  async #read(): Promise<ReplyAssessment> {
    const { idleTimeoutMs } = this.#context.times;
    for (;;) {
      const dueInMs = this.#blanks.dueInMs;
      if (dueInMs === 0) return this.#open(null);
      const read = await this.#reader.read(Math.min(idleTimeoutMs, dueInMs ?? Infinity));
      if (read.type === "late" && dueInMs !== null && dueInMs <= idleTimeoutMs) return this.#open(null);
      const assessment = this.#add(read) ?? this.#take();
      if (assessment !== null) return assessment;
    }
  }

  /** The assessment, if this read decides it. */
  #add(read: TimedRead): ReplyAssessment | null {
    const { times, account, budget } = this.#context;
    switch (read.type) {
      case "chunk":
        this.#chunks.push(read.bytes);
        this.#bytes += read.bytes.length;
        this.#blanks.push(read.bytes);
        account.take(read.bytes.length);
        return this.#bytes > WHOLE_LIMIT_BYTES || budget.isExceeded ? this.#open(null) : null;
      case "end":
        return this.#whole();
      case "late":
        return this.#open({ type: "timeout", phase: "body", limitMs: times.idleTimeoutMs });
      case "broken":
        return this.#open({
          type: "bad_reply",
          message: `the reply broke off after ${this.#bytes} bytes: ${messageOf(read.error)}`,
          isCut: true,
          isFinished: false,
          error: null,
        });
      default:
        return read satisfies never;
    }
  }

  /** An error reply is relayed as far as it came; only a successful one must be complete. */
  #open(problem: ReplyProblem | null): OpenReply {
    return {
      ...this.#context.head,
      type: "open",
      held: this.#chunks,
      isHeldCaptured: false,
      body: this.#reader.rest(),
      capture: this.#context.capture(false),
      isEventStream: false,
      mask: this.#isError ? this.#context.mask : null,
      errorEventMask: null,
      problem: this.#isError ? null : problem,
    };
  }

  #whole(): WholeReply {
    const [first] = this.#chunks;
    const raw = this.#chunks.length === 1 && first !== undefined ? first : concat(this.#chunks);
    const { mask, inbound } = this.#context;
    const error = this.#isError ? null : onlyError(raw);
    const isMasked = mask !== null && (this.#isError || error !== null);
    const bytes = isMasked ? concat([mask.push(raw), mask.flush()]) : raw;
    const capture = this.#context.capture(false);
    capture.push(bytes);
    const captured = capture.finish(true);
    const encoding = this.#context.head.headers.get("content-encoding");
    const problem = this.#isError
      ? null
      : documentProblem({ bytes, error, encoding }, captured, inbound.kind);
    return { ...this.#context.head, type: "whole", bytes, captured, problem };
  }
}

function documentProblem(
  document: {
    readonly bytes: Uint8Array;
    readonly error: ReportedError | null;
    readonly encoding: string | null;
  },
  captured: CapturedReply,
  kind: EndpointKind,
): ReplyProblem | null {
  if (JSON_KINDS.has(kind)) {
    if (document.bytes.length === 0) return badReply("the reply is empty");
    if (!isDecodable(document.bytes, document.encoding)) {
      return badReply(`the reply is labelled ${document.encoding} and does not decode`);
    }
    if (captured.parseErrors > 0) return badReply("the reply is labelled JSON and is not JSON");
  }
  const { error } = document;
  return error === null ? null : badReply(`the reply is an error: ${error.message}`, error);
}

function badReply(message: string, error: ReportedError | null = null): ReplyProblem {
  return { type: "bad_reply", message: message.slice(0, 500), isCut: false, isFinished: false, error };
}

/** Keys that may stand beside `error` in an object that is only an error. */
const ERROR_COMPANIONS = new Set([
  "error",
  "type",
  "code",
  "message",
  "status",
  "success",
  "param",
  "request_id",
  "user_id",
  "timestamp",
]);

const decoder = new TextDecoder();
const QUOTE = 0x22;
const OPENING_BRACE = 0x7b;
const SPACE = 0x20;
const MAX_KEY_LENGTH = 32;

/** The error of a JSON object that is only an error; null for anything else. */
export function onlyError(bytes: Uint8Array): ReportedError | null {
  // First, because the first key of nearly every reply shows that it is no error.
  const firstKey = firstKeyOf(bytes);
  if (firstKey !== null && !ERROR_COMPANIONS.has(firstKey)) return null;
  try {
    const text = decoder.decode(bytes);
    if (!text.includes('"error"')) return null;
    const parsed = asObject(parseJson(text));
    if (!parsed?.error || !Object.keys(parsed).every((key) => ERROR_COMPANIONS.has(key))) return null;
    return readError(parsed.error);
  } catch {
    return null;
  }
}

/** The first key of a JSON object; null when it does not begin like one. */
function firstKeyOf(bytes: Uint8Array): string | null {
  const brace = endOfBlanks(bytes, 0);
  const quote = endOfBlanks(bytes, brace + 1);
  if (bytes[brace] !== OPENING_BRACE || bytes[quote] !== QUOTE) return null;
  let key = "";
  for (let at = quote + 1; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) return key;
    key += String.fromCharCode(byte);
    // Longer than any key that matters.
    if (key.length > MAX_KEY_LENGTH) return key;
  }
  return null;
}

function endOfBlanks(bytes: Uint8Array, start: number): number {
  let end = start;
  while (end < bytes.length && (bytes[end] ?? 0) <= SPACE) end++;
  return end;
}
