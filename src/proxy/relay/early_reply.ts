/**
 * A reply whose head goes out before the choice of upstream is final: a stream that has sent nothing but neutral bytes
 * for `--gate-ms`.
 *
 * Owns what the client gets until then, and how it learns that every upstream failed after its head had gone out.
 */
import type { AnswerHead, InboundExchange } from "../../wire/exchange.ts";
import type { EarlyOutput, UpstreamHead } from "../assess/assessment.ts";

/** The request whose reply it is. */
export interface EarlyReplyOwner {
  /** The head of the answer to the client; called once, before it goes out. */
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

  /** This as the last event, then an end without the terminator. */
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
