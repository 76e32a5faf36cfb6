/**
 * The capture of a reply with a content encoding that was not asked for.
 *
 * Owns a bounded copy of the encoded bytes, which are decoded at the end. Until the first content it also
 * decodes what has arrived so far, so that the commit gate works as for plain streams. It reports no neutral
 * bytes: offsets in the decoded text say nothing about the encoded one.
 */
import zlib from "node:zlib";
import type { CapturedReply } from "../core/types.ts";
import { ByteBuffer } from "./bytes.ts";
import type { Capture } from "./capture.ts";
import { describeBytes, shownMediaType } from "./document.ts";
import { type MutableProgress, ReplyDraft } from "./draft.ts";

/** The gate holds no more than this, so probing further would be useless. */
const PROBED_BYTES = 64 * 1024; // docs/tuning.md#documents
/** Probes made at every chunk; later ones wait until the body has grown by a quarter, so the work is linear. */
const EAGER_PROBES = 128; // docs/tuning.md#documents

export interface EncodedOptions {
  readonly encoding: string;
  readonly contentType: string | null;
  readonly limitBytes: number;
  /** Makes a capture of the decoded bytes. */
  readonly makePlain: () => Capture;
}

export class EncodedCapture implements Capture {
  readonly progress: MutableProgress = {
    hasContent: false,
    hasEvents: false,
    isTerminal: false,
    error: null,
    neutralBytes: 0,
  };
  readonly #options: EncodedOptions;
  readonly #body: ByteBuffer;
  #bytes = 0;
  #isCut = false;
  #probes = 0;
  #probedBytes = 0;

  constructor(options: EncodedOptions) {
    this.#options = options;
    this.#body = new ByteBuffer(options.limitBytes);
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    try {
      if (!this.#body.append(chunk)) this.#isCut = true;
    } catch {
      this.#isCut = true;
    }
    if (this.#isProbeDue()) this.#probe();
  }

  partial(): CapturedReply {
    return this.#describe(false);
  }

  finish(isCleanEnd: boolean): CapturedReply {
    const plain = this.#decode();
    if (plain === null) return this.#describe(isCleanEnd);
    const capture = this.#options.makePlain();
    capture.push(plain);
    const reply = capture.finish(isCleanEnd && !this.#isCut);
    Object.assign(this.progress, capture.progress, { neutralBytes: 0 });
    return { ...reply, bytes: this.#bytes, isTruncated: reply.isTruncated || this.#isCut };
  }

  #isProbeDue(): boolean {
    if (this.progress.hasContent || this.progress.error !== null) return false;
    if (this.#body.length > PROBED_BYTES) return false;
    return this.#probes < EAGER_PROBES || this.#body.length >= this.#probedBytes * 1.25;
  }

  #probe(): void {
    this.#probes++;
    this.#probedBytes = this.#body.length;
    const plain = this.#decode();
    if (plain === null) return;
    const capture = this.#options.makePlain();
    capture.push(plain);
    Object.assign(this.progress, capture.progress, { neutralBytes: 0 });
  }

  /** The decoded bytes so far; null when they cannot be decoded, or exceed the limit. */
  #decode(): Uint8Array | null {
    try {
      return decodeBytes(this.#body.view(), this.#options);
    } catch {
      return null;
    }
  }

  #describe(isComplete: boolean): CapturedReply {
    const draft = new ReplyDraft(this.#options.limitBytes);
    draft.bytes = this.#bytes;
    const what = `${shownMediaType(this.#options.contentType)}, ${this.#options.encoding}-encoded`;
    draft.text().append(describeBytes(what, this.#bytes));
    return draft.toReply(isComplete);
  }
}

/** Decodes whole or cut input; throws on an unknown encoding, on invalid input, and past the limit. */
function decodeBytes(bytes: Uint8Array, { encoding, limitBytes }: EncodedOptions): Uint8Array {
  const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return zlib.gunzipSync(bytes, { finishFlush: Z_SYNC_FLUSH, maxOutputLength: limitBytes });
    case "deflate":
      // RFC 9110 means zlib's format; some servers send raw deflate.
      return isZlib(bytes)
        ? zlib.inflateSync(bytes, { finishFlush: Z_SYNC_FLUSH, maxOutputLength: limitBytes })
        : zlib.inflateRawSync(bytes, { finishFlush: Z_SYNC_FLUSH, maxOutputLength: limitBytes });
    case "br":
      return zlib.brotliDecompressSync(bytes, {
        finishFlush: BROTLI_OPERATION_FLUSH,
        maxOutputLength: limitBytes,
      });
    default:
      throw new RangeError(`Cannot decode content encoding "${encoding}"`);
  }
}

function isZlib(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}
