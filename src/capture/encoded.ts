/**
 * The capture of a reply with a content encoding.
 *
 * Owns a bounded copy of the encoded bytes, which are decoded at the end. Until the first content it also decodes what has
 * arrived so far, so that the commit gate works as for plain streams. It reports no neutral bytes: offsets in the decoded
 * text say nothing about the encoded one. What is not encoded, whatever its label says, is read as it is; what cannot be
 * decoded counts as content, since nobody could know better.
 */
import type { ContentCoding } from "../core/content_coding.ts";
import { errorOfText } from "../core/reported_error.ts";
import type { CapturedReply } from "../core/types.ts";
import { ByteBuffer } from "./bytes.ts";
import {
  type Capture,
  type CaptureOptions,
  type CaptureProgress,
  DEFAULT_CAPTURE_LIMIT_BYTES,
  type TextLengths,
} from "./capture.ts";
import { codingsOf, type Decoded, type DecodeOptions, looksPlain, undo } from "./content_coding.ts";
import { describeBytes, shownMediaType } from "./document.ts";
import { type MutableProgress, ReplyDraft } from "./draft.ts";
import { promisesJson } from "./judge.ts";

/** A stream without content in this much of its encoded bytes is looked into no further, and relayed as it comes. */
const PROBED_BYTES = 256 * 1024; // docs/tuning.md#documents
/** What one probe may decode. */
const PROBE_LIMIT_BYTES = 2 * 1024 * 1024; // docs/tuning.md#documents
/** Bytes that all probes together may read and write: so many, and so many for each byte that has come. The same then. */
const PROBE_ALLOWANCE_BYTES = 4 * 1024 * 1024; // docs/tuning.md#documents
const PROBE_ALLOWANCE_FACTOR = 16; // docs/tuning.md#documents
/** What a probe costs at least, in bytes decoded. */
const PROBE_COST_BYTES = 8 * 1024; // docs/tuning.md#documents

/** `plain`: not encoded; `opaque`: nobody can look into it. */
type Form = "unknown" | "plain" | "encoded" | "opaque";

