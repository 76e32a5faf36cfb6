/**
 * The requests under way, from their admission to their settlement: how many there are, and which.
 *
 * Sets no limit and writes nothing: see ../handler.ts and progress_rows.ts.
 */
import { LinkedList, type ListNode } from "../../core/linked_list.ts";
import type { RequestLedger } from "./request_ledger.ts";

/** A request that has been read and is being answered. */
export interface RequestUnderWay {
  readonly ledger: RequestLedger;
  /** Ends it now, because the program must. */
  stop(): Promise<void>;
}

export class InFlight {
  readonly #requests = new LinkedList<RequestUnderWay>();
  #receivingCount = 0;

  /** Requests under way, those included whose bodies are still being received. */
  get count(): number {
    return this.#requests.size + this.#receivingCount;
  }

  /** Counts a request whose body is still arriving; it is not listed yet. */
  beginReceiving(): void {
    this.#receivingCount++;
  }

  /** The body has arrived, or failed to. */
  endReceiving(): void {
    this.#receivingCount--;
  }

  /** Returns the node for {@link remove}. */
  add(request: RequestUnderWay): ListNode<RequestUnderWay> {
    return this.#requests.add(request);
  }

  remove(node: ListNode<RequestUnderWay>): void {
    this.#requests.remove(node);
  }

  /** Oldest first. */
  ledgers(): RequestLedger[] {
    return this.#requests.toArray().map(({ ledger }) => ledger);
  }

  /** Ends all requests; their records keep what had arrived. */
  async stop(): Promise<void> {
    await Promise.all(this.#requests.toArray().map((request) => request.stop()));
  }
}
