/**
 * Which upstream a request asks next, with a slot there: the next that has room, or after a wait one that was full.
 *
 * The order is in candidate_queue.ts, the queue of all requests in waiting.ts.
 */
import { RouterError } from "../../core/errors.ts";
import type { Upstream } from "../../core/types.ts";
import { QueuedTime } from "../ledger/queued_time.ts";
import type { RequestLedger } from "../ledger/request_ledger.ts";
import type { Stop, WaitingOutput } from "./attempted_request.ts";
import type { CandidateQueue } from "./candidate_queue.ts";
import type { HeldSlot } from "./held_slot.ts";
import type { RequestDemand } from "./request_demand.ts";
import type { QueueRefusal, Waiting } from "./waiting.ts";

export interface Taken {
  readonly upstream: Upstream;
  /** null: nothing can be sent there, because the client has no key of its own. */
  readonly slot: HeldSlot | null;
}

export interface TurnsRequest {
  readonly ledger: RequestLedger;
  readonly stop: Stop;
  readonly early: WaitingOutput;
  readonly demand: RequestDemand;
}

export class CandidateTurns {
  readonly #queue: CandidateQueue;
  readonly #waiting: Waiting;
  readonly #request: TurnsRequest;
  #refusal: QueueRefusal | "gone" | null = null;

  constructor(queue: CandidateQueue, waiting: Waiting, request: TurnsRequest) {
    this.#queue = queue;
    this.#waiting = waiting;
    this.#request = request;
  }

  /** The request could not wait, or waited in vain. */
  get isRefused(): boolean {
    return this.#refusal !== null && this.#refusal !== "gone";
  }

  /** The request is refused because nobody was asked who might have answered; null: there was no such one. */
  refuse(): RouterError | null {
    if (this.#refusal === null) return null;
    if (this.#refusal !== "gone") this.#waiting.refused(this.#refusal);
    return routerBusy(this.#refusal, {
      waitedMs: this.#request.ledger.queued?.ms ?? 0,
      retryAfterSeconds: this.#waiting.retryAfterSeconds(),
    });
  }

  /** null: nobody is left, or the request must stop. At once, unless everybody is full. */
  next(): Taken | null | Promise<Taken | null> {
    const upstream = this.#queue.next();
    if (upstream !== null) return this.#take(upstream);
    return this.#queue.full.length === 0 || this.#queue.isWaitOver ? null : this.#wait();
  }

  /** The same upstream once more; whoever comes next if others have taken its slot. */
  again(upstream: Upstream): Taken | null | Promise<Taken | null> {
    if (this.#waiting.hasRoom(upstream, this.#request.demand)) return this.#take(upstream);
    this.#queue.putBack(upstream);
    return this.next();
  }

  /** One that is well and has room, to be asked beside another; null: there is none, or others wait. */
  second(): Taken | null {
    if (this.#waiting.length > 0) return null;
    const upstream = this.#queue.takeReady();
    return upstream === null ? null : this.#take(upstream);
  }

  #take(upstream: Upstream): Taken {
    if (!this.#queue.isUsable(upstream)) return { upstream, slot: null };
    return { upstream, slot: this.#waiting.take(upstream, this.#request.demand) };
  }

  async #wait(): Promise<Taken | null> {
    const { ledger, early, stop } = this.#request;
    const queued = ledger.queued ??= new QueuedTime(this.#waiting.clock);
    early.waiting();
    queued.begin();
    try {
      for (;;) {
        const taken = await this.#waitOnce(queued);
        if (stop.cause !== null) taken?.slot?.unused();
        if (taken !== null || stop.cause !== null) return stop.cause === null ? taken : null;
        const upstream = this.#queue.next();
        if (upstream !== null) return this.#take(upstream);
        if (this.#queue.full.length === 0 || this.#queue.isWaitOver) return null;
      }
    } finally {
      queued.end();
      early.waited();
    }
  }

  /** null: it waited in vain, or for nobody. */
  async #waitOnce(queued: QueuedTime): Promise<Taken | null> {
    const { demand, stop } = this.#request;
    const end = await this.#waiting.wait({
      demand,
      upstreams: this.#queue.full,
      accepts: this.#queue.acceptance(),
      cancellation: stop.cancellation,
      limitMs: this.#waiting.timeoutMs - queued.ms,
    });
    switch (end.type) {
      case "slot":
        this.#queue.remove(end.upstream);
        return { upstream: end.upstream, slot: end.slot };
      case "none_left":
        this.#refusal ??= "gone";
        this.#queue.dropGone();
        return null;
      case "refused":
        this.#refusal = end.reason;
        this.#queue.isWaitOver = true;
        return null;
      case "cancelled":
        return null;
      default:
        return end satisfies never;
    }
  }
}

function routerBusy(
  refusal: QueueRefusal | "gone",
  { waitedMs, retryAfterSeconds }: { readonly waitedMs: number; readonly retryAfterSeconds: number },
): RouterError {
  return new RouterError(429, "router_busy", reasonText(refusal, waitedMs), { retryAfterSeconds });
}

function reasonText(refusal: QueueRefusal | "gone", waitedMs: number): string {
  const busy = "Every upstream for this request is at its limit";
  switch (refusal) {
    case "timeout":
      return `${busy} and had no room within ${(waitedMs / 1000).toFixed(1)} s; ` +
        "raise max_parallel, rpm or tpm of an upstream, or --queue-timeout, or try again later";
    case "full":
      return `${busy}, and as many requests wait as may; ` +
        "raise max_parallel, rpm or tpm of an upstream, or --max-queued, or try again later";
    case "gone":
      return "The upstream for which this request waited was removed, disabled, or failed; try again";
    default:
      return refusal satisfies never;
  }
}
