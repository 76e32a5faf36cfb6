/**
 * `records recost`: the costs of stored records by the prices of now.
 */
import { parsePricesPath } from "../../config/prices_path.ts";
import { parseDatabasePlace } from "../../config/settings.ts";
import { RecordCosts } from "../../control/recost.ts";
import { messageOf } from "../../core/errors.ts";
import { usdText } from "../../core/money.ts";
import { PriceList } from "../../pricing/price_list.ts";
import { readPricesFile } from "../../pricing/prices_file.ts";
import type { RecostPage } from "../../store/write/recost.ts";
import { type CommandContext, openFor, quietRegistry } from "../context.ts";
import { UsageError } from "../errors.ts";
import { formatJson } from "../output.ts";
import { UpstreamNames } from "../../control/upstream_names.ts";
import { type FilterFlags, parseFilter, resolveFilter } from "./filters.ts";

export interface RecostFlags extends FilterFlags {
  readonly prices?: string;
  readonly json?: boolean;
}

export async function recostRecords(context: CommandContext, flags: RecostFlags): Promise<void> {
  const { terminal, env } = context;
  if (flags.since === undefined) {
    throw new UsageError("--since is missing: from when on, such as --since 30d or --since 2026-01-01");
  }
  const parsed = parseFilter(flags, Date.now());
  if (parsed.filter.text !== undefined) throw new UsageError("--text does not go with recost");
  if (parseDatabasePlace({ flags: { database: flags.database }, env }).type !== "file") {
    throw new UsageError("recost works on SQLite only: costs in PostgreSQL stay as they were computed");
  }
  const prices = new PriceList(readPrices(parsePricesPath({ flags: { prices: flags.prices }, env })));
  const database = openFor({ ...context, flags, access: "change" });
  try {
    const { recost, config } = database;
    const filter = resolveFilter(parsed, new UpstreamNames({ config, registry: quietRegistry(config) }));
    const costs = new RecordCosts(prices, recost.upstreams());
    const sums = { records: 0, changed: 0, beforeNano: 0, afterNano: 0, unknownBefore: 0, unknownAfter: 0 };
    for (let afterId = 0;;) {
      const page = recost.page({ afterId, filter }, (record) => costs.of(record));
      if (page.lastId === null) break;
      afterId = page.lastId;
      add(sums, page);
      // A server that waits to write has its turn.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (flags.json) return terminal.print(formatJson(sums, 0));
    terminal.print(`${sums.changed} of ${sums.records} records have another cost now`);
    terminal.print(`before  ${usdText(sums.beforeNano)} USD, ${sums.unknownBefore} unknown`);
    terminal.print(`after   ${usdText(sums.afterNano)} USD, ${sums.unknownAfter} unknown`);
    terminal.note("sums by hour and day, and what tokens have spent, stay as they were");
  } finally {
    database.close();
  }
}

type Sums = { -readonly [Name in Exclude<keyof RecostPage, "lastId">]: number };

function add(sums: Sums, page: RecostPage): void {
  sums.records += page.records;
  sums.changed += page.changed;
  sums.beforeNano += page.beforeNano;
  sums.afterNano += page.afterNano;
  sums.unknownBefore += page.unknownBefore;
  sums.unknownAfter += page.unknownAfter;
}

function readPrices(path: string | null) {
  try {
    return path === null ? null : readPricesFile(path);
  } catch (error) {
    throw new UsageError(`--prices ${path}: ${messageOf(error)}`);
  }
}
