/**
 * What one request asks of the upstreams' limits, and in whose name it waits.
 */
import { networkOf } from "../../core/client_ip.ts";
import { estimatedTokens } from "../../core/token_estimate.ts";
import type { Inbound } from "../../core/types.ts";
import type { HeldSlot } from "./held_slot.ts";

export class RequestDemand {
  readonly #inbound: Inbound;
  #tokens: number | null = null;
  /** The latest slot that the request took. */
  #slot: HeldSlot | null = null;

  constructor(inbound: Inbound) {
    this.#inbound = inbound;
  }

  /** Clients take turns by this name: that of the token, or without tokens the client's network. */
  get client(): string {
    return this.#inbound.clientName ?? networkOf(this.#inbound.clientIp);
  }

  /** What is reserved of a limit on tokens; counted once, and only if an upstream has such a limit. */
  get tokens(): number {
    return this.#tokens ??= estimatedTokens(this.#inbound);
  }

  /** The request has taken a slot for one attempt. */
  holds(slot: HeldSlot): HeldSlot {
    slot.before = this.#slot;
    return this.#slot = slot;
  }

  /** The request is over, and none of its attempts goes on, whatever became of them. */
  release(): void {
    for (let slot = this.#slot; slot !== null; slot = slot.before) slot.release();
    this.#slot = null;
  }
}
