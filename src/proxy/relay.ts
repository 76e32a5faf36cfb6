/**
 * The one pump: bytes of the chosen reply to the client, each shown to the capture, with backpressure both ways.
 *
 * Pull-driven: the upstream is read only when the client takes more. The last bytes of a reply wait for its
 * record's commit (`onEnd`), so that a client never holds a whole reply that was not recorded.
 */
import type { Capture } from "../capture/capture.ts";
import { messageOf } from "../core/errors.ts";
import type { Clock } from "../core/types.ts";
import type { SecretMask } from "./masking.ts";
import type { ReplyBody } from "./transport.ts";

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

export interface RelaySource {
  readonly held: readonly Uint8Array<ArrayBuffer>[];
  readonly isHeldCaptured: boolean;
  readonly body: ReplyBody;
  readonly capture: Capture;
  /** For an error body. */
  readonly mask: SecretMask | null;
  /** For an event stream. */
  /** Applied to the chunks of a stream from its error event on; a chunk is never held back for it. */
  readonly errorEventMask: SecretMask | null;
  /** Declared length of the whole body in bytes; null when unknown. */
  readonly contentLength: number | null;
}

export interface RelayHooks {
  /** After each chunk, of this many bytes, was shown to the capture. */
  onProgress(bytes: number): void;
  /**
   * Once for `terminal`, once for whatever comes last. What comes after is held back until it resolves.
   */
  onEnd(end: RelayEnd): Promise<void>;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

export interface RelayTimes {
  readonly clock: Clock;
  /** How long the upstream may send nothing. */
  readonly idleTimeoutMs: number;
  /** How long the client may take nothing. */
  readonly clientTimeoutMs: number;
}

/** One reply on its way to the client: the underlying source of the response's stream. */
export class Relay {
  readonly #source: RelaySource;
  readonly #hooks: RelayHooks;
  readonly #idle: IdleTimer;
  readonly #stall: IdleTimer;
  readonly #clock: Clock;
  #controller: Controller | null = null;
  #heldAt = 0;
  #bytes = 0;
  #isTerminalSeen = false;
  #isOver = false;
  #isIdle = false;

  constructor(source: RelaySource, hooks: RelayHooks, times: RelayTimes) {
    this.#source = source;
    this.#hooks = hooks;
    this.#idle = new IdleTimer(times.clock, times.idleTimeoutMs, () => {
      this.#isIdle = true;
      source.body.cancel();
    });
    this.#clock = times.clock;
    this.#stall = new IdleTimer(times.clock, times.clientTimeoutMs, () => void this.#stalled());
  }

  /** Gives the client its next bytes, ends the stream, or errors it (an unterminated end). */
  async pull(controller: Controller): Promise<void> {
    this.#stall.pause();
    await this.#give(controller);
    if (this.#isOver) return;
    this.#controller = controller;
    this.#stall.start();
  }

  async #give(controller: Controller): Promise<void> {
    while (!this.#isOver) {
      const chunk = await this.#next(controller);
      if (chunk === null) return;
      if (chunk.length === 0) continue;
      if (this.#isLast()) {
        this.#isTerminalSeen = true;
        await this.#hooks.onEnd({ type: "terminal" });
      }
      if (!this.#isOver) controller.enqueue(chunk);
      return;
    }
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
    if (this.#controller === null) return;
    await this.#fail(this.#controller, { type: "client_stalled", limitMs: this.#stall.limitMs });
  }

  /** Nothing more goes out. */
  #stop(): void {
    this.#isOver = true;
    this.#idle.stop();
    this.#stall.stop();
  }

  /** The next bytes for the client, captured; null when the stream was closed or errored instead. */
  async #next(
    controller: Controller,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const held = this.#source.held[this.#heldAt];
    if (held !== undefined) {
      this.#heldAt++;
      return this.#take(held, this.#source.isHeldCaptured);
    }
    let chunk: Uint8Array<ArrayBuffer> | null;
    this.#idle.start();
    try {
      chunk = await this.#source.body.read();
    } catch (error) {
      const idle: RelayEnd = { type: "idle", limitMs: this.#idle.limitMs };
      await this.#fail(controller, this.#isIdle ? idle : { type: "cut", message: messageOf(error) });
      return null;
    } finally {
      this.#idle.pause();
    }
    if (this.#isOver) return null;
    if (this.#isIdle) {
      await this.#fail(controller, { type: "idle", limitMs: this.#idle.limitMs });
      return null;
    }
    if (chunk !== null) return this.#take(chunk, false);
    return await this.#finish(controller);
  }

  #take(chunk: Uint8Array<ArrayBuffer>, isCaptured: boolean): Uint8Array<ArrayBuffer> {
    this.#bytes += chunk.length;
    const bytes = this.#source.mask === null ? chunk : this.#source.mask.push(chunk);
    if (!isCaptured) this.#source.capture.push(bytes);
    this.#hooks.onProgress(bytes.length);
    const { errorEventMask, capture } = this.#source;
    const isError = errorEventMask !== null && capture.progress.errorMessage !== null;
    return isError ? errorEventMask.maskWithin(bytes) : bytes;
  }

  #isLast(): boolean {
    if (this.#isTerminalSeen || this.#heldAt < this.#source.held.length) return false;
    return this.#source.capture.progress.isTerminal || this.#bytes === this.#source.contentLength;
  }

  async #finish(
    controller: Controller,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    const { mask, contentLength } = this.#source;
    const rest = mask?.flush();
    if (rest !== undefined && rest.length > 0) {
      this.#source.capture.push(rest);
      if (!this.#isTerminalSeen) {
        this.#isTerminalSeen = true;
        await this.#hooks.onEnd({ type: "terminal" });
      }
      return rest;
    }
    if (contentLength !== null && this.#bytes < contentLength) {
      const message = `the body ended after ${this.#bytes} of ${contentLength} bytes`;
      await this.#fail(controller, { type: "cut", message });
      return null;
    }
    this.#stop();
    await this.#hooks.onEnd({ type: "end" });
    controller.close();
    return null;
  }

  async #fail(controller: Controller, end: RelayEnd): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#source.body.cancel();
    await this.#hooks.onEnd(end);
    await flushed(this.#clock);
    controller.error(new UnterminatedEnd());
  }
}

const FLUSH_MS = 20;

/** Gives the server the moment that it needs to send what it has: an error drops what is still unsent. */
export function flushed(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(resolve, FLUSH_MS);
  });
}

/** Ends a response without its terminator, so that the client can tell that it was cut. */
export class UnterminatedEnd extends Error {
  override readonly name = "UnterminatedEnd";
  constructor() {
    super("the upstream's reply was cut");
  }

  /** Deno prints what breaks a response, stack and all; the request's own log line has told it already. */
  [Symbol.for("Deno.customInspect")](): string {
    return "";
  }
}

/** Fires after `limitMs` of waiting; one timer for many waits. */
class IdleTimer {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #timer: number | null = null;
  #waitingSinceMs: number | null = null;

  constructor(clock: Clock, readonly limitMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  start(): void {
    this.#waitingSinceMs = this.#clock.monotonic();
    this.#timer ??= this.#clock.setTimer(() => this.#check(), this.limitMs);
  }

  pause(): void {
    this.#waitingSinceMs = null;
  }

  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #check(): void {
    this.#timer = null;
    if (this.#waitingSinceMs === null) return;
    const leftMs = this.#waitingSinceMs + this.limitMs - this.#clock.monotonic();
    if (leftMs <= 0) this.#onIdle();
    else this.#timer = this.#clock.setTimer(() => this.#check(), leftMs);
  }
}
