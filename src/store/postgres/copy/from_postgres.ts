/**
 * Copies a PostgreSQL database to a new SQLite file: the records by their times, then statistics, upstreams and settings.
 *
 * Owns the order and the batches. A copy that was interrupted goes on: what the file has is not read again.
 */
import { FIRST_OWNED_ID, type OwnedIdPlace } from "../../config/owned_ids.ts";
import { remoteOwnedIdsAfter } from "../owned_ids.ts";
import { readRemoteSpend } from "../read/spending.ts";
import { RemoteConfig } from "../config/remote_config.ts";
import type { PgStore } from "../query.ts";
import { type CopyCounts, type CopyOptions, CopyTally, throwIfStopped } from "./copied.ts";
import { Patience } from "./patience.ts";
import {
  identifyRemote,
  lastRemoteId,
  type RemoteKey,
  remoteKeys,
  remoteRecords,
  remoteSizes,
  waitingInJournals,
} from "./remote_source.ts";
import { newOwnId } from "./source_identity.ts";
import { SqliteTarget } from "./sqlite_target.ts";
import { summedStatistics } from "./summed_statistics.ts";

const MAX_KEYS = 2_000;
const MAX_BATCH_ROWS = 500;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

export interface CopiedFromPostgres extends CopyCounts {
  readonly upstreams: number;
  readonly settings: number;
  /** Records that replicas have yet to ship. */
  readonly waiting: number;
}

export interface FromPostgresOptions extends CopyOptions {
  readonly database: PgStore;
  /** Of the new file. */
  readonly path: string;
}

/** @throws CopyRefusedError, CopyStoppedError, PgError, StoreError */
export async function copyFromPostgres(options: FromPostgresOptions): Promise<CopiedFromPostgres> {
  const { database, clock, signal, path } = options;
  const patience = new Patience(clock, signal);
  const config = new RemoteConfig(database, () => clock.now());
  const target = new SqliteTarget(path, {
    source: await identifyRemote(database),
    ownId: newOwnId(options.newId),
  });
  try {
    const records = new RecordCopy(options, { target, patience });
    const tally = await records.run();
    target.putStatistics(await patience.repeat(() => summedStatistics(database)));
    const loaded = await patience.repeat(() => config.load());
    target.putConfig(loaded);
    target.putSpend(await patience.repeat(() => readRemoteSpend(database, { fromDay: "" })));
    await copyOwnedIds(options, target, patience);
    const waiting = await patience.repeat(() => waitingInJournals(database));
    target.finish();
    const { openai_upstreams, config_kvs } = loaded.rows;
    return {
      ...tally.counts(),
      upstreams: openai_upstreams.length,
      settings: config_kvs.length,
      waiting,
    };
  } finally {
    target.close();
  }
}

async function copyOwnedIds(
  { database, signal }: FromPostgresOptions,
  target: SqliteTarget,
  patience: Patience,
): Promise<void> {
  let place: OwnedIdPlace = FIRST_OWNED_ID;
  while (true) {
    throwIfStopped(signal);
    const from: OwnedIdPlace = place;
    const ids = await patience.repeat(() => remoteOwnedIdsAfter(database, from, MAX_KEYS));
    const last = ids.at(-1);
    if (last === undefined) return;
    target.putOwnedIds(ids);
    place = last;
  }
}

class RecordCopy {
  readonly #options: FromPostgresOptions;
  readonly #target: SqliteTarget;
  readonly #patience: Patience;
  readonly #tally = new CopyTally();

  constructor(
    options: FromPostgresOptions,
    { target, patience }: { readonly target: SqliteTarget; readonly patience: Patience },
  ) {
    this.#options = options;
    this.#target = target;
    this.#patience = patience;
  }

  async run(): Promise<CopyTally> {
    const lastId = await this.#patience.repeat(() => lastRemoteId(this.#options.database));
    if (lastId === null) return this.#tally;
    await this.#walk(lastId);
    const { present } = this.#tally;
    // Journals ship late, and requests end meanwhile.
    this.#tally.underWay = 0;
    await this.#walk(lastId);
    this.#tally.present = present;
    return this.#tally;
  }

  async #walk(lastId: bigint): Promise<void> {
    const { database } = this.#options;
    let after: RemoteKey | null = null;
    while (true) {
      const from: RemoteKey | null = after;
      const keys: RemoteKey[] = await this.#patience.repeat(() =>
        remoteKeys(database, { after: from, lastId, limit: MAX_KEYS })
      );
      after = keys.at(-1) ?? null;
      if (after === null) return;
      await this.#copy(keys.filter((key) => this.#isWanted(key)));
    }
  }

  #isWanted(key: RemoteKey): boolean {
    if (key.isUnderWay) this.#tally.underWay++;
    else if (this.#target.has(key)) this.#tally.present++;
    else return true;
    return false;
  }

  async #copy(keys: readonly RemoteKey[]): Promise<void> {
    const { database, signal, onProgress } = this.#options;
    let rest = keys;
    throwIfStopped(signal);
    while (rest.length > 0) {
      throwIfStopped(signal);
      const candidates = rest.slice(0, MAX_BATCH_ROWS);
      const sizes = await this.#patience.repeat(() => remoteSizes(database, candidates));
      const batch = candidates.slice(0, countWithin(sizes, MAX_BATCH_BYTES));
      const records = await this.#patience.repeat(() => remoteRecords(database, batch));
      this.#tally.renamed += this.#target.put(records);
      this.#tally.records += records.length;
      for (const { attempts, isInFlight } of records) {
        this.#tally.attempts += attempts.length;
        if (isInFlight) this.#tally.crashed++;
      }
      rest = rest.slice(batch.length);
      onProgress(this.#tally.records + this.#tally.present, null);
    }
  }
}

/** How many of the first have no more together, at least one. */
function countWithin(sizes: readonly number[], limit: number): number {
  let sum = 0;
  const end = sizes.findIndex((size) => (sum += size) > limit);
  return end < 0 ? sizes.length : Math.max(1, end);
}
