/**
 * Questions to a thread that have no answer yet.
 *
 * Owns their numbers, and how long they may wait.
 */
import type { Clock, TimerId } from "../../core/clock.ts";

interface OpenCall<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: TimerId;
}

export interface OpenCallsOptions {
  readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
  readonly waitMs: number;
  /** Of a question that has waited for too long. */
  readonly late: () => Error;
}

export class OpenCalls<Answer> {
  readonly #options: OpenCallsOptions;
  readonly #open = new Map<number, OpenCall<Answer>>();
  #last = 0;

  constructor(options: OpenCallsOptions) {
    this.#options = options;
  }

  /** Sends a question. @param send gets its number */
  ask(send: (call: number) => void): Promise<Answer> {
    const { clock, waitMs, late } = this.#options;
    return new Promise((resolve, reject) => {
      const call = ++this.#last;
      const timer = clock.setTimer(() => {
        this.#open.delete(call);
        reject(late());
      }, waitMs);
      this.#open.set(call, { resolve, reject, timer });
      send(call);
    });
  }

  /** What nobody waits for any more is ignored. */
  answered(call: number, answer: Answer): void {
    this.#take(call)?.resolve(answer);
  }

  failed(call: number, error: Error): void {
    this.#take(call)?.reject(error);
  }

  failAll(error: () => Error): void {
    for (const call of [...this.#open.keys()]) this.failed(call, error());
  }

  #take(call: number): OpenCall<Answer> | null {
    const open = this.#open.get(call);
    if (open === undefined) return null;
    this.#open.delete(call);
    this.#options.clock.clearTimer(open.timer);
    return open;
  }
}
