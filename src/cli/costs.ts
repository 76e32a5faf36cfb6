/**
 * `costs`: who spent what, by client, model, upstream or day; a table for people, CSV or JSON for programs.
 *
 * Owns the flags and the table's columns; the rows are those of the page and the API.
 */
import type { Command } from "commander";
import type { CostReport } from "../control/admin_service.ts";
import {
  COST_KINDS,
  costCsv,
  type CostKind,
  type CostRow,
  costRows,
  costTotal,
} from "../control/cost_table.ts";
import { BYTE_ORDER_MARK } from "../control/csv_cell.ts";
import { namedUpstreams } from "../control/records.ts";
import { cleanText } from "../core/clean_text.ts";
import { parseMoment } from "../core/times.ts";
import { shownUsd } from "../core/shown_money.ts";
import { DAY_MS } from "../core/units.ts";
import { zoneOf } from "../core/zones.ts";
import type { DaySpan } from "../store/stats/usage_reader.ts";
import { choiceOption, type CommandContext, type DatabaseFlags, databaseOption } from "./context.ts";
import { UsageError } from "./errors.ts";
import { type Column, displayWidth, formatJson, formatTable, type Terminal } from "./output.ts";
import { withRecords } from "./records/access.ts";

interface CostFlags extends DatabaseFlags {
  readonly by?: string;
  readonly since?: string;
  readonly until?: string;
  readonly csv?: boolean;
  readonly json?: boolean;
}

const DEFAULT_DAYS = 30;
const MOMENT = "a duration ago (7d 3w), a date or an ISO time";

export function defineCostsCommand(program: Command, context: CommandContext): void {
  program.command("costs")
    .description("show who spent what, in days of UTC")
    .helpGroup("Records:")
    .addOption(choiceOption("--by <what>", {
      description: `what a line stands for: ${COST_KINDS.join(", ")} (default client)`,
      choices: COST_KINDS,
    }))
    .option("--since <when>", `the first day: ${MOMENT} (default ${DEFAULT_DAYS}d); kept for 400 days`)
    .option("--until <when>", "the last day (default today)")
    .option("--csv", "print CSV (RFC 4180)")
    .option("--json", "print JSON")
    .addOption(databaseOption())
    .action((flags: CostFlags) => showCosts(context, flags));
}

async function showCosts(context: CommandContext, flags: CostFlags): Promise<void> {
  const nowMs = Date.now();
  const kind = readKind(flags.by);
  const span = readDays(flags, nowMs);
  if (flags.csv && flags.json) throw new UsageError("--csv and --json cannot be used together");
  await withRecords({ ...context, flags }, async ({ records, names }) => {
    const costs = await records.costs(span, nowMs);
    const report: CostReport = {
      ...costs,
      range: "custom",
      upstreams: namedUpstreams(costs.upstreams, (id) => names.nameOf(id)),
    };
    const { terminal } = context;
    if (flags.json) return terminal.print(formatJson(jsonOf(report, kind)));
    if (!flags.csv) return printTable(terminal, report, kind);
    costCsv(report, kind).forEach((line, index) =>
      terminal.print(`${index === 0 ? BYTE_ORDER_MARK : ""}${line}\r`)
    );
  });
}

function readKind(by: string | undefined): CostKind {
  const kind = COST_KINDS.find((each) => each === (by ?? "client"));
  if (kind !== undefined) return kind;
  throw new UsageError(`--by cannot be ${JSON.stringify(by)}: expected one of ${COST_KINDS.join(", ")}`);
}

