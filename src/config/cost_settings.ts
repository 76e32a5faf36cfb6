/**
 * The settings of what requests use and cost; the others: settings.ts.
 */
import { z } from "zod";
import type { SettingFlag } from "./setting_flag.ts";
import { toChoice, toPathOrNone } from "./values.ts";

/** Read by commands, too. */
export const TIME_ZONE_FLAG = {
  key: "timezone",
  flag: "--timezone",
  variable: "OAR_TIMEZONE",
  value: "zone",
  group: "Costs",
  description: "where the days of budgets begin, such as Europe/Berlin",
  default: "UTC",
} as const satisfies SettingFlag;

/** In the order of the help. */
export const COST_FLAGS = [
  {
    key: "usage",
    flag: "--usage",
    variable: "OAR_USAGE",
    value: "when",
    group: "Costs",
    description:
      "auto asks for the usage of each chat or completions stream whose client has not, and keeps it from the client; or never",
    default: "auto",
  },
  {
    key: "prices",
    flag: "--prices",
    variable: "OAR_PRICES",
    value: "file",
    group: "Costs",
    description: "JSON file with prices that go before the built-in ones, or LiteLLM's list of prices",
    default: "none",
  },
  TIME_ZONE_FLAG,
] as const satisfies readonly SettingFlag[];

export interface CostSettings {
  readonly usage: "auto" | "never";
  /** null: only the built-in prices. */
  readonly pricesPath: string | null;
  /** An IANA time zone. */
  readonly timeZone: string;
}

/** By key of {@link COST_FLAGS}. */
export const COST_SCHEMAS = {
  usage: toChoice({ auto: "auto", never: "never" }),
  prices: toPathOrNone(),
  timezone: z.string().refine(isTimeZone, "a time zone such as UTC, Europe/Berlin or Asia/Shanghai"),
} satisfies Record<typeof COST_FLAGS[number]["key"], z.ZodType>;

export function costSettings(
  { usage, prices, timezone }: {
    readonly [Key in keyof typeof COST_SCHEMAS]: z.output<typeof COST_SCHEMAS[Key]>;
  },
): CostSettings {
  return { usage, pricesPath: prices, timeZone: timezone };
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
