/**
 * Keeps the journal's statistics in PostgreSQL.
 *
 * Owns when they are compared, and what PostgreSQL is known to have of them; asks it at the start and after trouble.
 */
import type { Clock } from "../../../core/clock.ts";
import { sendApart } from "./isolation.ts";
import type { Journal } from "./journal.ts";
import { type Remote, RemoteTrouble } from "./remote.ts";
import { changedStatistics, noteSent } from "./statistics_changes.ts";

const EVERY_MS = 10_000; // docs/tuning.md#shipper
/** Comparing many rows takes time, in which nothing is shipped. */
const REST_SHARE = 20; // docs/tuning.md#shipper
const MAX_BATCH_ROWS = 1_000;

export interface StatisticsCopyOptions {
  readonly journal: Pick<Journal, "db" | "id">;
  readonly remote: Pick<Remote, "statistics" | "putStatistics" | "failureOf">;
  readonly clock: Pick<Clock, "monotonic">;
}

export class StatisticsCopy {
  readonly #options: StatisticsCopyOptions;
  /** null: has to be asked. */
  #known: Map<string, string> | null = null;
  #nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: StatisticsCopyOptions) {
    this.#options = options;
  }

  /** What PostgreSQL has is unknown. */
  startOver(): void {
    this.#known = null;
  }

  /**
   * Sends what has changed, if it is time.
   *
   * @param options.isLast it is always time then
   * @throws RemoteTrouble, or what SQLite throws
   */
  async send({ isLast }: { readonly isLast: boolean }): Promise<void> {
    const { journal, clock } = this.#options;
    const startedAtMs = clock.monotonic();
    if (!isLast && startedAtMs < this.#nextAtMs) return;
    const known = this.#known ??= await this.#ask();
    const comparedFromMs = clock.monotonic();
    const changes = changedStatistics(journal.db, known);
    const tookMs = clock.monotonic() - comparedFromMs;
    for (let at = 0; at < changes.length; at += MAX_BATCH_ROWS) {
      const sent = await sendApart(changes.slice(at, at + MAX_BATCH_ROWS), {
        put: (part) => this.#options.remote.putStatistics(journal.id, part),
        failureOf: (error) => this.#options.remote.failureOf(error),
      });
      // What is refused is tried again when it has changed.
      noteSent(known, [...sent.done, ...sent.refused.map(({ item }) => item)]);
      if (sent.failure !== null) throw sent.failure;
    }
    this.#nextAtMs = clock.monotonic() + Math.max(EVERY_MS, REST_SHARE * tookMs);
  }

  async #ask(): Promise<Map<string, string>> {
    const { remote, journal } = this.#options;
    try {
      return new Map(await remote.statistics(journal.id));
    } catch (error) {
      const kind = remote.failureOf(error);
      throw new RemoteTrouble(kind === "poison" ? "setup" : kind, error);
    }
  }
}
