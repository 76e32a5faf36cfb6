/**
 * Reads a body with a time limit on each read, without losing a read that was late.
 */
import type { Clock } from "../core/clock.ts";
import type { ByteSource, LendingSource } from "./byte_source.ts";

export type TimedRead =
  | { readonly type: "chunk"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "end" }
  | { readonly type: "broken"; readonly error: unknown }
  | { readonly type: "late" };

const LATE: TimedRead = { type: "late" };
const END: TimedRead = { type: "end" };

/** Wraps one body; a `late` read stays pending, and the next call continues it. */
export class TimedReader<Source extends ByteSource = LendingSource> {
  readonly #body: Source;
  readonly clock: Clock;
  #pending: Promise<TimedRead> | null = null;

  constructor(body: Source, clock: Clock) {
    this.#body = body;
    this.clock = clock;
  }

  /** As {@link read}, without waiting; null when it would have to wait. */
  take(): TimedRead | null {
    return this.#pending === null ? this.#come(this.#body.take()) : null;
  }

  /** As {@link take}, lent: see {@link LendingSource.lend}. */
  lend(this: TimedReader<LendingSource>): TimedRead | null {
    return this.#pending === null ? this.#come(this.#body.lend()) : null;
  }

  #come(bytes: Uint8Array<ArrayBuffer> | null): TimedRead | null {
    if (bytes !== null) return { type: "chunk", bytes };
    return this.#body.isDone ? END : null;
  }

  /** Never rejects. `limitMs` <= 0 still returns what has arrived. */
  read(limitMs: number): Promise<TimedRead> {
    const taken = this.take();
    if (taken !== null) return Promise.resolve(taken);
    const pending = this.#pending ??= this.#body.read().then(
      (bytes): TimedRead => bytes === null ? END : { type: "chunk", bytes },
      (error: unknown): TimedRead => ({ type: "broken", error }),
    );
    return new Promise((resolve) => {
      let isLate = false;
      const timer = this.clock.setTimer(() => {
        isLate = true;
        resolve(LATE);
      }, Math.max(0, limitMs));
      void pending.then((result) => {
        if (isLate) return;
        this.clock.clearTimer(timer);
        this.#pending = null;
        resolve(result);
      });
    });
  }

  /** The rest of the body as a plain source, including a read that is still pending. */
  rest(this: TimedReader<LendingSource>): LendingSource {
    return this.#pending === null ? this.#body : new Resumed(this.#body, this.#pending);
  }
}

/** A body with a pending read. */
class Resumed implements LendingSource {
  readonly #body: LendingSource;
  #first: Promise<TimedRead> | null;
  /** Read by {@link Resumed.ready}. */
  #waiting: Uint8Array<ArrayBuffer> | null = null;

  constructor(body: LendingSource, first: Promise<TimedRead>) {
    this.#body = body;
    this.#first = first;
  }

  get isDone(): boolean {
    return this.#first === null && this.#waiting === null && this.#body.isDone;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    if (this.#first !== null) return null;
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting ?? this.#body.take();
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    return this.#first === null && this.#waiting === null ? this.#body.lend() : this.take();
  }

  release(): void {
    this.#body.release();
  }

  async ready(): Promise<void> {
    if (this.#first === null) return await this.#body.ready();
    this.#waiting = await this.read();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#first === null) return await this.#body.read();
    const result = await this.#first;
    this.#first = null;
    switch (result.type) {
      case "chunk":
        return result.bytes;
      case "end":
      case "late":
        return null;
      case "broken":
        throw result.error;
      default:
        return result satisfies never;
    }
  }

  cancel(): void {
    this.#body.cancel();
  }
}
