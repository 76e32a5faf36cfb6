/**
 * Only the place of the file of prices, so that a mistake in another setting does not stop `records recost`.
 */
import { z } from "zod";
import { COST_FLAGS, COST_SCHEMAS } from "./cost_settings.ts";
import { lookUp, type SettingsInput, toSettingsError } from "./given_setting.ts";
import type { SettingFlag } from "./setting_flag.ts";

export const PRICES_FLAG: SettingFlag = COST_FLAGS[1];

/** null: only the built-in prices count. @throws SettingsError */
export function parsePricesPath(input: SettingsInput): string | null {
  const given = lookUp(PRICES_FLAG, input);
  const parsed = z.object({ prices: COST_SCHEMAS.prices }).safeParse({ prices: given.text });
  if (!parsed.success) throw toSettingsError(parsed.error, new Map([["prices", given]]));
  return parsed.data.prices;
}
