/**
 * What this server says of upstreams that are not well, and which have answered, for other processes (`list`) to see.
 *
 * Owns the notes; the database thread has a copy, which it writes down. Others may miss a note while the database is in
 * trouble.
 */
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import type { UpstreamStateNote } from "../store.ts";
import type { WorkerLink } from "./worker_link.ts";

export class UpstreamStateNotes {
  readonly #link: Pick<WorkerLink, "sendIfRunning">;
  readonly #onCheck: (check: UpstreamCheck) => void;
  /** By upstream; none for those that are well. */
  readonly #notes = new Map<number, UpstreamStateNote>();
  /** Of upstreams that have answered, or refused to be asked for usage, since this server started. */
  readonly #checks = new Map<string, UpstreamCheck>();

  /** @param onCheck told of each upstream that has answered */
  constructor(
    link: Pick<WorkerLink, "listen" | "sendIfRunning">,
    onCheck: (check: UpstreamCheck) => void = () => {},
  ) {
    this.#link = link;
    this.#onCheck = onCheck;
    link.listen(({ type }) => {
      if (type !== "opened") return;
      if (this.#notes.size > 0) this.#send();
      if (this.#checks.size > 0) {
        link.sendIfRunning({ type: "upstream_checks", checks: [...this.#checks.values()] });
      }
    });
  }

  get(upstreamId: number): UpstreamStateNote | undefined {
    return this.#notes.get(upstreamId);
  }

  /** Replaces what was noted of the same upstream. */
  note(note: UpstreamStateNote): void {
    this.#notes.set(note.upstreamId, note);
    this.#send();
  }

  /** It has answered, or refused to be asked for usage; this stays when the server ends. */
  check(check: UpstreamCheck): void {
    this.#checks.set(`${check.upstreamId} ${check.refusedAtMs === undefined}`, check);
    this.#onCheck(check);
    this.#link.sendIfRunning({ type: "upstream_checks", checks: [check] });
  }

  /** Forgets what was noted of upstreams that are well again, or gone. */
  clear(shouldForget: (upstreamId: number) => boolean): void {
    const forgotten = [...this.#notes.keys()].filter(shouldForget);
    if (forgotten.length === 0) return;
    for (const id of forgotten) this.#notes.delete(id);
    this.#send();
  }

  #send(): void {
    this.#link.sendIfRunning({ type: "upstream_states", notes: [...this.#notes.values()] });
  }
}
