/**
 * `records tail`: the newest records, and with `-f` every further one as it settles.
 *
 * Owns what was shown already and what is still in flight. Time comes in as {@link FollowOptions.wait}.
 */
import { UsageError } from "../errors.ts";
import { cleanText } from "../../core/clean_text.ts";
import { messageOf } from "../../core/errors.ts";
import type { RecordFilter, StoredRecord } from "../../store/store.ts";
import type { CommandReader } from "../command_database.ts";
import { LateIds } from "./late_ids.ts";
import { systemClock } from "../../server/clock.ts";
import type { CommandContext } from "../context.ts";
import { formatJson, formatTable, type Terminal } from "../output.ts";
import { withRecords } from "./access.ts";
import { type FilterFlags, parseFilter, readCount, resolveFilter } from "./filters.ts";
import { newestFirst } from "./pages.ts";
import { formatDuration, formatTime } from "../../core/times.ts";
import { type NameSource, viewRecord } from "../../control/record_view.ts";
import { startOfReply, statusText, tokensText } from "./view.ts";

export interface TailFlags extends FilterFlags {
  readonly follow?: boolean;
  /** `-n`: a count follows. */
  readonly n?: boolean;
  readonly json?: boolean;
}

const DEFAULT_COUNT = "10";
const MAX_COUNT = 10_000;
const POLL_MS = 500;
const PAGE_ROWS = 64;

export async function tailRecords(
  context: CommandContext,
  { count, flags }: { readonly count: string | undefined; readonly flags: TailFlags },
): Promise<void> {
  if (flags.n && count === undefined) throw new UsageError("-n needs a count, as in: tail -n 10");
  const limit = readCount(count ?? DEFAULT_COUNT, { flag: "-n", max: MAX_COUNT });
  const parsed = parseFilter(flags, Date.now());
  const { terminal } = context;
  await withRecords({ ...context, flags }, async ({ records, names, version }) => {
    const filter = resolveFilter(parsed, names);
    let isEmpty = true;
    const print = (record: StoredRecord): void => {
      isEmpty = false;
      terminal.print(
        flags.json ? formatJson(viewRecord(record, names), 0) : lineOf(record, { names, terminal }),
      );
    };
    const tail = new Tail({ records, filter, print });
    await tail.begin(limit);
    if (!flags.follow) return isEmpty ? terminal.note("no records match") : undefined;
    await untilStopped((signal) =>
      follow({ tail, version, terminal, wait: () => pause(signal, () => terminal.isReaderGone) })
    );
  });
}

export interface TailOptions {
  readonly records: CommandReader;
  readonly filter: RecordFilter;
  readonly print: (record: StoredRecord) => void;
}

/** What was shown, and what is in flight. */
export class Tail {
  readonly #options: TailOptions;
  /** The conditions of the filter that a request in flight can meet already. */
  readonly #lasting: RecordFilter;
  /** Rows that were in flight when they were first seen. */
  readonly #inFlight = new Set<number>();
  /** null: every record has a number above those that were there before. */
  readonly #late: LateIds | null;
  #lastId = 0;

