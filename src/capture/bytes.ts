/**
 * A growable byte buffer with a fixed limit.
 *
 * Appended chunks are copied, so that none is kept alive; an adopted chunk is kept without a copy. The capacity
 * doubles, which keeps the total copying linear however small the chunks are.
 */

const FIRST_CAPACITY_BYTES = 1024; // docs/tuning.md#event-streams
const KEPT_CAPACITY_BYTES = 64 * 1024;

export class ByteBuffer {
  readonly #limitBytes: number;
  #storage: Uint8Array = new Uint8Array(0);
  #length = 0;
  /** False while the storage is an adopted chunk. */
  #isOwn = false;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends as much as the limit allows; false when something did not fit. */
  append(bytes: Uint8Array): boolean {
    const room = this.#limitBytes - this.#length;
    const isWhole = bytes.length <= room;
    const kept = isWhole ? bytes : bytes.subarray(0, Math.max(0, room));
    const needed = this.#length + kept.length;
    if (needed > this.#storage.length || !this.#isOwn) this.#grow(needed);
    this.#storage.set(kept, this.#length);
    this.#length = needed;
    return isWhole;
  }

  /** Keeps the first chunk, which must never change, without a copy; false when it did not fit. */
  adopt(bytes: Uint8Array): boolean {
    if (this.#length > 0 || bytes.length > this.#limitBytes) return this.append(bytes);
    this.#storage = bytes;
    this.#isOwn = false;
    this.#length = bytes.length;
    return true;
  }

  /** The bytes so far, without a copy; valid until the next change. */
  view(): Uint8Array {
    return this.#storage.subarray(0, this.#length);
  }

  /** Empties the buffer and releases a large storage. */
  clear(): void {
    this.#length = 0;
    if (this.#isOwn && this.#storage.length <= KEPT_CAPACITY_BYTES) return;
    this.#storage = new Uint8Array(0);
    this.#isOwn = false;
  }

  #grow(needed: number): void {
    const doubled = Math.max(FIRST_CAPACITY_BYTES, this.#storage.length * 2);
    const grown = new Uint8Array(Math.max(needed, Math.min(doubled, this.#limitBytes)));
    grown.set(this.#storage.subarray(0, this.#length));
    this.#storage = grown;
    this.#isOwn = true;
  }
}
