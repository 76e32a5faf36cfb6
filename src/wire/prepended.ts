/**
 * A body of which the beginning has been read already, as if it had not.
 */
import type { LendingSource } from "./byte_source.ts";

export class Prepended implements LendingSource {
  #first: Uint8Array<ArrayBuffer> | null;
  readonly #rest: LendingSource;

  /** @param first what was read; may be empty */
  constructor(first: Uint8Array<ArrayBuffer>, rest: LendingSource) {
    this.#first = first.length === 0 ? null : first;
    this.#rest = rest;
  }

  get isDone(): boolean {
    return this.#first === null && this.#rest.isDone;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    return this.#takeFirst() ?? this.#rest.take();
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    return this.#takeFirst() ?? this.#rest.lend();
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const first = this.#takeFirst();
    return first === null ? this.#rest.read() : Promise.resolve(first);
  }

  ready(): Promise<void> {
    return this.#first === null ? this.#rest.ready() : Promise.resolve();
  }

  release(): void {
    this.#rest.release();
  }

  cancel(): void {
    this.#first = null;
    this.#rest.cancel();
  }

  #takeFirst(): Uint8Array<ArrayBuffer> | null {
    const first = this.#first;
    this.#first = null;
    return first;
  }
}