  constructor(options: TailOptions) {
    this.#options = options;
    const { sinceMs, untilMs, model, client } = options.filter;
    this.#lasting = {
      ...(sinceMs === undefined ? {} : { sinceMs }),
      ...(untilMs === undefined ? {} : { untilMs }),
      ...(model === undefined ? {} : { model }),
      ...(client === undefined ? {} : { client }),
    };
    const { records } = options;
    this.#late = records.idsAfter === undefined ? null : new LateIds({
      idsAfter: (page) => records.idsAfter?.({ ...page, filter: this.#lasting }) ?? Promise.resolve([]),
      monotonic: systemClock.monotonic,
    });
  }

  /** Prints the newest settled records, oldest first, at most `limit`. */
  async begin(limit: number): Promise<void> {
    const { records, filter, print } = this.#options;
    this.#lastId = await records.lastId();
    await this.#late?.begin(this.#lastId);
    const page = { limit: MAX_COUNT, beforeId: this.#lastId + 1 };
    for (
      const { id } of await records.list({ ...page, filter: { ...this.#lasting, outcome: "in_flight" } })
    ) {
      if (id > this.#lastId) continue;
      this.#inFlight.add(id);
      this.#late?.add(id);
    }
    const newest: StoredRecord[] = [];
    for await (const record of newestFirst(records, { ...page, filter })) {
      if (newest.length === limit) break;
      // One that has just arrived is among the next.
      if (record.outcome === "in_flight" || record.id > this.#lastId) continue;
      newest.push(record);
      this.#late?.add(record.id);
    }
    newest.reverse().forEach(print);
  }

  /**
   * Prints what has settled since.
   *
   * @throws StoreError when the database cannot be read; nothing is lost, the next call catches up
   */
  async advance(): Promise<void> {
    const { records, print } = this.#options;
    for (const id of [...this.#inFlight]) {
      const record = await records.get(id);
      if (record !== null && record.outcome === "in_flight") continue;
      if (record !== null && await this.#isWanted(record)) print(record);
      this.#inFlight.delete(id);
    }
    const newestId = await records.lastId();
    // Another database may have taken the file's place.
    this.#lastId = Math.min(this.#lastId, newestId);
    for (const id of await this.#late?.missed(this.#lastId) ?? []) {
      const record = await records.get(id);
      if (record !== null) await this.#show(record);
    }
    for (;;) {
      const page = await records.listAfter({
        limit: PAGE_ROWS,
        afterId: this.#lastId,
        filter: this.#lasting,
      });
      for (const record of page) {
        await this.#show(record);
        this.#lastId = record.id;
      }
      if (page.length < PAGE_ROWS) break;
    }
    // Records that the filter leaves out need not be looked at again.
    this.#lastId = Math.max(this.#lastId, newestId);
  }

  /** Prints it, or waits for its end. */
  async #show(record: StoredRecord): Promise<void> {
    if (record.outcome === "in_flight") this.#inFlight.add(record.id);
    else if (await this.#isWanted(record)) this.#options.print(record);
    this.#late?.add(record.id);
  }

  /** Asks the store, which alone knows what its filters mean. */
  async #isWanted({ id }: StoredRecord): Promise<boolean> {
    const { records, filter } = this.#options;
    const isUndecided = filter.status !== undefined || filter.outcome !== undefined ||
      filter.upstreamId !== undefined || filter.text !== undefined;
    return !isUndecided || (await records.listAfter({ limit: 1, afterId: id - 1, filter }))[0]?.id === id;
  }
}

export interface FollowOptions {
  readonly tail: { advance(): void | Promise<void> };
  /** Differs after every change of the database; throws while it cannot be read. */
  readonly version: () => number;
  readonly terminal: Pick<Terminal, "note">;
  /** Until the next look; false: stop. */
  readonly wait: () => Promise<boolean>;
}

/** Advances after every change until `wait` says to stop; says once when the database cannot be read. */
export async function follow({ tail, version, terminal, wait }: FollowOptions): Promise<void> {
  let seen: number | null = null;
  let isInTrouble = false;
  do {
    try {
      const current = version();
      if (current !== seen) await tail.advance();
      seen = current;
      if (isInTrouble) terminal.note("the records can be read again");
      isInTrouble = false;
    } catch (error) {
      if (!isInTrouble) terminal.note(`${cleanText(messageOf(error))}; trying on`);
      isInTrouble = true;
    }
  } while (await wait());
}

/** Waits for the next look; false when there is none. */
function pause(signal: AbortSignal, isOver: () => boolean): Promise<boolean> {
  if (signal.aborted || isOver()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = systemClock.setTimer(() => {
      signal.removeEventListener("abort", stop);
      resolve(true);
    }, POLL_MS);
    const stop = (): void => {
      systemClock.clearTimer(timer);
      resolve(false);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Runs until it ends, or until Ctrl-C or a request to terminate, which is no failure. */
async function untilStopped(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    await run(controller.signal);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}

/** `2026-11-01 12:00:01  #12  200 complete  gpt-4o  two  1.23 s  3 > 5 tokens  Hello` */
function lineOf(
  record: StoredRecord,
  { names, terminal }: { readonly names: NameSource; readonly terminal: Terminal },
): string {
  const { inputTokens, outputTokens } = record.usage;
  const hasTokens = inputTokens !== null || outputTokens !== null;
  const line = [
    formatTime(record.createdAtMs),
    `#${record.id}`,
    `${statusText(record)} ${record.outcome ?? ""}`,
    record.model ?? "-",
    names.nameOf(record.upstreamId) ?? "-",
    formatDuration(record.elapsedMs),
    ...(hasTokens
      ? [`${tokensText(record, "inputTokens")} > ${tokensText(record, "outputTokens")} tokens`]
      : []),
    startOfReply(record),
  ].map((part) => cleanText(part)).join("  ");
  const column = { title: "", cell: () => line, isFlexible: true };
  return formatTable([record], { columns: [column], width: terminal.columns })[1] ?? line;
}
