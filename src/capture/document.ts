/**
 * The capture of a reply that is one document: JSON, other text, or binary.
 *
 * Owns the bounded copy of the body and the decision what it is. Nothing is parsed before the end; binary
 * bodies are not kept.
 */
import { beginsLikeEvents, mediaTypeOf } from "../core/body_form.ts";
import type { CapturedReply, EndpointKind } from "../core/types.ts";
import { ByteBuffer } from "./bytes.ts";
import type { Capture, CaptureProgress, Defect } from "./capture.ts";
import type { ReplyDraft } from "./draft.ts";
import { EventStreamCapture } from "./event_stream.ts";
import { isCostlyJson } from "./json_cost.ts";
import { errorOfBody, judgeDocument, promisesJson, refusesBinary } from "./judge.ts";
import { asObject, parseJson } from "./json.ts";
import type { ReplyReader } from "./readers/reader.ts";
import { type IdListener, readDocumentIds } from "./reply_ids.ts";

/** Enough of a body to distinguish text from binary. */
const SNIFFED_BYTES = 512;
const MAX_UTF8_TAIL_BYTES = 3;
const BINARY_TYPES = /^(audio|image|video|font)\/|^application\/(pdf|zip|gzip|zstd|x-tar|wasm)\b/i;
const TEXT_TYPES = /^text\/|json$/i;

export interface DocumentOptions {
  readonly draft: ReplyDraft;
  readonly reader: ReplyReader;
  readonly kind: EndpointKind;
  readonly contentType: string | null;
  readonly status: number;
  /** See {@link CaptureOptions.isLookUp}. */
  readonly isLookUp: boolean;
  readonly limitBytes: number;
  /** See {@link CaptureOptions.onId}. */
  readonly onId?: IdListener | null;
}

export class DocumentCapture implements Capture {
  readonly progress: CaptureProgress;
  readonly #draft: ReplyDraft;
  readonly #reader: ReplyReader;
  readonly #kind: EndpointKind;
  /** The status says that it is an answer, and it was made for this request. */
  readonly #isJudged: boolean;
  readonly #mediaType: string;
  readonly #status: number;
  readonly #onId: IdListener | null;
  readonly #body: ByteBuffer;
  #isBinary: boolean;
  #hasOverflowed = false;
  #isSniffed: boolean;

  constructor(options: DocumentOptions) {
    this.#draft = options.draft;
    this.#reader = options.reader;
    this.#kind = options.kind;
    this.#isJudged = options.status < 400 && !options.isLookUp;
    this.#mediaType = shownMediaType(options.contentType);
    this.#status = options.status;
    this.#onId = options.onId ?? null;
    this.#body = new ByteBuffer(options.limitBytes);
    this.#isBinary = BINARY_TYPES.test(this.#mediaType);
    this.#isSniffed = TEXT_TYPES.test(this.#mediaType);
    this.progress = options.draft.progress;
  }

