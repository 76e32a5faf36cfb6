/**
 * Walks through records page by page, so that any number of them takes the memory of one page.
 *
 * Owns the size of a page: rows range from bytes to megabytes, so it follows the size of the last page.
 */
import type { RecordFilter, StoredRecord } from "../../store/store.ts";
import type { EventualReader } from "../command_database.ts";

const FIRST_PAGE_ROWS = 8; // docs/tuning.md#control-page-and-command-line
const MAX_PAGE_ROWS = 256;
/** In UTF-16 units of text. */
const PAGE_TARGET_LENGTH = 4 * 1024 * 1024; // docs/tuning.md#control-page-and-command-line

/** Oldest first, up to the row that is the newest when the walk begins. */
export async function* oldestFirst(
  reader: EventualReader,
  filter: RecordFilter,
): AsyncGenerator<StoredRecord> {
  const lastId = await reader.lastId();
  const pages = walk((limit, afterId) => reader.listAfter({ limit, afterId, filter }), 0);
  for await (const record of pages) {
    if (record.id > lastId) return;
    yield record;
  }
}

/** Newest first, at most `limit` of them. */
export async function* newestFirst(
  reader: EventualReader,
  { limit, beforeId, filter }: {
    readonly limit: number;
    readonly beforeId?: number;
    readonly filter: RecordFilter;
  },
): AsyncGenerator<StoredRecord> {
  let left = limit;
  const pages = walk(
    (rows, before) => reader.list({ limit: Math.min(rows, left), beforeId: before, filter }),
    beforeId ?? Number.MAX_SAFE_INTEGER,
  );
  for await (const record of pages) {
    yield record;
    left--;
    if (left === 0) return;
  }
}

async function* walk(
  fetchPage: (limit: number, cursor: number) => StoredRecord[] | Promise<StoredRecord[]>,
  start: number,
): AsyncGenerator<StoredRecord> {
  let rows = FIRST_PAGE_ROWS;
  let cursor = start;
  for (;;) {
    const page = await fetchPage(rows, cursor);
    const last = page.at(-1);
    if (last === undefined) return;
    const length = page.reduce((sum, record) => sum + lengthOf(record), 0);
    yield* page;
    cursor = last.id;
    const fitting = Math.floor(PAGE_TARGET_LENGTH / Math.max(1, length / page.length));
    rows = Math.max(1, Math.min(fitting, rows * 2, MAX_PAGE_ROWS));
  }
}

function lengthOf({ body, response, reasoning, toolCalls }: StoredRecord): number {
  const calls = toolCalls.reduce((sum, call) => sum + call.arguments.length, 0);
  return (body?.length ?? 0) + (response?.length ?? 0) + (reasoning?.length ?? 0) + calls;
}
