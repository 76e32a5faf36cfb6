/**
 * A reply whose head is sent before the choice of upstream is final: that of a stream that has sent nothing but neutral
 * bytes for `--gate-ms`.
 *
 * Also tells the client when every upstream fails after that.
 */
import type { AnswerHead, InboundExchange } from "../../wire/exchange.ts";
import type { EarlyOutput, UpstreamHead } from "../assess/assessment.ts";

/** The request whose reply it is. */
export interface EarlyReplyOwner {
  /** Makes the head of the answer; called once, before it is sent. */
  beginEarly(head: UpstreamHead): AnswerHead;
  clientLeft(): void;
}

export class EarlyReply implements EarlyOutput {
  readonly #client: InboundExchange;
  readonly #owner: EarlyReplyOwner;
  #isBegun = false;

  constructor(client: InboundExchange, owner: EarlyReplyOwner) {
    this.#client = client;
    this.#owner = owner;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  async send(head: UpstreamHead, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#client.begin(this.#owner.beginEarly(head));
    }
    await this.#write(bytes);
  }

  /** Sends this as the last event, then ends the body without its terminator. */
  async fail(errorEvent: Uint8Array): Promise<void> {
    await this.#write(errorEvent);
    this.#client.cut();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#client.write(bytes);
    } catch {
      this.#owner.clientLeft();
    }
  }
}
