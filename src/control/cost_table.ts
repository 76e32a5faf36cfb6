/**
 * Who spent what: a report of costs as rows of one kind, for tables, files and programs.
 *
 * Owns that the rows of any kind add up to the same cost. Pure.
 */
import { usdText } from "../core/money.ts";
import type { CostReport, UsageTable } from "./admin_service.ts";
import { csvCell, type CsvValue } from "./csv_cell.ts";

/** What a row stands for. */
export const COST_KINDS = ["client", "model", "upstream", "day"] as const;
export type CostKind = typeof COST_KINDS[number];

export interface CostFigures {
  /** What is known of the cost, in 1e-9 US dollars. */
  readonly costNano: number;
  readonly requests: number;
  /** Requests whose cost is not known. */
  readonly unpriced: number;
  /** null, as of the others: days do not tell. */
  readonly errors: number | null;
  readonly inputTokens: number | null;
  readonly cachedTokens: number | null;
  readonly outputTokens: number | null;
  readonly estimatedTokens: number | null;
}

export interface CostRow extends CostFigures {
  /** A day as `2026-01-31`; null: it has no name. */
  readonly name: string | null;
  /** All other names together. */
  readonly isRest: boolean;
}

/** Most expensive first; days in their order. */
export function costRows(report: CostReport, kind: CostKind): CostRow[] {
  if (kind === "day") return dayRows(report);
  const { rows, others } = tableOf(report, kind);
  return [
    ...rows.map((row) => ({ ...row, isRest: false })),
    ...(others === null ? [] : [{ ...others, name: null, isRest: true }]),
  ];
}

/** The whole time. Counted by clients, of which each request has one at most. */
export function costTotal(report: CostReport): CostFigures {
  const total = {
    ...{ costNano: 0, requests: 0, unpriced: 0, errors: 0 },
    ...{ inputTokens: 0, cachedTokens: 0, outputTokens: 0, estimatedTokens: 0 },
  };
  for (const each of everything(report.clients)) {
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += each[name];
  }
  return total;
}

function dayRows({ steps, clients }: CostReport): CostRow[] {
  const all = everything(clients);
  return steps.map((atMs, index) => {
    const sum = (series: "costNano" | "requests" | "unpriced") =>
      all.reduce((total, each) => total + (each.series[series][index] ?? 0), 0);
    return {
      name: new Date(atMs).toISOString().slice(0, "2026-01-31".length),
      isRest: false,
      costNano: sum("costNano"),
      requests: sum("requests"),
      unpriced: sum("unpriced"),
      ...{ errors: null, inputTokens: null, cachedTokens: null, outputTokens: null, estimatedTokens: null },
    };
  });
}

function everything({ rows, others }: UsageTable): readonly NonNullable<UsageTable["others"]>[] {
  return others === null ? rows : [...rows, others];
}

function tableOf({ models, clients, upstreams }: CostReport, kind: Exclude<CostKind, "day">): UsageTable {
  if (kind === "model") return models;
  return kind === "client" ? clients : upstreams;
}

const COLUMNS: readonly (readonly [title: string, cell: (row: CostRow) => CsvValue])[] = [
  // An unknown cost never reads like a cost of nothing.
  ["costUsd", ({ costNano, unpriced }) => costNano === 0 && unpriced > 0 ? null : Number(usdText(costNano))],
  ["requests", ({ requests }) => requests],
  ["unpriced", ({ unpriced }) => unpriced],
  ["errors", ({ errors }) => errors],
  ["inputTokens", ({ inputTokens }) => inputTokens],
  ["cachedTokens", ({ cachedTokens }) => cachedTokens],
  ["outputTokens", ({ outputTokens }) => outputTokens],
  ["estimatedTokens", ({ estimatedTokens }) => estimatedTokens],
];

/** Lines without their ends, and without a mark of the byte order; the others are called `(others)`. */
export function costCsv(report: CostReport, kind: CostKind): string[] {
  const titles = [kind, ...COLUMNS.map(([title]) => title)].join(",");
  const lines = costRows(report, kind).map((row) =>
    [row.isRest ? "(others)" : row.name, ...COLUMNS.map(([, cell]) => cell(row))].map(csvCell).join(",")
  );
  return [titles, ...lines];
}
