/**
 * Which processes write to this database, and what dead ones left behind.
 *
 * Owns the table `instances`, the turning of `in_flight` rows into `crashed`, and the removal of dead processes' notes on
 * upstreams. The death of a process on the same kernel and pid namespace is known at once (processes.ts), that of any
 * other by the age of its heartbeat.
 */
import type { DatabaseSync } from "node:sqlite";
import { fromGoTime, toGoTime } from "./go_time.ts";
import { type Processes, type ProcessIdentity, systemProcesses, thisProcess } from "./processes.ts";
import { prepared } from "./statements.ts";
import { inTransaction } from "./transaction.ts";
import { attemptsOf, COUNTED_COLUMNS, type StatsWriter, toCounted } from "../stats/writer.ts";

/** How often {@link Instances.beat} is due. */
export const HEARTBEAT_MS = 5_000; // docs/tuning.md#write-worker

/**
 * One missed beat and a margin; decides where /proc says nothing. A mistake corrects itself: the next row that the living
 * process writes for its request replaces `crashed`.
 */
const DEAD_AFTER_MS = 7_000; // docs/tuning.md#write-worker

const CRASH_MESSAGE = "the router stopped while this request was in flight";

const DELETE_NOTES_OF_THE_DEAD =
  "DELETE FROM upstream_states WHERE instance NOT IN (SELECT id FROM instances)";

export interface InstanceIdentity {
  readonly id: string;
  readonly process: ProcessIdentity;
}

interface InstanceRow {
  readonly id: string;
  readonly heartbeatAtMs: number | null;
  readonly pid: number;
  readonly place: string | null;
  readonly processStarted: string | null;
}

export class Instances {
  readonly #db: DatabaseSync;
  readonly #self: InstanceIdentity;
  readonly #stats: StatsWriter;
  readonly #processes: Processes;

  constructor(
    db: DatabaseSync,
    { self, stats, processes }: {
      readonly self: InstanceIdentity;
      readonly stats: StatsWriter;
      readonly processes: Processes;
    },
  ) {
    this.#db = db;
    this.#self = self;
    this.#stats = stats;
    this.#processes = processes;
  }

  /**
   * Writes this process's heartbeat, and closes the rows of dead processes, keeping what had arrived.
   * @returns how many rows became `crashed`
   */
  beat(): number {
    const nowMs = Date.now();
    const now = toGoTime(nowMs);
    const { id, process } = this.#self;
    return inTransaction(this.#db, () => {
      prepared(
        this.#db,
        `INSERT INTO instances(id, started_at, heartbeat_at, pid, place, process_started) VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT(id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at`,
      ).run(id, now, now, process.pid, process.place, process.startedAt);
      const remove = prepared(this.#db, "DELETE FROM instances WHERE id = ?");
      for (const other of listInstances(this.#db)) {
        if (other.id !== id && !this.#isAlive(other, nowMs)) remove.run(other.id);
      }
      prepared(this.#db, DELETE_NOTES_OF_THE_DEAD).run();
      return this.#closeRowsOfTheDead();
    });
  }

  #closeRowsOfTheDead(): number {
    const update = prepared(
      this.#db,
      `UPDATE records SET outcome = 'crashed', error = coalesce(error, ?)
        WHERE outcome = 'in_flight' AND (instance IS NULL OR instance NOT IN (SELECT id FROM instances))
        RETURNING ${COUNTED_COLUMNS}`,
    );
    update.setReadBigInts(true);
    const rows = update.all(CRASH_MESSAGE);
    const tally = this.#stats.tally();
    for (const row of rows) {
      const id = Number(row["id"]);
      const request = this.#stats.shouldCount(id) ? toCounted(row, attemptsOf(this.#db, id)) : null;
      if (request !== null) tally.add(request);
    }
    this.#stats.write(tally);
    return rows.length;
  }

  /** Whether another process has died since the last beat, so that a beat is due at once. */
  hasDeadOther(): boolean {
    const nowMs = Date.now();
    return listInstances(this.#db).some((other) =>
      other.id !== this.#self.id && !this.#isAlive(other, nowMs)
    );
  }

  /** Pids of other processes in the same boot and pid namespace, which {@link Processes} can look up. */
  otherPids(): number[] {
    const { id, process } = this.#self;
    return listInstances(this.#db)
      .filter((other) => other.id !== id && other.place !== null && other.place === process.place)
      .map(({ pid }) => pid);
  }

  #isAlive(other: InstanceRow, nowMs: number): boolean {
    return isAlive(other, { nowMs, place: this.#self.process.place, processes: this.#processes });
  }

  /** Removes this process, so that nobody has to wait for its heartbeat to grow old. */
  leave(): void {
    prepared(this.#db, "DELETE FROM instances WHERE id = ?").run(this.#self.id);
    prepared(this.#db, DELETE_NOTES_OF_THE_DEAD).run();
  }
}

/** Ids of the processes that write to this database now. */
export function livingInstances(db: DatabaseSync, nowMs: number): Set<string> {
  const { place } = thisProcess();
  const context = { nowMs, place, processes: systemProcesses };
  return new Set(listInstances(db).filter((each) => isAlive(each, context)).map(({ id }) => id));
}

function listInstances(db: DatabaseSync): InstanceRow[] {
  const rows = prepared(db, "SELECT id, heartbeat_at, pid, place, process_started FROM instances").all();
  return rows.map((row) => ({
    id: String(row["id"]),
    heartbeatAtMs: fromGoTime(String(row["heartbeat_at"])),
    pid: Number(row["pid"]),
    place: row["place"] === null ? null : String(row["place"]),
    processStarted: row["process_started"] === null ? null : String(row["process_started"]),
  }));
}

interface Judgement {
  readonly nowMs: number;
  /** Of this process. */
  readonly place: string | null;
  readonly processes: Processes;
}

function isAlive(
  { place, pid, processStarted, heartbeatAtMs }: InstanceRow,
  { nowMs, place: ownPlace, processes }: Judgement,
): boolean {
  if (place !== null && place === ownPlace && processStarted !== null) {
    const startedAt = processes.startOf(pid);
    if (startedAt !== undefined) return startedAt === processStarted;
  }
  return heartbeatAtMs !== null && Math.abs(nowMs - heartbeatAtMs) <= DEAD_AFTER_MS;
}
