/**
 * Notes in SQLite what tokens have spent, and renews their leases, by the database thread. Never touches SQLite itself.
 */
import type { Clock } from "../../core/clock.ts";
import type { LeaseAnswer, LeaseRequest, SpendStore } from "../../core/spend.ts";
import { StoreError } from "../store_error.ts";
import { OpenCalls } from "./open_calls.ts";
import type { LinkEvent, WorkerLink } from "./worker_link.ts";

/** Longer than SQLite waits for another program's lock, so that nearly always it is known what has become of it. */
const WAIT_MS = 6_000; // docs/tuning.md#spending

export class SpendRenewal implements SpendStore {
  readonly #link: Pick<WorkerLink, "listen" | "send">;
  readonly #calls: OpenCalls<readonly LeaseAnswer[]>;
  #isClosed = false;

  constructor(
    { link, clock }: {
      readonly link: Pick<WorkerLink, "listen" | "send">;
      readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
    },
  ) {
    this.#link = link;
    const late = () => new StoreError("locked", "Cannot note what was spent: the database is busy");
    this.#calls = new OpenCalls({ clock, waitMs: WAIT_MS, late });
    link.listen((event) => this.#receive(event));
  }

  /** @throws StoreError */
  renew(requests: readonly LeaseRequest[]): Promise<readonly LeaseAnswer[]> {
    if (requests.length === 0) return Promise.resolve([]);
    if (this.#isClosed) return Promise.reject(new StoreError("unreadable", "The server is stopping"));
    return this.#calls.ask((call) => this.#link.send({ type: "renew_spend", call, requests }));
  }

  #receive(event: LinkEvent): void {
    if (event.type === "spend_renewal") {
      const { call, answers, failure } = event;
      if (answers !== null) return this.#calls.answered(call, answers);
      const { code, message } = failure ?? { code: "unreadable", message: "Cannot note what was spent" };
      this.#calls.failed(call, new StoreError(code, message));
    } else if (event.type === "crashed" || event.type === "closed") {
      this.#isClosed = event.type === "closed";
      this.#calls.failAll(() => new StoreError("unreadable", "The writing thread stopped; try again"));
    }
  }
}
