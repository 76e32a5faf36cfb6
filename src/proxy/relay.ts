/**
 * The one pump: bytes of the chosen reply to the client, each shown to the capture, with backpressure both ways.
 *
 * The upstream is read only when the client has taken what came before. The last bytes of a reply wait for its
 * record's commit (`onEnd`), so that a client never holds a whole reply that was not recorded.
 */
import type { Capture } from "../capture/capture.ts";
import { messageOf } from "../core/errors.ts";
import type { Clock } from "../core/types.ts";
import type { ClientExchange } from "../wire/exchange.ts";
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

/** The client's side of a reply whose head has been begun. */
export type ReplyWriter = Pick<ClientExchange, "write" | "end" | "cut">;

export interface RelayContext {
  readonly client: ReplyWriter;
  readonly clock: Clock;
  /** How long the upstream may send nothing. */
  readonly idleTimeoutMs: number;
  /** How long the client may take nothing. */
  readonly clientTimeoutMs: number;
}

/** One reply on its way to the client. */
export class Relay {
  readonly #source: RelaySource;
  readonly #hooks: RelayHooks;
  readonly #client: ReplyWriter;
  readonly #idle: IdleTimer;
  readonly #stall: IdleTimer;
  #heldAt = 0;
  #bytes = 0;
  #isTerminalSeen = false;
  #isOver = false;
  #isIdle = false;

  constructor(source: RelaySource, hooks: RelayHooks, { client, clock, ...times }: RelayContext) {
    this.#source = source;
    this.#hooks = hooks;
    this.#client = client;
    this.#idle = new IdleTimer(clock, times.idleTimeoutMs, () => {
      this.#isIdle = true;
      source.body.cancel();
    });
    this.#stall = new IdleTimer(clock, times.clientTimeoutMs, () => void this.#stalled());
  }

  /** Gives the client everything, and ends its reply, or cuts it off. Never rejects. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      const chunk = await this.#next();
      if (chunk === null) return;
      if (chunk.length === 0) continue;
      if (this.#isWhole()) return await this.#endWith(chunk);
      if (this.#isLast()) {
        this.#isTerminalSeen = true;
        await this.#hooks.onEnd({ type: "terminal" });
        if (this.#isOver) return;
      }
      await this.#give(chunk);
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
  }

  async #give(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#stall.start();
    try {
      await this.#client.write(chunk);
    } catch {
      await this.cancel();
    } finally {
      this.#stall.pause();
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
    await this.#fail({ type: "client_stalled", limitMs: this.#stall.limitMs });
  }

  /** Nothing more goes out. */
  #stop(): void {
    this.#isOver = true;
    this.#idle.stop();
    this.#stall.stop();
  }

  /** The next bytes for the client, captured; null when the reply was ended or cut off instead. */
  async #next(): Promise<Uint8Array<ArrayBuffer> | null> {
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
      await this.#fail(this.#isIdle ? idle : { type: "cut", message: messageOf(error) });
      return null;
    } finally {
      this.#idle.pause();
    }
    if (this.#isOver) return null;
    if (this.#isIdle) {
      await this.#fail({ type: "idle", limitMs: this.#idle.limitMs });
      return null;
    }
    if (chunk !== null) return this.#take(chunk, false);
    return await this.#finish();
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

  #isWhole(): boolean {
    const { held, body, mask, contentLength } = this.#source;
    if (this.#heldAt < held.length || !body.isDone || mask !== null) return false;
    return contentLength === null || this.#bytes === contentLength;
  }

  #isLast(): boolean {
    if (this.#isTerminalSeen || this.#heldAt < this.#source.held.length) return false;
    return this.#source.capture.progress.isTerminal || this.#bytes === this.#source.contentLength;
  }

  async #finish(): Promise<Uint8Array<ArrayBuffer> | null> {
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
      await this.#fail({ type: "cut", message });
      return null;
    }
    this.#stop();
    await this.#hooks.onEnd({ type: "end" });
    try {
      await this.#client.end();
    } catch {
      // It has everything but the end, and has left.
    }
    return null;
  }

  async #fail(end: RelayEnd): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#source.body.cancel();
    await this.#hooks.onEnd(end);
    this.#client.cut();
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
