/**
 * The admin page of a server, loaded at the first look at it: nobody may ever look, and its code is a quarter of the
 * program's memory at rest and of its time to start.
 */
import type { RequestRecord } from "../core/types.ts";
import type { AdminEntry } from "../http/app.ts";
import type { Admin, AdminDeps } from "./admin.ts";

export class LazyAdmin implements AdminEntry {
  readonly #deps: AdminDeps;
  #admin: Admin | null = null;
  #isEnding = false;
  #isClosed = false;

  constructor(deps: AdminDeps) {
    this.#deps = deps;
  }

  /** To be called once; again only when it has failed. */
  async routes(): Promise<Admin["routes"]> {
    const { createAdmin } = await import("./admin.ts");
    this.#admin = createAdmin(this.#deps);
    if (this.#isEnding) this.#admin.endStreams();
    if (this.#isClosed) this.#admin.close();
    return this.#admin.routes;
  }

  /** To be called once for each request that ended. */
  finished(record: RequestRecord, upstreamName: string | null): void {
    this.#admin?.finished(record, upstreamName);
  }

  /** Ends event streams, so that a server that drains need not wait for those who look. */
  endStreams(): void {
    this.#isEnding = true;
    this.#admin?.endStreams();
  }

  close(): void {
    this.#isClosed = true;
    this.#admin?.close();
  }
}
