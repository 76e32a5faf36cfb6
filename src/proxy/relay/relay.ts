/**
 * Pumps the chosen reply to the client, shows every byte to the capture, and applies backpressure.
 *
 * The upstream is read only when the client has accepted what came before. The last bytes of a reply wait for its
 * record's commit (`onEnd`), so that a client never holds a whole reply that was not recorded.
 */
import { concat } from "../../core/bytes.ts";
import { messageOf } from "../../core/errors.ts";
import type { Clock, TimerId } from "../../core/clock.ts";
import type { InboundExchange } from "../../wire/exchange.ts";
import type { OpenReply } from "../assess/assessment.ts";
import type { FairReadScheduler } from "./fair_reads.ts";
import type { UsageEventFilter } from "./usage_event.ts";

/** How the relay of a reply ended. */
export type RelayEnd =
  | { readonly type: "end" }
  /** The protocol's own end marker has come; the body may still go on. */
  | { readonly type: "terminal" }
  | { readonly type: "cut"; readonly message: string }
  | { readonly type: "idle"; readonly limitMs: number }
  | { readonly type: "client_gone" }
  /** The client has accepted nothing for this long. */
  | { readonly type: "client_stalled"; readonly limitMs: number }
  /** The program must end now. */
  | { readonly type: "stopped" };

/** What the pump needs of a reply. */
export type RelaySource = Pick<
  OpenReply,
  "held" | "isHeldCaptured" | "body" | "capture" | "mask" | "errorEventMask" | "contentLength"
>;

export interface RelayHooks {
  /** Called after each chunk of this many bytes was shown to the capture. */
  onProgress(bytes: number): void;
  /**
   * Called for `terminal`, if it occurs, and for the end. What follows is held back until it resolves.
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
  /** How long the client may accept nothing. */
  readonly clientTimeoutMs: number;
  /** Shared by all relays. */
  readonly pace: FairReadScheduler;
  /** Leaves out usage that the client has not asked for. Default: none. */
  readonly usageFilter?: UsageEventFilter | null;
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
  readonly #usageFilter: UsageEventFilter | null;
  #heldAt = 0;
  #bytes = 0;
  #isTerminalSeen = false;
  #isOver = false;
  #isIdle = false;

  constructor(source: RelaySource, hooks: RelayHooks, context: RelayContext) {
    const { client, clock, pace, usageFilter = null, ...times } = context;
    this.#source = source;
    this.#hooks = hooks;
    this.#client = client;
    this.#pace = pace;
    this.#usageFilter = usageFilter;
    this.#idle = new IdleTimer(clock, times.idleTimeoutMs, () => {
      this.#isIdle = true;
      source.body.cancel();
    });
    this.#stall = new IdleTimer(clock, times.clientTimeoutMs, () => void this.#stalled());
  }

  /**
   * Relays everything, then ends the reply or cuts it off. Never rejects.
   *
   * One function awaits both sides: each further async function per event would cost as much as parsing the event.
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

  /** The last chunk has arrived: it is sent together with the end of the reply. */
  async #endWith(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#idle.stop();
    await this.#hooks.onEnd({ type: "end" });
    if (this.#isOver) return;
    this.#stall.start();
    try {
      await this.#client.end(chunk);
    } catch {
      // The client left during the last write; the reply itself was complete.
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

  /** Sends nothing more; the connection breaks when the program ends. */
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

  /** Shows bytes to the capture, and returns what the client gets. Bytes that are not held are lent. */
  #take(chunk: Uint8Array<ArrayBuffer>, { isHeld }: { isHeld: boolean }): Uint8Array<ArrayBuffer> {
    const { mask, errorEventMask, capture, isHeldCaptured } = this.#source;
    this.#bytes += chunk.length;
    const bytes = mask === null ? chunk : mask.push(chunk);
    if (!isHeld || !isHeldCaptured) capture.push(bytes, !isHeld);
    this.#hooks.onProgress(bytes.length);
    const isError = errorEventMask !== null && capture.progress.error !== null;
    const shown = isError ? errorEventMask.maskWithin(bytes) : bytes;
    return this.#usageFilter === null ? shown : this.#withoutUsage(shown, this.#usageFilter);
  }

  #withoutUsage(bytes: Uint8Array<ArrayBuffer>, filter: UsageEventFilter): Uint8Array<ArrayBuffer> {
    const { held, body } = this.#source;
    const passed = filter.push(bytes);
    if (this.#heldAt < held.length || !body.isDone) return passed;
    const rest = filter.flush();
    return rest.length === 0 ? passed : concat([passed, rest]);
  }

  /** The bytes that the mask or the filter held back, at the end of the body. */
  #takeRest(): Uint8Array<ArrayBuffer> {
    const rest = this.#source.mask?.flush() ?? NOTHING;
    if (rest.length > 0) this.#source.capture.push(rest);
    if (this.#usageFilter === null) return rest;
    return concat([this.#usageFilter.push(rest), this.#usageFilter.flush()]);
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
      // The client left, with everything but the end.
    }
  }

  async #broken(error: unknown): Promise<void> {
    await this.#sendRest(this.#usageFilter?.flush() ?? NOTHING);
    const idle: RelayEnd = { type: "idle", limitMs: this.#idle.limitMs };
    await this.#fail(this.#isIdle ? idle : { type: "cut", message: messageOf(error) });
  }

  /** What was held back when the body broke off. */
  async #sendRest(rest: Uint8Array<ArrayBuffer>): Promise<void> {
    if (rest.length === 0 || this.#isOver) return;
    this.#stall.start();
    try {
      await this.#client.write(rest);
    } catch {
      await this.cancel();
    }
    this.#stall.pause();
  }

  async #fail(end: RelayEnd): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    this.#source.body.cancel();
    await this.#hooks.onEnd(end);
    this.#client.cut();
  }
}

/** Checks per limit: a timeout may fire late by limit / LOOKS. */
const LOOKS = 16; // docs/tuning.md#relay-and-settlement

/** Fires after `limitMs` of waiting, or a sixteenth later. One timer serves many waits, so each costs little. */
class IdleTimer {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #timer: TimerId | null = null;
  #isWaiting = false;
  /** Counts waits, so that a check can tell whether the same one is still going on. */
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
