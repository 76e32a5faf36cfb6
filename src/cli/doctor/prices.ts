/**
 * The doctor's look at prices: whether those of the file can be used, how old the built-in ones are, and which models of
 * lately have none.
 */
import { type Finding, found } from "../../control/finding.ts";
import { RecordCosts } from "../../control/recost.ts";
import { cleanText } from "../../core/clean_text.ts";
import { messageOf } from "../../core/errors.ts";
import { DAY_MS } from "../../core/units.ts";
import { BUILT_IN_PRICES } from "../../pricing/built_in.ts";
import { PriceList } from "../../pricing/price_list.ts";
import { readPricesFile } from "../../pricing/prices_file.ts";
import type { OpenDatabase } from "../../store/database/open.ts";

const MAX_AGE_DAYS = 180;
const SHOWN_MODELS = 5;
const MAX_MODEL_LENGTH = 80;

/**
 * @param path of the file; null: there is none
 * @param database null: it cannot be read, or is no SQLite file
 */
export function checkPrices(
  path: string | null,
  { database, nowMs }: { readonly database: Pick<OpenDatabase, "recost"> | null; readonly nowMs: number },
): Finding[] {
  let prices: PriceList;
  try {
    prices = new PriceList(path === null ? null : readPricesFile(path));
  } catch (error) {
    const advice = "correct the file; a server does not start with it";
    return [found("prices", { level: "fail", message: `--prices ${path}: ${messageOf(error)}`, advice })];
  }
  return [checkAge(path, nowMs), ...(database === null ? [] : checkModels(prices, database.recost))];
}

export function checkAge(path: string | null, nowMs: number): Finding {
  const { date } = BUILT_IN_PRICES;
  const days = Math.floor((nowMs - Date.parse(date)) / DAY_MS);
  const file = path === null ? "" : `, those of ${path} go before them`;
  const message = `the built-in prices are of ${date}${file}`;
  if (days <= MAX_AGE_DAYS) return found("prices", { level: "ok", message });
  const advice = "update the program, or give newer prices: --prices FILE";
  return found("prices", { level: "warn", message: `${message}: ${days} days old`, advice });
}

function checkModels(prices: PriceList, recost: OpenDatabase["recost"]): Finding[] {
  const costs = new RecordCosts(prices, recost.upstreams());
  const unpriced = new Map<string, number>();
  for (const record of recost.recent()) {
    if (costs.of(record).costNano !== null) continue;
    const model = cleanText(record.responseModel ?? record.model ?? "(none)").slice(0, MAX_MODEL_LENGTH);
    unpriced.set(model, (unpriced.get(model) ?? 0) + 1);
  }
  if (unpriced.size === 0) return [];
  const names = [...unpriced].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const more = names.length > SHOWN_MODELS ? ` and ${names.length - SHOWN_MODELS} more` : "";
  const message = `no price is known for models of lately: ${names.slice(0, SHOWN_MODELS).join(", ")}${more}`;
  const advice = "give their prices with --prices FILE; until then their cost is unknown";
  return [found("prices", { level: "warn", message, advice })];
}
