/**
 * The bytes of one reply that were read and not sent yet.
 *
 * Small pieces are put together in blocks: a stream that is held to its end may come in a hundred thousand of them, and
 * each object costs more memory than the event it holds.
 */
import { concat } from "../../core/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Larger pieces stay as they are. */
const MAX_COPIED_BYTES = 2 * 1024; // docs/tuning.md#budgets-and-remembered-values
const MIN_BLOCK_BYTES = 1024;
/** Blocks grow with what is held, up to this. */
const MAX_BLOCK_BYTES = 64 * 1024; // docs/tuning.md#budgets-and-remembered-values

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

export class HeldBytes {
  #chunks: Bytes[] = [];
  #length = 0;
  /** The last chunk is lent, or part of a buffer that others share; it must be copied before it is kept for long. */
  #isLastForeign = false;
  #isLastLent = false;
  /** The block whose used part is the last chunk of our own; null when there is none. */
  #block: Bytes | null = null;
  #blockUsed = 0;

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  /** The last one may be lent. */
  get chunks(): readonly Bytes[] {
    return this.#chunks;
  }

  push(chunk: Bytes, { isLent }: { readonly isLent: boolean }): void {
    this.#settleLast();
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    this.#isLastLent = isLent;
    this.#isLastForeign = isLent || chunk.length <= MAX_COPIED_BYTES;
    if (!this.#isLastForeign) this.#block = null;
  }

  /** Copies a lent chunk; call before the reader is asked again. */
  own(): void {
    if (this.#isLastLent) this.#settleLast();
  }

  /** Removes the first `count` bytes, and returns them. */
  takeFirst(count: number): Bytes {
    if (count <= 0) return new Uint8Array();
    const all = concat(this.#chunks);
    const rest = all.slice(count);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#length = rest.length;
    this.#isLastForeign = this.#isLastLent = false;
    this.#block = null;
    return all.slice(0, count);
  }

  #settleLast(): void {
    if (!this.#isLastForeign) return;
    this.#isLastForeign = this.#isLastLent = false;
    const last = this.#chunks.pop();
    if (last !== undefined) this.#keep(last);
  }

  #keep(bytes: Bytes): void {
    if (bytes.length > MAX_COPIED_BYTES) {
      this.#chunks.push(bytes.slice());
      this.#block = null;
      return;
    }
    let block = this.#block;
    if (block === null || this.#blockUsed + bytes.length > block.length) {
      const wished = Math.min(MAX_BLOCK_BYTES, Math.max(MIN_BLOCK_BYTES, this.#length));
      block = new Uint8Array(Math.max(wished, bytes.length));
      this.#block = block;
      this.#blockUsed = 0;
    } else {
      this.#chunks.pop();
    }
    block.set(bytes, this.#blockUsed);
    this.#blockUsed += bytes.length;
    this.#chunks.push(block.subarray(0, this.#blockUsed));
  }
}

/** The same bytes without the byte order mark at their beginning; the same array when there is none. */
export function withoutByteOrderMark(chunks: readonly Bytes[]): readonly Bytes[] {
  if (chunks[0]?.[0] !== BYTE_ORDER_MARK[0]) return chunks;
  const all = concat(chunks);
  return BYTE_ORDER_MARK.every((byte, at) => all[at] === byte) ? [all.slice(BYTE_ORDER_MARK.length)] : chunks;
}
