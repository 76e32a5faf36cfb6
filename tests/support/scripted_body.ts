/**
 * A reply's body that a test sends piece by piece.
 */
import { Buffer } from "node:buffer";
import type { LendingSource } from "../../src/wire/byte_source.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export class ScriptedBody implements LendingSource {
  readonly #pieces: Bytes[] = [];
  #isEnded = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;
  isReleased = false;

  /** Sends these pieces. */
  send(...pieces: readonly (string | Uint8Array)[]): void {
    for (const piece of pieces) {
      this.#pieces.push(Uint8Array.from(typeof piece === "string" ? Buffer.from(piece) : piece));
    }
    this.#notify();
  }

  end(): void {
    this.#isEnded = true;
    this.#notify();
  }

  breakOff(): void {
    this.#error = new Error("connection reset");
    this.#notify();
  }

  get isDone(): boolean {
    return this.#isEnded && this.#pieces.length === 0;
  }

  take(): Bytes | null {
    return this.#pieces.shift() ?? null;
  }

  lend(): Bytes | null {
    return this.take();
  }

  async read(): Promise<Bytes | null> {
    await this.ready();
    return this.take();
  }

  async ready(): Promise<void> {
    while (this.#pieces.length === 0 && !this.#isEnded) {
      if (this.#error !== null) throw this.#error;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  release(): void {
    this.isReleased = true;
  }

  cancel(): void {}

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
