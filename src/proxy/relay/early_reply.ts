/**
 * A reply whose head is sent before the choice of upstream is final: that of a stream without content for `--gate-ms`.
 *
 * One object serves all attempts of a request. Until the choice it keeps the client's connection alive, and it tells the
 * client when every upstream fails after that.
 */
import type { Clock, TimerId } from "../../core/clock.ts";
import type { EndpointKind } from "../../core/types.ts";
import type { AnswerHead, InboundExchange } from "../../wire/exchange.ts";
import type { EarlyOutput, UpstreamHead } from "../assess/assessment.ts";
import type { WaitingOutput } from "../attempt/attempted_request.ts";

/** The request whose reply it is. */
export interface EarlyReplyOwner {
  /** Makes the head of the answer; called once, before it is sent. */
  beginEarly(head: UpstreamHead): AnswerHead;
  /** The same before any upstream was asked. */
  beginWaiting(): AnswerHead;
  clientLeft(): void;
}

/** What is sent while there is nothing else to send, and how often. */
export interface Keepalive {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly everyMs: number;
}

const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/**
 * A comment without the blank line that may follow one: openai-go before 3.43 and openai-python take each blank line for
 * an event. https://github.com/openai/openai-python/issues/2722
 */
const COMMENT = encoder.encode(":\n");
/** https://docs.anthropic.com/en/docs/build-with-claude/streaming#ping-events */
const PING = encoder.encode('event: ping\ndata: {"type": "ping"}\n\n');

/**
 * The keepalive of a request; null: none, because its client may not expect a stream.
 * @param everyMs 0: never
 */
export function keepaliveOf(
  { kind, isStream }: { readonly kind: EndpointKind; readonly isStream: boolean },
  everyMs: number,
): Keepalive | null {
  if (!isStream || everyMs === 0) return null;
  return { bytes: kind === "messages" ? PING : COMMENT, everyMs };
}

export class EarlyReply implements EarlyOutput, WaitingOutput {
  readonly #client: Pick<InboundExchange, "begin" | "write" | "cut">;
  readonly #owner: EarlyReplyOwner;
  readonly #clock: Clock;
  readonly #keepalive: Keepalive | null;
  #isBegun = false;
  #hasSent = false;
  #isOver = false;
  #timer: TimerId | null = null;
  /** Resolves when all that was sent has been accepted. */
  #accepted: Promise<void> = Promise.resolve();
  #pendingWrites = 0;

  constructor(
    client: Pick<InboundExchange, "begin" | "write" | "cut">,
    owner: EarlyReplyOwner,
    { clock, keepalive }: { readonly clock: Clock; readonly keepalive: Keepalive | null },
  ) {
    this.#client = client;
    this.#owner = owner;
    this.#clock = clock;
    this.#keepalive = keepalive;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  get hasSent(): boolean {
    return this.#hasSent;
  }

  /** A stream's client gets its head with the first keepalive, so that a short wait can still end with a status. */
  waiting(): void {
    if (!this.#isBegun) this.#arm();
  }

  waited(): void {
    if (this.#isBegun || this.#timer === null) return;
    this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  async send(head: UpstreamHead, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#isOver) return;
    if (this.#isBegun) {
      if (bytes.length > 0) await this.#write(bytes);
      return;
    }
    this.#isBegun = true;
    this.#client.begin(this.#owner.beginEarly(head));
    await this.#write(bytes.length > 0 ? bytes : this.#keepalive?.bytes ?? NOTHING);
  }

  /** The choice is final, or the request is over: nothing more is sent from here. Resolves when all that was has gone. */
  finish(): Promise<void> {
    this.#isOver = true;
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
    return this.#accepted;
  }

  /** Sends this as the last event, then ends the body without its terminator. */
  async fail(errorEvent: Uint8Array<ArrayBuffer>): Promise<void> {
    void this.finish();
    await this.#write(errorEvent);
    this.#client.cut();
  }

  /** One write after the other: two attempts may send at once. */
  #write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#hasSent ||= bytes.length > 0;
    this.#pendingWrites++;
    this.#accepted = this.#accepted.then(() => this.#client.write(bytes)).catch(() =>
      this.#owner.clientLeft()
    )
      .then(() => {
        this.#pendingWrites--;
        this.#arm();
      });
    return this.#accepted;
  }

  /** Keepalives are counted from what was sent last. */
  #arm(): void {
    if (this.#isOver || this.#keepalive === null) return;
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = this.#clock.setTimer(() => this.#keepAlive(), this.#keepalive.everyMs);
  }

  #keepAlive(): void {
    this.#timer = null;
    // A client that does not take what was sent needs no more.
    if (this.#isOver || this.#keepalive === null || this.#pendingWrites > 0) return;
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#client.begin(this.#owner.beginWaiting());
    }
    void this.#write(this.#keepalive.bytes);
  }
}