function readDays({ since, until }: CostFlags, nowMs: number): DaySpan {
  const zone = zoneOf("UTC");
  const read = (
    text: string,
    { flag, isEnd }: { readonly flag: string; readonly isEnd: boolean },
  ): number => {
    const ms = parseMoment(text, { nowMs, isEnd, ...(zone === null ? {} : { zone }) });
    if (ms !== undefined) return ms;
    throw new UsageError(`${flag} cannot be ${JSON.stringify(text)}: expected ${MOMENT}`);
  };
  const sinceMs = since === undefined
    ? nowMs - (DEFAULT_DAYS - 1) * DAY_MS
    : read(since, { flag: "--since", isEnd: false });
  const untilMs = until === undefined ? nowMs : read(until, { flag: "--until", isEnd: true });
  if (sinceMs > untilMs) throw new UsageError("--since is later than --until: nothing lies between");
  return { sinceMs, untilMs };
}

/** Money in dollars, as in the CSV, and exact. */
function jsonOf(report: CostReport, kind: CostKind): unknown {
  const shown = ({ name, isRest, ...figures }: CostRow) => ({
    name,
    isRest,
    ...figuresOf(figures),
  });
  return {
    since: new Date(report.fromMs).toISOString(),
    until: new Date(report.toMs).toISOString(),
    by: kind,
    rows: costRows(report, kind).map(shown),
    total: figuresOf(costTotal(report)),
  };
}

function figuresOf(figures: Omit<CostRow, "name" | "isRest">): Record<string, number | null> {
  const { costNano, requests, unpriced, errors, inputTokens, cachedTokens, outputTokens, estimatedTokens } =
    figures;
  return {
    ...{ costNano, requests, unpriced, errors, inputTokens, cachedTokens, outputTokens, estimatedTokens },
  };
}

interface CostColumn extends Column<CostRow> {
  /** Only of rows that can tell. */
  readonly isOfDays: boolean;
}

function columnsOf(kind: CostKind): readonly CostColumn[] {
  return [
    { title: kind.toUpperCase(), cell: (row) => nameOf(row), isFlexible: true, isOfDays: true },
    { title: "COST", cell: costOf, isOfDays: true },
    { title: "REQUESTS", cell: ({ requests }) => String(requests), isOfDays: true },
    { title: "UNPRICED", cell: ({ unpriced }) => String(unpriced), isOfDays: true },
    { title: "IN", cell: ({ inputTokens }) => String(inputTokens ?? "-"), isOfDays: false },
    { title: "OUT", cell: ({ outputTokens }) => String(outputTokens ?? "-"), isOfDays: false },
    {
      title: "ESTIMATED",
      cell: ({ estimatedTokens }) => estimatedTokens ? `~${estimatedTokens}` : "-",
      isOfDays: false,
    },
  ];
}

const MIN_COLUMNS = 2;
const MAX_NAME_LENGTH = 80;

function nameOf({ name, isRest }: CostRow): string {
  return isRest ? "(others)" : cleanText(name ?? "-").slice(0, MAX_NAME_LENGTH);
}

/** An unknown cost never reads like a cost of nothing. */
function costOf({ costNano, unpriced }: Pick<CostRow, "costNano" | "unpriced">): string {
  return costNano === 0 && unpriced > 0 ? "-" : shownUsd(costNano);
}

function printTable(terminal: Terminal, report: CostReport, kind: CostKind): void {
  const rows = costRows(report, kind).filter(({ requests, costNano }) => requests > 0 || costNano > 0);
  const days = [report.fromMs, report.toMs - 1].map((ms) => new Date(ms).toISOString().slice(0, 10));
  const total = costTotal(report);
  if (rows.length === 0) return terminal.note(`no request from ${days.join(" to ")}`);
  const columns = columnsOf(kind).filter(({ isOfDays }) => isOfDays || kind !== "day");
  let count = columns.length;
  const { columns: width } = terminal;
  const lines = () => formatTable(rows, { columns: columns.slice(0, count), width });
  while (width !== null && count > MIN_COLUMNS && lines().some((line) => displayWidth(line) > width)) count--;
  lines().forEach(terminal.print);
  const unknown = total.unpriced === 0 ? "" : `; requests without a price: ${total.unpriced}`;
  terminal.note(`${costOf(total)} from ${days.join(" to ")} (UTC)${unknown}`);
}
