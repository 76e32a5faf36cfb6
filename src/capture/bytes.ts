/**
 * A growable run of bytes with a fixed ceiling.
 *
 * Owns its storage: what is appended is copied, so that no caller's chunk is kept alive. Growth is by
 * doubling, which keeps the total copying linear however small the pieces are.
 */

const FIRST_CAPACITY_BYTES = 1024;
const KEPT_CAPACITY_BYTES = 64 * 1024;

export class ByteBuffer {
  readonly #limitBytes: number;
  #storage = new Uint8Array(0);
  #length = 0;

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
    if (needed > this.#storage.length) this.#grow(needed);
    this.#storage.set(kept, this.#length);
    this.#length = needed;
    return isWhole;
  }

  /** The bytes so far, without a copy; valid until the next change. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#storage.subarray(0, this.#length);
  }

  /** Forgets the bytes, and gives a large storage back. */
  clear(): void {
    this.#length = 0;
    if (this.#storage.length > KEPT_CAPACITY_BYTES) this.#storage = new Uint8Array(0);
  }

  #grow(needed: number): void {
    const doubled = Math.max(FIRST_CAPACITY_BYTES, this.#storage.length * 2);
    const grown = new Uint8Array(Math.max(needed, Math.min(doubled, this.#limitBytes)));
    grown.set(this.#storage.subarray(0, this.#length));
    this.#storage = grown;
  }
}
