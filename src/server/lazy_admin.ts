/**
 * Loads the admin page at the first request to it: its code is a quarter of the program's memory at rest and of its
 * start-up time, and many servers never need it.
 */
import type { ChangeCalls } from "../control/change_calls.ts";
import type { RequestRecord } from "../core/types.ts";
import { LoginCode } from "../http/admin/login_code.ts";
import type { AdminEntry } from "../http/app.ts";
import type { Admin, AdminDeps } from "./admin.ts";
import { ensureAdminTokenSoon } from "./admin_token.ts";
import { systemClock } from "./clock.ts";

/** Where changes are made: a thread of their own over the database, or that of PostgreSQL. */
type Changes = ChangeCalls & { close(): void };

type LazyAdminDeps = Omit<AdminDeps, "changes" | "loginCode">;

export class LazyAdmin implements AdminEntry {
  readonly #deps: LazyAdminDeps;
  readonly #loginCode = new LoginCode(systemClock.monotonic);
  #changes: Promise<Changes> | null = null;
  #admin: Admin | null = null;
  #token: { stop(): void } | null = null;
  #isEnding = false;
  #isClosed = false;

  constructor(deps: LazyAdminDeps) {
    this.#deps = deps;
  }

  /** Makes the admin token when it is missing; call it when the registry has read the configuration. */
  start(): void {
    const changes: ChangeCalls = {
      ask: async (name, argument) => await (await this.#loadChanges()).ask(name, argument),
    };
    this.#token = ensureAdminTokenSoon({ registry: this.#deps.registry, changes });
  }

  /** Call once, and again only after a failure. */
  async routes(): Promise<Admin["routes"]> {
    const [{ createAdmin }, changes] = await Promise.all([import("./admin.ts"), this.#loadChanges()]);
    this.#admin = createAdmin({ ...this.#deps, changes, loginCode: this.#loginCode });
    if (this.#isEnding) this.#admin.endStreams();
    if (this.#isClosed) this.#admin.close();
    return this.#admin.routes;
  }

  /** {@link LoginCode.issue} */
  issueLoginCode(): string {
    return this.#loginCode.issue();
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
    void this.#changes?.then((changes) => changes.close());
    this.#admin?.close();
  }

  #loadChanges(): Promise<Changes> {
    return this.#changes ??= this.#makeChanges();
  }

  async #makeChanges(): Promise<Changes> {
    const { settings: { database }, users, remote } = this.#deps;
    if (remote !== null) {
      return { ask: (name, argument) => remote.thread.ask(name, argument), close: () => {} };
    }
    const { ChangeThread } = await import("./change_thread.ts");
    const changes = new ChangeThread({ database, now: systemClock.now });
    users.add(changes);
    if (this.#isClosed) changes.close();
    return changes;
  }
}
