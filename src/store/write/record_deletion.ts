/**
 * Deletes single records, by the database thread.
 *
 * Owns the questions that are open, and how long they may wait. Never touches SQLite.
 */
import type { Clock, TimerId } from "../../core/clock.ts";
import { StoreError } from "../store.ts";
import type { DeletionResult, FromWorker } from "./messages.ts";
import type { LinkEvent, WorkerLink } from "./worker_link.ts";

const WAIT_MS = 2_000;

interface OpenDeletion {
  readonly resolve: (result: DeletionResult) => void;
  readonly reject: (error: StoreError) => void;
  readonly timer: TimerId;
}

export class RecordDeletion {
  readonly #link: Pick<WorkerLink, "listen" | "sendIfRunning">;
  readonly #clock: Clock;
  readonly #open = new Map<number, OpenDeletion>();
  #lastCall = 0;

  constructor(
    { link, clock }: { readonly link: Pick<WorkerLink, "listen" | "sendIfRunning">; readonly clock: Clock },
  ) {
    this.#link = link;
    this.#clock = clock;
    link.listen((event) => this.#receive(event));
  }

  /**
   * @param id number of its row
   * @throws StoreError; after `locked` it may still be deleted a little later
   */
  delete(id: number): Promise<DeletionResult> {
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
      const timer = this.#clock.setTimer(() => {
        this.#open.delete(call);
        reject(new StoreError("locked", "The database is busy; look again in a moment"));
      }, WAIT_MS);
      this.#open.set(call, { resolve, reject, timer });
      this.#link.sendIfRunning({ type: "delete_record", call, id });
    });
  }

  #receive(event: LinkEvent): void {
    if (event.type === "record_deletion") this.#answered(event);
    else if (event.type === "crashed" || event.type === "closed") this.#failAll();
  }

  #answered({ call, result, message }: Extract<FromWorker, { type: "record_deletion" }>): void {
    const open = this.#take(call);
    if (result === "failed") open?.reject(new StoreError("unreadable", message));
    else open?.resolve(result);
  }

  #failAll(): void {
    for (const call of [...this.#open.keys()]) {
      this.#take(call)?.reject(new StoreError("unreadable", "The writing thread stopped; try again"));
    }
  }

  #take(call: number): OpenDeletion | null {
    const open = this.#open.get(call);
    if (open === undefined) return null;
    this.#open.delete(call);
    this.#clock.clearTimer(open.timer);
    return open;
  }
}
