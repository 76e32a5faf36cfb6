/**
 * Ships records that are under way, so that every replica sees them: those that have changed, once a second.
 *
 * Owns which versions PostgreSQL has. They stay in the journal; when they are settled, the shipper replaces and deletes them.
 * A second ships one batch; where there is more, each record has its turn.
 */
import type { Clock } from "../../../core/clock.ts";
import { sendApart } from "./isolation.ts";
import type { Journal } from "./journal.ts";
import type { Remote } from "./remote.ts";

const EVERY_MS = 1_000;
const MAX_BATCH_ROWS = 500; // docs/tuning.md#shipper
const MAX_BATCH_BYTES = 4 * 1024 * 1024; // docs/tuning.md#shipper

export interface OpenRecordsOptions {
  readonly journal: Pick<Journal, "open">;
  readonly remote: Pick<Remote, "putRecords" | "failureOf">;
  readonly clock: Pick<Clock, "monotonic">;
}

export class OpenRecords {
  readonly #options: OpenRecordsOptions;
  readonly #known = new Map<number, string>();
  /** The part of {@link #known} that is still under way in this round. */
  #seen = new Set<number>();
  #cursor = 0;
  #shippedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: OpenRecordsOptions) {
    this.#options = options;
  }

  /** What PostgreSQL has is unknown. */
  startOver(): void {
    this.#known.clear();
    this.#seen.clear();
    this.#cursor = 0;
  }

  /** Does nothing when less than a second has passed. @throws RemoteTrouble, or what SQLite throws */
  async ship(): Promise<void> {
    const { journal, remote, clock } = this.#options;
    if (clock.monotonic() - this.#shippedAtMs < EVERY_MS) return;
    this.#shippedAtMs = clock.monotonic();
    const { records, ids, lastId, isEnd } = journal.open(this.#cursor, {
      known: this.#known,
      maxRows: MAX_BATCH_ROWS,
      maxBytes: MAX_BATCH_BYTES,
    });
    if (records.length > 0) {
      const sent = await sendApart(records, {
        put: (part) => remote.putRecords(part),
        failureOf: (error) => remote.failureOf(error),
      });
      // What is refused is tried again when it has changed.
      for (const { id, version } of [...sent.done, ...sent.refused.map(({ item }) => item)]) {
        this.#known.set(id, version);
      }
      if (sent.failure !== null) throw sent.failure;
    }
    for (const id of ids) this.#seen.add(id);
    if (isEnd) this.#endRound();
    else this.#cursor = lastId;
  }

  #endRound(): void {
    for (const id of this.#known.keys()) {
      if (!this.#seen.has(id)) this.#known.delete(id);
    }
    this.#seen = new Set();
    this.#cursor = 0;
  }
}
