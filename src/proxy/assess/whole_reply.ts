/**
 * Reads a reply to its end before anything of it is relayed, and says whether it is what it claims to be. What it says, the
 * capture decides.
 *
 * A reply that is too large, too slow or broken off is passed on as an open one, with what was read of it.
 */
import type { CaptureProgress } from "../../capture/capture.ts";
import { isReadable } from "../../capture/content_coding.ts";
import { concat } from "../../core/bytes.ts";
import { isErrorText } from "../../core/error_texts.ts";
import { messageOf } from "../../core/errors.ts";
import { isLookUp } from "../../core/look_up.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import type { CapturedReply } from "../../core/types.ts";
import type { SecretMask } from "../relay/masking.ts";
import type {
  Assessing,
  OpenReply,
  ReplyAssessment,
  ReplyProblem,
  UpstreamHead,
  WholeReply,
} from "./assessment.ts";
import { errorTextProblem } from "./error_text.ts";
import { LeadingBlanks } from "./leading_blanks.ts";
import type { TimedRead, TimedReader } from "../../wire/timed_reader.ts";

/** A document up to this size is read whole before anything of it is relayed. */
const WHOLE_LIMIT_BYTES = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values

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

  /** What cannot be looked into is relayed as it comes. */
  get #isReadable(): boolean {
    const [first] = this.#chunks;
    return first === undefined || isReadable(first, this.#context.head.headers.get("content-encoding"));
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
        if (this.#bytes > WHOLE_LIMIT_BYTES || budget.isExceeded || !this.#isReadable) {
          return this.#open(null);
        }
        return null;
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
    const { mask } = this.#context;
    const isMasked = mask !== null && this.#isError;
    const judged = this.#judge(isMasked ? masked(raw, mask) : raw);
    if (isMasked || mask === null || !judged.isSuspect) return judged.reply;
    // An error with a successful status may quote the key, too.
    return this.#judge(masked(raw, mask)).reply;
  }

  #judge(bytes: Uint8Array<ArrayBuffer>): { readonly reply: WholeReply; readonly isSuspect: boolean } {
    const { head, inbound } = this.#context;
    const capture = this.#context.capture(false);
    capture.push(bytes);
    const captured = capture.finish(true);
    const isJudged = !this.#isError && !isLookUp(inbound.method);
    const problem = isJudged
      ? problemOf(capture.progress, captured, head) ?? textProblemOf(captured, head)
      : null;
    const isSuspect = problem !== null || capture.progress.error !== null;
    return { reply: { ...head, type: "whole", bytes, captured, problem }, isSuspect };
  }
}

function masked(bytes: Uint8Array<ArrayBuffer>, mask: SecretMask): Uint8Array<ArrayBuffer> {
  return concat([mask.push(bytes), mask.flush()]);
}

function problemOf(
  { error, defect }: Pick<CaptureProgress, "error" | "defect">,
  { finishReason }: CapturedReply,
  { headers }: UpstreamHead,
): ReplyProblem | null {
  if (error !== null) return badReply(`the reply is an error: ${error.message}`, { error });
  switch (defect) {
    case null:
      return null;
    case "empty":
      return badReply("the reply is empty");
    case "corrupt":
      return badReply(`the reply is labelled ${headers.get("content-encoding")} and does not decode`);
    case "unreadable":
      return badReply("the reply is neither JSON nor an event stream");
    case "wordless":
      return badReply("the reply says nothing", { isFinished: finishReason !== null });
    default:
      return defect satisfies never;
  }
}

/** An error in the form of an answer. */
function textProblemOf({ text }: CapturedReply, { upstream }: UpstreamHead): ReplyProblem | null {
  return isErrorText(text, upstream.shaping.errorTexts, { isOpen: false }) ? errorTextProblem(text) : null;
}

function badReply(
  message: string,
  { error = null, isFinished = false }: {
    readonly error?: ReportedError | null;
    readonly isFinished?: boolean;
  } = {},
): ReplyProblem {
  return { type: "bad_reply", message: message.slice(0, 500), isCut: false, isFinished, error };
}
