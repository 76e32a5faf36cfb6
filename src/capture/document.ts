/**
 * The capture of a reply that is one document: JSON, other text, or binary.
 *
 * Owns the bounded copy of the body and the decision what it is. Nothing is parsed before the end; binary
 * bodies are not kept.
 */
import { beginsLikeEvents, mediaTypeOf } from "../core/body_form.ts";
import { errorOfText } from "../core/reported_error.ts";
import type { CapturedReply } from "../core/types.ts";
import { ByteBuffer } from "./bytes.ts";
import type { Capture, CaptureProgress } from "./capture.ts";
import type { ReplyDraft } from "./draft.ts";
import { EventStreamCapture } from "./event_stream.ts";
import { isCostlyJson } from "./json_cost.ts";
import { asObject, errorOf, isErrorOnly, parseJson } from "./json.ts";
import type { ReplyReader } from "./readers/reader.ts";

/** Enough of a body to distinguish text from binary. */
const SNIFFED_BYTES = 512;
const MAX_UTF8_TAIL_BYTES = 3;
const BINARY_TYPES = /^(audio|image|video|font)\/|^application\/(pdf|zip|gzip|zstd|x-tar|wasm)\b/i;
const TEXT_TYPES = /^text\/|json$/i;

export interface DocumentOptions {
  readonly draft: ReplyDraft;
  readonly reader: ReplyReader;
  readonly contentType: string | null;
  readonly status: number;
  readonly limitBytes: number;
}

export class DocumentCapture implements Capture {
  readonly progress: CaptureProgress;
  readonly #draft: ReplyDraft;
  readonly #reader: ReplyReader;
  readonly #mediaType: string;
  readonly #status: number;
  readonly #body: ByteBuffer;
  #isBinary: boolean;
  #hasOverflowed = false;
  #isSniffed: boolean;

  constructor(options: DocumentOptions) {
    this.#draft = options.draft;
    this.#reader = options.reader;
    this.#mediaType = shownMediaType(options.contentType);
    this.#status = options.status;
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
    const isComplete = isWhole && isCleanEnd && progress.error === null;
    progress.hasContent ||= this.#draft.bytes > 0 && progress.error === null;
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
    this.#draft.text().append(this.#description());
    return this.#reader.isOpaque || this.#status >= 400;
  }

  /** Reads the body; true when, judged by its form, it is whole. */
  #read(): boolean {
    const text = decode(this.#body.view());
    if (this.#hasOverflowed || isCostlyJson(text)) {
      this.#draft.isCut = true;
      this.#keepRaw(text);
      return true;
    }
    const parsed = parseJson(text);
    const json = asObject(parsed);
    if (this.#status >= 400) {
      this.#draft.text().append(text);
      return true;
    }
    if (json !== null && isErrorOnly(json)) {
      this.#draft.setError(errorOf(json) ?? errorOfText("error"));
      this.#draft.text().append(text);
      return false;
    }
    if (json !== null && this.#reader.readDocument(json)) return true;
    if (parsed !== undefined) {
      this.#draft.text().append(text);
      return true;
    }
    return this.#readUnparsed(text);
  }

  #readUnparsed(text: string): boolean {
    if (!this.#reader.isOpaque && beginsLikeEvents(this.#body.view())) return this.#readAsEventStream();
    if (text.length > 0 && this.#isJsonExpected()) this.#draft.parseErrors++;
    this.#keepRaw(text);
    return this.#reader.isOpaque;
  }

  /** Reads an event stream that has no label. */
  #readAsEventStream(): boolean {
    const { bytes } = this.#draft;
    const stream = new EventStreamCapture({ draft: this.#draft, reader: this.#reader });
    stream.push(this.#body.view());
    this.#draft.bytes = bytes;
    return stream.finish(true).isComplete;
  }

  #isJsonExpected(): boolean {
    return !this.#reader.isOpaque || this.#mediaType.endsWith("json");
  }

  #keepRaw(text: string): void {
    const isData = this.#reader.isBulk && text.startsWith("{");
    this.#draft.text().append(isData ? this.#description() : text);
  }

  #description(): string {
    return describeBytes(this.#mediaType, this.#draft.bytes);
  }
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
