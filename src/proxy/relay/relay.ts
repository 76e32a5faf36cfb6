/**
 * The one pump: bytes of the chosen reply to the client, each shown to the capture, with backpressure both ways.
 *
 * The upstream is read only when the client has taken what came before. The last bytes of a reply wait for its
 * record's commit (`onEnd`), so that a client never holds a whole reply that was not recorded.
 */
import { messageOf } from "../../core/errors.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { InboundExchange } from "../../wire/exchange.ts";
import type { OpenReply } from "../assess/assessment.ts";
import type { FairReadScheduler } from "./fair_reads.ts";

/** How the relay of a reply ended. */
export type RelayEnd =
  | { readonly type: "end" }
  /** The protocol's own end marker has come; the body may still go on. */
  | { readonly type: "terminal" }
  | { readonly type: "cut"; readonly message: string }
  | { readonly type: "idle"; readonly limitMs: number }
  | { readonly type: "client_gone" }
  /** The client has taken nothing for this long. */
  | { readonly type: "client_stalled"; readonly limitMs: number }
  /** The program must end now. */
  | { readonly type: "stopped" };

/** What the pump needs of a reply. */
export type RelaySource = Pick<
  OpenReply,
  "held" | "isHeldCaptured" | "body" | "capture" | "mask" | "errorEventMask" | "contentLength"
>;

export interface RelayHooks {
  /** After each chunk, of this many bytes, was shown to the capture. */
  onProgress(bytes: number): void;
  /**
   * Once for `terminal`, once for whatever comes last. What comes after is held back until it resolves.
   */
  onEnd(end: RelayEnd): Promise<void>;
}

/** The client's side of a reply whose head has been begun. */
export type ReplyWriter = Pick<InboundExchange, "write" | "end" | "cut">;

export interface RelayContext {
  readonly client: ReplyWriter;
  readonly clock: Clock;
  /** How long the upstream may send nothing. */
  readonly idleTimeoutMs: number;
  /** How long the client may take nothing. */
  readonly clientTimeoutMs: number;
  /** Shared by all that are relayed at the same time. */
  readonly pace: FairReadScheduler;
}

const NOTHING = new Uint8Array(0);

/** One reply on its way to the client. */
export class Relay {
  readonly #source: RelaySource;
  readonly #hooks: RelayHooks;
  readonly #client: ReplyWriter;
  readonly #idle: IdleTimer;
  readonly #stall: IdleTimer;
  readonly #pace: FairReadScheduler;
  #heldAt = 0;
  #bytes = 0;
  #isTerminalSeen = false;
  #isOver = false;
  #isIdle = false;

