/**
 * The body of a response whose head went out before the choice of upstream was final (DESIGN section 5: a
 * stream that has sent nothing but neutral bytes for `--gate-ms`).
 *
 * Runs the rest of the failover loop as the client pulls, then hands over to the relay.
 */
import { RouterError } from "../core/errors.ts";
import type { Clock } from "../core/types.ts";
import type { EarlyStep, FinalChoice } from "./failover.ts";
import { flushed, type Relay, UnterminatedEnd } from "./relay.ts";

export interface EarlyHooks {
  readonly clock: Clock;
  /** The choice is final, or the loop has ended. */
  onDecided(): void;
  relay(choice: Extract<FinalChoice, { type: "open" }>): Relay;
  /** Settles the failure. */
  onFailed(error: RouterError): Promise<void>;
  /** Makes the loop stop because the client left. */
  cancel(): void;
  /** Settles a request whose client has left. */
  onClientGone(): Promise<void>;
}

/** The underlying source of such a response's stream. */
export class EarlyBody {
  readonly #steps: AsyncGenerator<EarlyStep, FinalChoice>;
  readonly #hooks: EarlyHooks;
  readonly #clock: Clock;
  #first: Uint8Array | null;
  #relay: Relay | null = null;
  #isFailed = false;

  constructor(first: Uint8Array, steps: AsyncGenerator<EarlyStep, FinalChoice>, hooks: EarlyHooks) {
    this.#first = first.length > 0 ? first : null;
    this.#steps = steps;
    this.#hooks = hooks;
    this.#clock = hooks.clock;
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#relay !== null) return await this.#relay.pull(controller);
    if (this.#isFailed) {
      await flushed(this.#clock);
      return controller.error(new UnterminatedEnd());
    }
    if (this.#first !== null) {
      controller.enqueue(this.#first);
      this.#first = null;
      return;
    }
    for (;;) {
      const step = await this.#steps.next();
      if (step.done) return await this.#decided(step.value, controller);
      if (step.value.bytes.length > 0) return controller.enqueue(step.value.bytes);
    }
  }

  async cancel(): Promise<void> {
    if (this.#relay !== null) return await this.#relay.cancel();
    this.#hooks.cancel();
    while (!(await this.#steps.next()).done);
    this.#hooks.onDecided();
    await this.#hooks.onClientGone();
  }

  async #decided(
    choice: FinalChoice,
    controller: ReadableStreamDefaultController<Uint8Array>,
  ): Promise<void> {
    this.#hooks.onDecided();
    switch (choice.type) {
      case "open":
        this.#relay = this.#hooks.relay(choice);
        return await this.#relay.pull(controller);
      case "client_gone":
        return await this.#hooks.onClientGone();
      case "whole":
        return await this.#fail(
          new RouterError(502, "upstream_invalid", "The reply is not a stream"),
          controller,
        );
      case "failed":
        return await this.#fail(choice.error, controller);
      default:
        return choice satisfies never;
    }
  }

  /** One error event; the next pull ends the response without its terminator. */
  async #fail(error: RouterError, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#isFailed = true;
    await this.#hooks.onFailed(error);
    controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(error.toEnvelope())}\n\n`));
  }
}
