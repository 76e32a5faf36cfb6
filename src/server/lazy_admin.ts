/**
 * Loads the admin page at the first request to it: its code is a quarter of the program's memory at rest and of its
 * start-up time, and many servers never need it.
 */
import type { RequestRecord } from "../core/types.ts";
import type { AdminEntry } from "../http/app.ts";
import { ensureAdminTokenSoon } from "./admin_token.ts";
import type { Admin, AdminDeps } from "./admin.ts";

export class LazyAdmin implements AdminEntry {
  readonly #deps: AdminDeps;
  #admin: Admin | null = null;
  #token: { stop(): void } | null = null;
  #isEnding = false;
  #isClosed = false;

  constructor(deps: AdminDeps) {
    this.#deps = deps;
  }

  /** Makes the admin token when it is missing; call it when the registry has read the configuration. */
  start(): void {
    this.#token = ensureAdminTokenSoon(this.#deps);
  }

  /** Call once, and again only after a failure. */
  async routes(): Promise<Admin["routes"]> {
    const { createAdmin } = await import("./admin.ts");
    this.#admin = createAdmin(this.#deps);
    if (this.#isEnding) this.#admin.endStreams();
    if (this.#isClosed) this.#admin.close();
    return this.#admin.routes;
  }

  /** Call once for each request that ended. */
  finished(record: RequestRecord, upstreamName: string | null): void {
    this.#admin?.finished(record, upstreamName);
  }

  /** Ends the event streams of open pages, so that a draining server does not wait for them. */
  endStreams(): void {
    this.#isEnding = true;
    this.#admin?.endStreams();
  }

  close(): void {
    this.#isClosed = true;
    this.#token?.stop();
    this.#admin?.close();
  }
}