  constructor(source: RelaySource, hooks: RelayHooks, { client, clock, pace, ...times }: RelayContext) {
    this.#source = source;
    this.#hooks = hooks;
    this.#client = client;
    this.#pace = pace;
    this.#idle = new IdleTimer(clock, times.idleTimeoutMs, () => {
      this.#isIdle = true;
      source.body.cancel();
    });
    this.#stall = new IdleTimer(clock, times.clientTimeoutMs, () => void this.#stalled());
  }

  /**
   * Gives the client everything, and ends its reply, or cuts it off. Never rejects.
   *
   * One function waits for both sides: each further one on the way of an event would cost as much as parsing it.
   */
  async run(): Promise<void> {
    while (!this.#isOver) {
      const { body, held } = this.#source;
      const waiting = held[this.#heldAt];
      const chunk = waiting ?? body.lend();
      const isRest = chunk === null && body.isDone;
      if (chunk === null && !isRest) {
        this.#idle.start();
        try {
          await body.ready();
        } catch (error) {
          return await this.#broken(error);
        }
        this.#idle.pause();
        if (this.#isIdle && !this.#isOver) return await this.#broken(null);
        continue;
      }
      if (waiting !== undefined) this.#heldAt++;
      const bytes = chunk === null ? this.#takeRest() : this.#take(chunk, { isHeld: waiting !== undefined });
      if (bytes.length === 0) {
        if (isRest) return await this.#finish();
        continue;
      }
      if (this.#isWhole()) return await this.#endWith(bytes);
      if (!this.#isTerminalSeen && (isRest || this.#isLast())) {
        this.#isTerminalSeen = true;
        await this.#hooks.onEnd({ type: "terminal" });
        if (this.#isOver) return;
      }
      this.#stall.start();
      try {
        await this.#client.write(bytes);
      } catch {
        await this.cancel();
      }
      this.#stall.pause();
      const turn = this.#isTerminalSeen ? null : this.#pace.relayed();
      if (turn !== null) await turn;
    }
  }

  /** Everything has come, this chunk included: its bytes and the reply's end go out together. */
  async #endWith(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#idle.stop();
    await this.#hooks.onEnd({ type: "end" });
    if (this.#isOver) return;
    this.#stall.start();
    try {
      await this.#client.end(chunk);
    } catch {
      // It has left while the last bytes were on their way: the reply itself was whole.
    }
    this.#stop();
    this.#source.body.release();
  }

  /** The client left. */
  async cancel(): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#source.body.cancel();
    await this.#hooks.onEnd({ type: "client_gone" });
  }

  /** Sends nothing more; the end of the program then breaks the connection. */
  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#source.body.cancel();
    await this.#hooks.onEnd({ type: "stopped" });
  }

  async #stalled(): Promise<void> {
    await this.#fail({ type: "client_stalled", limitMs: this.#stall.limitMs });
  }

  /** Nothing more goes out. */
  #stop(): void {
    this.#isOver = true;
    this.#idle.stop();
    this.#stall.stop();
  }

  /** Shows bytes to the capture; what the client gets of them. What is not held is lent. */
  #take(chunk: Uint8Array<ArrayBuffer>, { isHeld }: { isHeld: boolean }): Uint8Array<ArrayBuffer> {
    const { mask, errorEventMask, capture, isHeldCaptured } = this.#source;
    this.#bytes += chunk.length;
    const bytes = mask === null ? chunk : mask.push(chunk);
    if (!isHeld || !isHeldCaptured) capture.push(bytes, !isHeld);
    this.#hooks.onProgress(bytes.length);
    const isError = errorEventMask !== null && capture.progress.errorMessage !== null;
    return isError ? errorEventMask.maskWithin(bytes) : bytes;
  }

  /** What the mask has held back, once the body has ended. */
  #takeRest(): Uint8Array<ArrayBuffer> {
    const rest = this.#source.mask?.flush() ?? NOTHING;
    if (rest.length > 0) this.#source.capture.push(rest);
    return rest;
  }

  #isWhole(): boolean {
    const { held, body, mask, contentLength } = this.#source;
    if (this.#heldAt < held.length || !body.isDone || mask !== null) return false;
    return contentLength === null || this.#bytes === contentLength;
  }

  #isLast(): boolean {
    if (this.#heldAt < this.#source.held.length) return false;
    return this.#source.capture.progress.isTerminal || this.#bytes === this.#source.contentLength;
  }

  /** Everything has gone out, and the body has ended. */
  async #finish(): Promise<void> {
    const { contentLength } = this.#source;
    if (contentLength !== null && this.#bytes < contentLength) {
      const message = `the body ended after ${this.#bytes} of ${contentLength} bytes`;
      return await this.#fail({ type: "cut", message });
    }
    this.#stop();
    await this.#hooks.onEnd({ type: "end" });
    try {
      await this.#client.end();
    } catch {
      // It has everything but the end, and has left.
    }
  }

  async #broken(error: unknown): Promise<void> {
    const idle: RelayEnd = { type: "idle", limitMs: this.#idle.limitMs };
    await this.#fail(this.#isIdle ? idle : { type: "cut", message: messageOf(error) });
  }

  async #fail(end: RelayEnd): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#source.body.cancel();
    await this.#hooks.onEnd(end);
    this.#client.cut();
  }
}

/** A wait is noticed when it began before one of so many looks within the limit; one may be late by that much. */
const LOOKS = 16;

/** Fires after `limitMs` of waiting, or a sixteenth later; one timer for many waits, which cost next to nothing. */
class IdleTimer {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #timer: TimerId | null = null;
  #isWaiting = false;
  /** Counts waits, so that a look can tell whether it is still the same one. */
  #wait = 0;
  #seenWait = 0;
  #seenAtMs = 0;

  constructor(clock: Clock, readonly limitMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  start(): void {
    this.#isWaiting = true;
    this.#wait++;
    if (this.#timer === null) this.#look();
  }

  pause(): void {
    this.#isWaiting = false;
  }

  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    this.#timer = null;
    if (!this.#isWaiting) return;
    const nowMs = this.#clock.monotonic();
    if (this.#wait !== this.#seenWait) {
      this.#seenWait = this.#wait;
      this.#seenAtMs = nowMs;
    }
    const leftMs = this.#seenAtMs + this.limitMs - nowMs;
    if (leftMs <= 0) return this.#onIdle();
    this.#timer = this.#clock.setTimer(() => this.#look(), Math.min(leftMs, this.limitMs / LOOKS));
  }
}
