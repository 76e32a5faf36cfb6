/**
 * A reply whose head goes out before the choice of upstream is final (DESIGN section 5: a stream that has sent nothing
 * but neutral bytes for `--gate-ms`).
 *
 * Owns what the client gets until then, and how it learns that every upstream failed after its head had gone out.
 */
import type { RouterError } from "../../core/errors.ts";
import type { AnswerHead, InboundExchange } from "../../wire/exchange.ts";

export class EarlyReply {
  readonly #client: InboundExchange;
  readonly #onClientGone: () => void;
  #isBegun = false;

  constructor(client: InboundExchange, onClientGone: () => void) {
    this.#client = client;
    this.#onClientGone = onClientGone;
  }

  /** The head has gone out, so that only a stream can follow. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  begin(head: AnswerHead): void {
    this.#isBegun = true;
    this.#client.begin(head);
  }

  /** Even with nothing behind it, the head goes out. Never rejects: a client that takes no more has left. */
  async send(bytes: Uint8Array): Promise<void> {
    try {
      await this.#client.write(bytes);
    } catch {
      this.#onClientGone();
    }
  }

  /** One error event, then an end without the terminator. */
  async fail(error: RouterError): Promise<void> {
    await this.send(new TextEncoder().encode(`data: ${JSON.stringify(error.toEnvelope())}\n\n`));
    this.#client.cut();
  }
}
