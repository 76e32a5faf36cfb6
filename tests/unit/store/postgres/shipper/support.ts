/**
 * What the tests of the shipper share: a journal with records, and a PostgreSQL that is only pretended.
 */
import type { RequestRecord } from "../../../../../src/core/types.ts";
import { systemClock } from "../../../../../src/server/clock.ts";
import { Journal } from "../../../../../src/store/postgres/shipper/journal.ts";
import type { Remote, RemoteFailure } from "../../../../../src/store/postgres/shipper/remote.ts";
import { Shipper, type ShipperObserver } from "../../../../../src/store/postgres/shipper/shipper.ts";
import {
  type ShippedRecord,
  VALUE_COLUMNS,
} from "../../../../../src/store/postgres/shipper/shipped_record.ts";
import {
  noteSent,
  type StatisticsChanges,
} from "../../../../../src/store/postgres/shipper/statistics_changes.ts";
import type { FakeClock } from "../../../../support/fake_clock.ts";
import { makeRecord, makeSession, until } from "../../support.ts";

/** An error of the pretended PostgreSQL. */
export class PretendedError extends Error {
  constructor(readonly kind: RemoteFailure, message = `pretended ${kind}`) {
    super(message);
  }
}

/** Keeps the newest version of each record, as PostgreSQL does. */
export class PretendedRemote implements Remote {
  readonly records = new Map<string, ShippedRecord>();
  readonly digests = new Map<string, string>();
  readonly statisticsSent: StatisticsChanges[] = [];
  /** Sizes of the batches that were asked for, failed ones too. */
  readonly batches: number[] = [];
  readonly journals = new Set<string>();
  /** May throw before anything is committed. */
  before: (records: readonly ShippedRecord[]) => void | Promise<void> = () => {};
  /** May throw when all is committed. */
  after: (records: readonly ShippedRecord[]) => void | Promise<void> = () => {};

  serverName = "first";

  server(): Promise<string> {
    return Promise.resolve(this.serverName);
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  async putRecords(records: readonly ShippedRecord[]): Promise<void> {
    this.batches.push(records.length);
    await this.before(records);
    for (const record of records) {
      const old = this.records.get(record.requestId);
      const isOver = old !== undefined && old.isSettled && valueOf(old, "outcome") !== "crashed";
      if (isOver && (!record.isSettled || valueOf(record, "outcome") === "crashed")) continue;
      const body = record.texts.body ?? old?.texts.body ?? null;
      this.records.set(record.requestId, { ...record, texts: { ...record.texts, body } });
    }
    await this.after(records);
  }

  putStatistics(journal: string, changes: StatisticsChanges): Promise<void> {
    this.journals.add(journal);
    this.statisticsSent.push(changes);
    noteSent(this.digests, changes);
    return Promise.resolve();
  }

  statistics(_journal: string): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(this.digests);
  }

  failureOf(error: unknown): RemoteFailure {
    if (error instanceof PretendedError) return error.kind;
    throw error;
  }
}

export function valueOf({ values }: ShippedRecord, name: typeof VALUE_COLUMNS[number]): string | null {
  return values[VALUE_COLUMNS.indexOf(name)] ?? null;
}

/** What the shipper reports. */
export class ShipperLog implements ShipperObserver {
  readonly shippedIds: string[] = [];
  readonly rejections: { readonly requestId: string | null; readonly reason: string }[] = [];
  readonly troubles: string[] = [];
  resumes = 0;
  /** Called after each. */
  onEvent: () => void = () => {};

  shipped(requestIds: readonly string[]): void {
    this.shippedIds.push(...requestIds);
    this.onEvent();
  }
  rejected(requestId: string | null, reason: string): void {
    this.rejections.push({ requestId, reason });
    this.onEvent();
  }
  trouble(kind: string, message: string): void {
    this.troubles.push(`${kind}: ${message}`);
    this.onEvent();
  }
  resumed(): void {
    this.resumes++;
    this.onEvent();
  }
}

export function openJournal(path: string, id = "j1"): Journal {
  return new Journal(path, { busyTimeoutMs: 5_000, newId: () => id, now: Date.now });
}

/** Settled records `r1` … `rN`, committed as the program commits them. */
export function writeRecords(
  path: string,
  count: number,
  change: (n: number) => Partial<RequestRecord> = () => ({}),
): void {
  const session = makeSession(path);
  session.write(
    Array.from(
      { length: count },
      (_, index) => makeRecord({ requestId: `r${index + 1}`, ...change(index + 1) }),
    ),
  );
  session.close();
}

export interface Stage {
  readonly journal: Journal;
  readonly remote: PretendedRemote;
  readonly log: ShipperLog;
  readonly shipper: Shipper;
}

/** A shipper that was not started yet. */
export function makeShipper(
  path: string,
  options: Partial<ConstructorParameters<typeof Shipper>[0]> = {},
): Stage {
  const journal = openJournal(path);
  const remote = new PretendedRemote();
  const log = new ShipperLog();
  const shipper = new Shipper({
    journal,
    remote,
    clock: systemClock,
    observer: log,
    gatherMs: 0,
    keepSentMs: 0,
    ...options,
  });
  return { journal, remote, log, shipper };
}

/** Waits for a condition while the clock goes on, whatever is waited for. */
export async function untilWith(clock: FakeClock, condition: () => boolean, what: string): Promise<void> {
  await until(() => {
    if (condition()) return true;
    clock.advance(5_000);
    return false;
  }, what);
}