export class EncodedCapture implements Capture {
  readonly #options: CaptureOptions;
  readonly #limitBytes: number;
  readonly #codings: readonly ContentCoding[] | null;
  readonly #body: ByteBuffer;
  /** Reads what was decoded. */
  readonly #plain: Capture;
  /** How much of it has been read. */
  #plainBytes = 0;
  #form: Form = "unknown";
  /** What the capture of the decoded bytes does not know. */
  readonly #own: Pick<MutableProgress, "hasContent" | "error" | "defect"> = {
    hasContent: false,
    error: null,
    defect: null,
  };
  #bytes = 0;
  #isCut = false;
  #spentBytes = 0;

  /** @param makePlain makes a capture of the decoded bytes */
  constructor(options: CaptureOptions, makePlain: () => Capture) {
    this.#options = options;
    this.#limitBytes = options.limitBytes ?? DEFAULT_CAPTURE_LIMIT_BYTES;
    this.#codings = codingsOf(options.contentEncoding ?? null);
    this.#body = new ByteBuffer(this.#limitBytes);
    this.#plain = makePlain();
  }

  get progress(): CaptureProgress {
    const { progress } = this.#plain;
    if (this.#form === "plain") return progress;
    return {
      ...progress,
      hasContent: progress.hasContent || this.#own.hasContent,
      hasEvents: progress.hasEvents || this.#own.hasContent,
      error: progress.error ?? this.#own.error,
      defect: progress.defect ?? this.#own.defect,
      neutralBytes: 0,
    };
  }

  push(chunk: Uint8Array, isLent = false): void {
    if (this.#form === "plain") return this.#plain.push(chunk, isLent);
    this.#bytes += chunk.length;
    try {
      if (!this.#body.append(chunk)) this.#isCut = true;
    } catch {
      this.#isCut = true;
    }
    if (this.#form === "unknown") this.#settleForm();
    if (this.#form === "encoded" && this.#options.isEventStream) this.#probe();
  }

  partial(): CapturedReply {
    return this.#form === "plain" ? this.#plain.partial() : this.#describe(false);
  }

  partialFrom(from: TextLengths): CapturedReply | null {
    return this.#form === "plain" ? this.#plain.partialFrom?.(from) ?? null : null;
  }

  finish(isCleanEnd: boolean): CapturedReply {
    if (this.#form === "unknown") this.#settleShort();
    if (this.#form === "plain") return this.#plain.finish(isCleanEnd);
    if (this.#form === "opaque") return this.#describe(isCleanEnd);
    const isWhole = isCleanEnd && !this.#isCut;
    const decoded = this.#decode({ limitBytes: this.#limitBytes, isCut: !isWhole });
    if (decoded.type === "decoded") return this.#finishPlain(decoded.bytes, isCleanEnd);
    if (decoded.type === "corrupt") return this.#finishCorrupt(isCleanEnd);
    this.#own.hasContent = true;
    return this.#describe(isCleanEnd);
  }

  #finishPlain(bytes: Uint8Array, isCleanEnd: boolean): CapturedReply {
    this.#give(bytes);
    const reply = this.#plain.finish(isCleanEnd && !this.#isCut);
    if (!this.#isCut) return { ...reply, bytes: this.#bytes };
    // The rest was not kept, and nobody knows what is in it.
    this.#own.hasContent = true;
    return { ...reply, bytes: this.#bytes, isComplete: isCleanEnd, isTruncated: true };
  }

  /** No client can use it. What could be decoded is kept. */
  #finishCorrupt(isCleanEnd: boolean): CapturedReply {
    if (isCleanEnd) this.#markCorrupt();
    const decoded = this.#decode({ limitBytes: this.#limitBytes, isCut: true });
    const isRefused = this.#own.error !== null || this.#own.defect !== null;
    if (decoded.type !== "decoded" || decoded.bytes.length === 0) {
      return this.#describe(isCleanEnd && !isRefused);
    }
    this.#give(decoded.bytes);
    const reply = this.#plain.finish(false);
    return { ...reply, bytes: this.#bytes, isComplete: isCleanEnd && !isRefused };
  }

  #settleForm(): void {
    const isPlain = looksPlain(this.#body.view(), this.#codings);
    if (isPlain === true) this.#beginPlain();
    else if (isPlain === false) this.#settleEncoded();
  }

  #settleEncoded(): void {
    this.#form = this.#codings === null ? "opaque" : "encoded";
    if (this.#form === "opaque") this.#own.hasContent = true;
  }

  /** A body too short to tell its form. */
  #settleShort(): void {
    if (looksPlain(this.#body.view(), null) === false) this.#settleEncoded();
    else this.#beginPlain();
  }

  #beginPlain(): void {
    this.#form = "plain";
    this.#plain.push(this.#body.view(), true);
    this.#body.clear();
  }

  #probe(): void {
    const { hasContent, error } = this.progress;
    if (hasContent || error !== null) return;
    const costBytes = Math.max(PROBE_COST_BYTES, this.#body.length + this.#plainBytes);
    const allowedBytes = PROBE_ALLOWANCE_BYTES + this.#bytes * PROBE_ALLOWANCE_FACTOR;
    if (this.#body.length > PROBED_BYTES || this.#spentBytes + costBytes > allowedBytes) {
      this.#own.hasContent = true;
      return;
    }
    this.#spentBytes += costBytes;
    const limitBytes = Math.min(this.#limitBytes, PROBE_LIMIT_BYTES);
    const decoded = this.#decode({ limitBytes, isCut: true });
    if (decoded.type === "decoded") this.#give(decoded.bytes);
    else if (decoded.type === "too_large") this.#own.hasContent = true;
    else this.#markCorrupt();
  }

  /** Shows decoded bytes, from the first one on, to the capture that reads them. */
  #give(bytes: Uint8Array): void {
    if (bytes.length <= this.#plainBytes) return;
    this.#spentBytes += bytes.length - this.#plainBytes;
    this.#plain.push(bytes.subarray(this.#plainBytes));
    this.#plainBytes = bytes.length;
  }

  #markCorrupt(): void {
    const { kind, status, isLookUp, isEventStream, contentEncoding } = this.#options;
    if (status >= 400 || isLookUp === true || !promisesJson(kind)) this.#own.hasContent = true;
    else if (isEventStream) {
      this.#own.error = errorOfText(`the stream is labelled ${contentEncoding} and does not decode`);
    } else this.#own.defect = "corrupt";
  }

  #decode(options: DecodeOptions): Decoded {
    return undo(this.#body.view(), this.#codings, options);
  }

  #describe(isComplete: boolean): CapturedReply {
    const { contentType, contentEncoding } = this.#options;
    const draft = new ReplyDraft(this.#limitBytes);
    draft.bytes = this.#bytes;
    const what = `${shownMediaType(contentType)}, ${(contentEncoding ?? "").trim().toLowerCase()}-encoded`;
    draft.text().describe(describeBytes(what, this.#bytes));
    return draft.toReply(isComplete);
  }
}
