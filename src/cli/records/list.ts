/**
 * `records list`: a table for people, a JSON array for programs.
 *
 * Owns which columns give way when the screen is narrow.
 */
import { cleanText } from "../../core/clean_text.ts";
import type { StoredRecord } from "../../store/store.ts";
import { type CommandContext } from "../context.ts";
import { type Column, displayWidth, formatJson, formatTable, type Terminal } from "../output.ts";
import { withRecords } from "./access.ts";
import { type FilterFlags, parseFilter, readCount, resolveFilter } from "./filters.ts";
import { newestFirst } from "./pages.ts";
import { formatDuration, formatTime } from "../../core/times.ts";
import { type NameSource, viewRecord } from "../../control/record_view.ts";
import { costText, countText, startOfReply, statusText, tokensText } from "./view.ts";

export interface ListFlags extends FilterFlags {
  readonly limit?: string;
  readonly before?: string;
  readonly count?: boolean;
  readonly json?: boolean;
}

export const DEFAULT_LIMIT = "20";
export const MAX_LIMIT = 10_000;

export async function listRecords(context: CommandContext, flags: ListFlags): Promise<void> {
  const parsed = parseFilter(flags, Date.now());
  const limit = readCount(flags.limit ?? DEFAULT_LIMIT, { flag: "--limit", max: MAX_LIMIT });
  const beforeId = flags.before === undefined
    ? Number.MAX_SAFE_INTEGER
    : readCount(flags.before, { flag: "--before", max: Number.MAX_SAFE_INTEGER });
  await withRecords({ ...context, flags }, async ({ records, names }) => {
    const filter = resolveFilter(parsed, names);
    if (flags.count) return context.terminal.print(formatCount(await records.count(filter), flags));
    const found = newestFirst(records, { limit, beforeId, filter });
    const print = flags.json ? printJson : printTable;
    await print(found, { names, terminal: context.terminal });
  });
}

function formatCount(count: number, { json }: ListFlags): string {
  return json ? formatJson({ count }, 0) : String(count);
}

interface PrintOptions {
  readonly names: NameSource;
  readonly terminal: Terminal;
}

async function printJson(
  records: AsyncIterable<StoredRecord>,
  { names, terminal }: PrintOptions,
): Promise<void> {
  let previous: string | null = null;
  for await (const record of records) {
    if (terminal.isReaderGone) return;
    terminal.print(previous === null ? "[" : `${previous},`);
    previous = formatJson(viewRecord(record, names)).replace(/^/gm, "  ");
  }
  if (previous === null) return terminal.print("[]");
  terminal.print(previous);
  terminal.print("]");
}

/** The cells of one record; without its texts, so that many rows fit in memory. */
interface Row {
  readonly id: string;
  readonly time: string;
  readonly model: string;
  readonly status: string;
  readonly outcome: string;
  readonly upstream: string;
  readonly attempts: string;
  readonly duration: string;
  readonly firstToken: string;
  readonly tokensIn: string;
  readonly tokensOut: string;
  readonly cost: string;
  readonly reply: string;
}

interface RecordColumn extends Column<Row> {
  /** The highest goes first when the table is too wide; none: stays. */
  readonly dispensability?: number;
}

const COLUMNS: readonly RecordColumn[] = [
  { title: "ID", cell: ({ id }) => id },
  { title: "TIME", cell: ({ time }) => time, dispensability: 1 },
  { title: "MODEL", cell: ({ model }) => model, isFlexible: true, dispensability: 3 },
  { title: "STATUS", cell: ({ status }) => status },
  { title: "OUTCOME", cell: ({ outcome }) => outcome, dispensability: 2 },
  { title: "UPSTREAM", cell: ({ upstream }) => upstream, isFlexible: true, dispensability: 5 },
  { title: "TRIES", cell: ({ attempts }) => attempts, dispensability: 7 },
  { title: "DURATION", cell: ({ duration }) => duration, dispensability: 4 },
  { title: "FIRST TOKEN", cell: ({ firstToken }) => firstToken, dispensability: 8 },
  { title: "IN", cell: ({ tokensIn }) => tokensIn, dispensability: 6 },
  { title: "OUT", cell: ({ tokensOut }) => tokensOut, dispensability: 6 },
  { title: "USD", cell: ({ cost }) => cost, dispensability: 9 },
  { title: "REPLY", cell: ({ reply }) => reply, isFlexible: true },
];

async function printTable(
  records: AsyncIterable<StoredRecord>,
  { names, terminal }: PrintOptions,
): Promise<void> {
  const rows = await Array.fromAsync(records, (record) => toRow(record, names));
  if (rows.length === 0) return terminal.note("no records match");
  fittingTable(rows, terminal.columns).forEach(terminal.print);
}

function toRow(record: StoredRecord, names: NameSource): Row {
  return {
    id: String(record.id),
    time: formatTime(record.createdAtMs),
    model: cleanText(record.model ?? "-").slice(0, 80),
    status: statusText(record),
    outcome: cleanText(record.outcome ?? "-").slice(0, 20),
    upstream: names.nameOf(record.upstreamId) ?? "-",
    attempts: countText(record.attemptCount),
    duration: formatDuration(record.elapsedMs),
    firstToken: formatDuration(record.firstTokenMs),
    tokensIn: tokensText(record, "inputTokens"),
    tokensOut: tokensText(record, "outputTokens"),
    cost: costText(record.costNano),
    reply: cleanText(startOfReply(record)),
  };
}

/** The table with as many columns as fit. */
function fittingTable(rows: readonly Row[], width: number | null): string[] {
  const byDispensability = [...COLUMNS]
    .filter((column) => column.dispensability !== undefined)
    .sort((a, b) => (b.dispensability ?? 0) - (a.dispensability ?? 0));
  let columns = COLUMNS;
  for (;;) {
    const lines = formatTable(rows, { columns, width });
    const dropped = byDispensability.shift();
    const isFitting = width === null || lines.every((line) => displayWidth(line) <= width);
    if (isFitting || dropped === undefined) return lines;
    columns = columns.filter((column) => column !== dropped);
  }
}
