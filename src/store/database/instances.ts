/**
 * Which processes write to this database, and what dead ones left behind.
 *
 * Owns the table `instances`, the turning of `in_flight` rows into `crashed`, and the removal of dead processes' notes on
 * upstreams. What they might have spent: ../spend/spend_ledger.ts. The death of a process with a mark is known at once (running_marks.ts), that of any other by the age of its
 * heartbeat.
 */
import type { DatabaseSync } from "node:sqlite";
import { fromGoTime, toGoTime } from "./go_time.ts";
import { DELETE_PARTS, JOIN_PARTS } from "./record_parts.ts";
import { isMarkHeld } from "./running_marks.ts";
import { prepared } from "./statements.ts";
import { inTransaction } from "./transaction.ts";
import { attemptsOf, COUNTED_COLUMNS, toCounted } from "../stats/counted.ts";
import { chargeDeadLeases } from "../spend/spend_ledger.ts";
import type { StatsWriter } from "../stats/writer.ts";

/** How often {@link Instances.beat} is due. */
export const HEARTBEAT_MS = 5_000; // docs/tuning.md#write-worker

/**
 * One missed beat and a margin; decides where there is no mark. A mistake corrects itself: the next row that the living
 * process writes for its request replaces `crashed`.
 */
const DEAD_AFTER_MS = 7_000; // docs/tuning.md#write-worker

export const CRASH_MESSAGE = "the router stopped while this request was in flight";

const DELETE_NOTES_OF_THE_DEAD =
  "DELETE FROM upstream_states WHERE instance NOT IN (SELECT id FROM instances)";

export interface InstanceIdentity {
  readonly id: string;
  readonly pid: number;
}

interface InstanceRow {
  readonly id: string;
  readonly heartbeatAtMs: number | null;
}

export class Instances {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #self: InstanceIdentity;
  readonly #stats: StatsWriter;
  readonly #dayOf: (ms: number) => string;

  constructor(
    db: DatabaseSync,
    { path, self, stats, dayOf }: {
      /** Of the database, beside which the marks are. */
      readonly path: string;
      readonly self: InstanceIdentity;
      readonly stats: StatsWriter;
      /** The day of a time, on which what a dead process might have charged is charged. */
      readonly dayOf: (ms: number) => string;
    },
  ) {
    this.#db = db;
    this.#path = path;
    this.#self = self;
    this.#stats = stats;
    this.#dayOf = dayOf;
  }

  /**
   * Writes this process's heartbeat, and closes the rows of dead processes, keeping what had arrived. What they might
   * have charged is charged.
   * @returns how many rows became `crashed`
   */
  beat(): number {
    const nowMs = Date.now();
    const now = toGoTime(nowMs);
    const { id, pid } = this.#self;
    return inTransaction(this.#db, () => {
      prepared(
        this.#db,
        `INSERT INTO instances(id, started_at, heartbeat_at, pid) VALUES (?, ?, ?, ?)
          ON CONFLICT(id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at`,
      ).run(id, now, now, pid);
      const remove = prepared(this.#db, "DELETE FROM instances WHERE id = ?");
      for (const other of listInstances(this.#db)) {
        if (other.id !== id && !isAlive(other, this.#path, nowMs)) remove.run(other.id);
      }
      prepared(this.#db, DELETE_NOTES_OF_THE_DEAD).run();
      chargeDeadLeases(this.#db, this.#dayOf);
      return this.#closeRowsOfTheDead();
    });
  }

  #closeRowsOfTheDead(): number {
    const update = prepared(
      this.#db,
      `UPDATE records SET outcome = 'crashed', error = coalesce(error, ?),
        ${JOIN_PARTS}
        WHERE outcome = 'in_flight' AND (instance IS NULL OR instance NOT IN (SELECT id FROM instances))
        RETURNING ${COUNTED_COLUMNS}`,
    );
    update.setReadBigInts(true);
    const rows = update.all(CRASH_MESSAGE);
    const deleteParts = prepared(this.#db, DELETE_PARTS);
    const tally = this.#stats.tally();
    for (const row of rows) {
      const id = Number(row["id"]);
      deleteParts.run(id);
      const request = toCounted(row, attemptsOf(this.#db, id));
      if (request !== null) tally.add(request, this.#stats.counting(id));
    }
    this.#stats.write(tally);
    return rows.length;
  }

  /** Whether another process has died since the last beat, so that a beat is due at once. */
  hasDeadOther(): boolean {
    const nowMs = Date.now();
    return listInstances(this.#db).some((other) =>
      other.id !== this.#self.id && !isAlive(other, this.#path, nowMs)
    );
  }

  /** Removes this process, so that nobody has to wait for its heartbeat to grow old. */
  leave(): void {
    prepared(this.#db, "DELETE FROM instances WHERE id = ?").run(this.#self.id);
    prepared(this.#db, DELETE_NOTES_OF_THE_DEAD).run();
  }
}

/** Ids of the processes that write to this database now. */
export function livingInstances(db: DatabaseSync, nowMs: number): Set<string> {
  const path = db.location() ?? "";
  return new Set(listInstances(db).filter((each) => isAlive(each, path, nowMs)).map(({ id }) => id));
}

function listInstances(db: DatabaseSync): InstanceRow[] {
  return prepared(db, "SELECT id, heartbeat_at FROM instances").all().map((row) => ({
    id: String(row["id"]),
    heartbeatAtMs: fromGoTime(String(row["heartbeat_at"])),
  }));
}

function isAlive({ id, heartbeatAtMs }: InstanceRow, path: string, nowMs: number): boolean {
  return isMarkHeld(path, id) ??
    (heartbeatAtMs !== null && Math.abs(nowMs - heartbeatAtMs) <= DEAD_AFTER_MS);
}
