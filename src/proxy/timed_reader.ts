/**
 * Reads a body with a limit on each wait, without losing the read that was late.
 */
import type { Clock } from "../core/types.ts";
import type { ReplyBody } from "./transport.ts";

export type TimedRead =
  | { readonly type: "chunk"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "end" }
  | { readonly type: "broken"; readonly error: unknown }
  | { readonly type: "late" };

const LATE: TimedRead = { type: "late" };
const END: TimedRead = { type: "end" };

/** Wraps one body; a `late` read stays pending and is taken up by the next call. */
export class TimedReader {
  readonly #body: ReplyBody;
  readonly #clock: Clock;
  #pending: Promise<TimedRead> | null = null;

  constructor(body: ReplyBody, clock: Clock) {
    this.#body = body;
    this.#clock = clock;
  }

  /** Never rejects. `limitMs` <= 0 still takes what is already there. */
  async read(limitMs: number): Promise<TimedRead> {
    this.#pending ??= this.#body.read().then(
      (bytes): TimedRead => bytes === null ? END : { type: "chunk", bytes },
      (error: unknown): TimedRead => ({ type: "broken", error }),
    );
    let timer: number | null = null;
    const late = new Promise<TimedRead>((resolve) => {
      timer = this.#clock.setTimer(() => resolve(LATE), Math.max(0, limitMs));
    });
    try {
      const result = await Promise.race([this.#pending, late]);
      if (result !== LATE) this.#pending = null;
      return result;
    } finally {
      if (timer !== null) this.#clock.clearTimer(timer);
    }
  }

  /** The body as a plain one again, beginning with a read that is still pending. */
  rest(): ReplyBody {
    if (this.#pending === null) return this.#body;
    return {
      read: async () => {
        if (this.#pending === null) return this.#body.read();
        const result = await this.#pending;
        this.#pending = null;
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
      },
      cancel: () => this.#body.cancel(),
    };
  }
}
