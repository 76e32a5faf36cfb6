/**
 * Deletes single records, by the database thread. Never touches SQLite.
 */
import type { Clock } from "../../core/clock.ts";
import { StoreError } from "../store.ts";
import type { DeletionResult } from "./messages.ts";
import { OpenCalls } from "./open_calls.ts";
import type { LinkEvent, WorkerLink } from "./worker_link.ts";

const WAIT_MS = 2_000;

export class RecordDeletion {
  readonly #link: Pick<WorkerLink, "listen" | "sendIfRunning">;
  readonly #calls: OpenCalls<DeletionResult>;

  constructor(
    { link, clock }: { readonly link: Pick<WorkerLink, "listen" | "sendIfRunning">; readonly clock: Clock },
  ) {
    this.#link = link;
    const late = () => new StoreError("locked", "The database is busy; look again in a moment");
    this.#calls = new OpenCalls({ clock, waitMs: WAIT_MS, late });
    link.listen((event) => this.#receive(event));
  }

  /**
   * @param id number of its row
   * @throws StoreError; after `locked` it may still be deleted a little later
   */
  delete(id: number): Promise<DeletionResult> {
    return this.#calls.ask((call) => this.#link.sendIfRunning({ type: "delete_record", call, id }));
  }

  #receive(event: LinkEvent): void {
    if (event.type === "record_deletion") {
      const { call, result, message } = event;
      if (result === "failed") this.#calls.failed(call, new StoreError("unreadable", message));
      else this.#calls.answered(call, result);
    } else if (event.type === "crashed" || event.type === "closed") {
      this.#calls.failAll(() => new StoreError("unreadable", "The writing thread stopped; try again"));
    }
  }
}
