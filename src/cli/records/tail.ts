/**
 * `records tail`: the newest records, and with `-f` every further one as it settles.
 *
 * Owns what was shown already and what is still in flight. Time comes in as {@link FollowOptions.wait}.
 */
import { UsageError } from "../errors.ts";
import { cleanText } from "../../core/clean_text.ts";
import { messageOf } from "../../core/errors.ts";
import type { RecordFilter, RecordReader, StoredRecord } from "../../store/store.ts";
import { systemClock } from "../../server/clock.ts";
import type { CommandContext } from "../context.ts";
import { formatJson, formatTable, type Terminal } from "../output.ts";
import { upstreamNames, withRecords } from "./access.ts";
import { type FilterFlags, parseFilter, readCount, resolveFilter } from "./filters.ts";
import { newestFirst } from "./pages.ts";
import { formatDuration, formatTime } from "../../core/times.ts";
import { type NameSource, viewRecord } from "../../control/record_view.ts";
import { countText, startOfReply, statusText } from "./view.ts";

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
  await withRecords({ ...context, flags }, async ({ records, config }) => {
    const names = upstreamNames(config);
    const filter = resolveFilter(parsed, names);
    let isEmpty = true;
    const print = (record: StoredRecord): void => {
      isEmpty = false;
      terminal.print(
        flags.json ? formatJson(viewRecord(record, names), 0) : lineOf(record, { names, terminal }),
      );
    };
    const tail = new Tail({ records, filter, print });
    tail.begin(limit);
    if (!flags.follow) return isEmpty ? terminal.note("no records match") : undefined;
    const version = () => config.dataVersion();
    await untilStopped((signal) =>
      follow({ tail, version, terminal, wait: () => pause(signal, () => terminal.isReaderGone) })
    );
  });
}

export interface TailOptions {
  readonly records: RecordReader;
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
  }

  /** Prints the newest settled records, oldest first, at most `limit`. */
  begin(limit: number): void {
    const { records, filter, print } = this.#options;
    this.#lastId = records.lastId();
    const page = { limit: MAX_COUNT, beforeId: this.#lastId + 1 };
    for (const { id } of records.list({ ...page, filter: { ...this.#lasting, outcome: "in_flight" } })) {
      this.#inFlight.add(id);
    }
    const newest: StoredRecord[] = [];
    for (const record of newestFirst(records, { ...page, filter })) {
      if (newest.length === limit) break;
      if (record.outcome !== "in_flight") newest.push(record);
    }
    newest.reverse().forEach(print);
  }

  /**
   * Prints what has settled since.
   *
   * @throws StoreError when the database cannot be read; nothing is lost, the next call catches up
   */
  advance(): void {
    const { records, print } = this.#options;
    for (const id of [...this.#inFlight]) {
      const record = records.get(id);
      if (record !== null && record.outcome === "in_flight") continue;
      if (record !== null && this.#isWanted(record)) print(record);
      this.#inFlight.delete(id);
    }
    // Another database may have taken the file's place.
    this.#lastId = Math.min(this.#lastId, records.lastId());
    for (;;) {
      const page = records.listAfter({ limit: PAGE_ROWS, afterId: this.#lastId, filter: this.#lasting });
      for (const record of page) {
        if (record.outcome === "in_flight") this.#inFlight.add(record.id);
        else if (this.#isWanted(record)) print(record);
        this.#lastId = record.id;
      }
      if (page.length < PAGE_ROWS) return;
    }
  }

  /** Asks the store, which alone knows what its filters mean. */
  #isWanted({ id }: StoredRecord): boolean {
    const { records, filter } = this.#options;
    const isUndecided = filter.status !== undefined || filter.outcome !== undefined ||
      filter.upstreamId !== undefined || filter.text !== undefined;
    return !isUndecided || records.listAfter({ limit: 1, afterId: id - 1, filter })[0]?.id === id;
  }
}

export interface FollowOptions {
  readonly tail: Pick<Tail, "advance">;
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
      if (current !== seen) tail.advance();
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
    ...(hasTokens ? [`${countText(inputTokens)} > ${countText(outputTokens)} tokens`] : []),
    startOfReply(record),
  ].map((part) => cleanText(part)).join("  ");
  const column = { title: "", cell: () => line, isFlexible: true };
  return formatTable([record], { columns: [column], width: terminal.columns })[1] ?? line;
}