  push(chunk: Uint8Array, isLent = false): void {
    this.#draft.bytes += chunk.length;
    if (this.#isBinary) return;
    try {
      const isWhole = isLent ? this.#body.append(chunk) : this.#body.adopt(chunk);
      if (!isWhole) this.#hasOverflowed = true;
    } catch {
      this.#hasOverflowed = true;
    }
    if (!this.#isSniffed && this.#body.length >= SNIFFED_BYTES) this.#sniff();
  }

  partial(): CapturedReply {
    const isDescribed = this.#isBinary || this.#reader.isBulk;
    return {
      ...this.#draft.toReply(false),
      text: isDescribed ? this.#description() : decode(this.#body.view()),
    };
  }

  finish(isCleanEnd: boolean): CapturedReply {
    if (!this.#isSniffed) this.#sniff();
    let isWhole: boolean;
    try {
      isWhole = this.#isBinary ? this.#describe() : this.#read();
    } catch {
      this.#draft.parseErrors++;
      isWhole = this.#reader.isOpaque;
    }
    const { progress } = this.#draft;
    // What broke off is cut, and cannot be judged.
    if (!isCleanEnd) progress.defect = null;
    const isFailed = this.#isJudged && (progress.error !== null || !isFinished(progress.defect, this.#draft));
    const isComplete = isCleanEnd && (!this.#isJudged || isWhole) && !isFailed;
    if (!this.#isJudged) progress.hasContent = this.#draft.bytes > 0;
    else if (this.#draft.bytes > 0 && !promisesJson(this.#kind)) this.#draft.markContent();
    progress.hasEvents ||= this.#draft.bytes > 0;
    progress.isTerminal ||= isComplete;
    return this.#draft.toReply(isComplete);
  }

  #sniff(): void {
    this.#isSniffed = true;
    if (this.#isBinary || isText(this.#body.view().subarray(0, SNIFFED_BYTES))) return;
    this.#isBinary = true;
    this.#body.clear();
  }

  #describe(): boolean {
    this.#draft.text().describe(this.#description());
    if (refusesBinary(this.#kind)) this.#fault("unreadable");
    else this.#draft.markContent();
    return true;
  }

  /** Reads the body; true when, judged by its form, it is whole. */
  #read(): boolean {
    const text = decode(this.#body.view());
    if (this.#hasOverflowed || isCostlyJson(text)) {
      this.#draft.isCut = true;
      // Nobody knows what is in it.
      this.#draft.markContent();
      this.#keepRaw(text);
      return true;
    }
    if (this.#status >= 400) {
      const error = errorOfBody(text);
      if (error !== null) this.#draft.setError(error);
      // What was used until it failed may be charged.
      if (text.includes('"usage"')) this.#draft.addUsage(asObject(parseJson(text))?.usage);
      this.#draft.text().describe(text);
      return true;
    }
    if (text.trim() === "" && promisesJson(this.#kind)) this.#fault("empty");
    const parsed = parseJson(text);
    if (parsed === undefined) return this.#readUnparsed(text);
    this.#readJson(parsed, text);
    return true;
  }

  #readJson(value: unknown, text: string): void {
    const { progress } = this.#draft;
    const json = asObject(value);
    if (json !== null) {
      this.#reader.readDocument(json);
      if (this.#onId !== null) readDocumentIds(json, this.#kind, this.#onId);
    }
    const read = { isSaid: progress.hasContent, isFinished: this.#draft.finishReason !== null };
    const judgement = judgeDocument(value, this.#kind, read);
    if (judgement.type === "error") this.#draft.setError(judgement.error);
    else if (judgement.type === "answer") this.#draft.markContent();
    else if (progress.error === null) this.#fault("wordless");
    // A finished document without a word has none to be kept.
    const isWordless = progress.defect !== null && this.#draft.finishReason !== null;
    if (!this.#draft.isEmpty || isWordless) return;
    if (progress.error === null) this.#keepRaw(text);
    else this.#draft.text().describe(text);
  }

  #fault(defect: Defect): void {
    if (this.#isJudged) this.#draft.progress.defect ??= defect;
  }

  #readUnparsed(text: string): boolean {
    if (!this.#reader.isOpaque && beginsLikeEvents(this.#body.view())) return this.#readAsEventStream();
    const first = parseJson(text.slice(0, Math.max(0, text.indexOf("\n"))));
    if (asObject(first) !== null) return this.#readLines(first, text);
    if (text.length > 0 && this.#isJsonExpected()) this.#draft.parseErrors++;
    if (promisesJson(this.#kind)) this.#fault("unreadable");
    this.#keepRaw(text);
    return this.#reader.isOpaque;
  }

  /** JSON lines: the first one tells whether they are an error. */
  #readLines(first: unknown, text: string): boolean {
    const judgement = judgeDocument(first, this.#kind, { isSaid: false, isFinished: false });
    if (judgement.type === "error") this.#draft.setError(judgement.error);
    else this.#draft.markContent();
    this.#keepRaw(text);
    return true;
  }

  /** Reads an event stream that has no label. */
  #readAsEventStream(): boolean {
    const { bytes, progress } = this.#draft;
    const stream = new EventStreamCapture({
      draft: this.#draft,
      reader: this.#reader,
      kind: this.#kind,
      isLookUp: false,
      onId: this.#onId,
    });
    stream.push(this.#body.view());
    this.#draft.bytes = bytes;
    const { isComplete } = stream.finish(true);
    if (!progress.hasContent && progress.error === null) this.#fault("wordless");
    return isComplete;
  }

  #isJsonExpected(): boolean {
    return !this.#reader.isOpaque || this.#mediaType.endsWith("json");
  }

  #keepRaw(text: string): void {
    const isData = this.#reader.isBulk && text.startsWith("{");
    this.#draft.text().describe(isData ? this.#description() : text);
  }

  #description(): string {
    return describeBytes(this.#mediaType, this.#draft.bytes);
  }
}

/** Nothing is wrong with it, or no more than that it ended without a word. */
function isFinished(defect: Defect | null, { finishReason }: ReplyDraft): boolean {
  return defect === null || (defect === "wordless" && finishReason !== null);
}

/** Describes a body that is not kept: `audio/mpeg, 12345 bytes`. */
export function describeBytes(what: string, bytes: number): string {
  return `${what}, ${bytes} bytes`;
}

/** The media type, as a description names it. */
export function shownMediaType(contentType: string | null): string {
  return mediaTypeOf(contentType) || "unknown type";
}

const decoder = new TextDecoder();

function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Whether bytes are UTF-8 without NUL; the last character may be cut off. */
function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  const strict = new TextDecoder("utf-8", { fatal: true });
  const shortest = Math.max(1, bytes.length - MAX_UTF8_TAIL_BYTES);
  for (let end = bytes.length; end >= shortest; end--) {
    try {
      strict.decode(bytes.subarray(0, end));
      return true;
    } catch {
      continue;
    }
  }
  return bytes.length === 0;
}
