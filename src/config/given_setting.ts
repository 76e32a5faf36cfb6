/**
 * Where the value of a setting comes from: its flag, its variable, or its default.
 */
import type { z } from "zod";
import type { Environment } from "./environment.ts";
import type { SettingFlag } from "./setting_flag.ts";
import { SettingsError, withoutCredentials } from "./values.ts";

/** What the command line was given: `flags` by {@link SettingFlag.key}, undefined where absent. */
export interface SettingsInput {
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Environment;
}

/** A value and its source, for messages. */
export interface Given {
  readonly text: string | null;
  /** The flag or the variable that gave it. */
  readonly source: string;
  /** False: it is the default. */
  readonly isGiven: boolean;
}

export function lookUp(setting: SettingFlag, { flags, env }: SettingsInput): Given {
  const flag = flags[setting.key];
  if (flag !== undefined) return { text: flag, source: setting.flag, isGiven: true };
  const variable = env[setting.variable];
  if (variable !== undefined && variable !== "") {
    return { text: variable, source: setting.variable, isGiven: true };
  }
  return { text: setting.default, source: setting.flag, isGiven: false };
}

export function toSettingsError(error: z.ZodError, given: ReadonlyMap<string, Given>): SettingsError {
  const issue = error.issues[0];
  const { text, source } = given.get(String(issue?.path[0])) ?? { text: null, source: "settings" };
  const shown = JSON.stringify(withoutCredentials(text));
  return new SettingsError(`${source} cannot be ${shown}: expected ${issue?.message}`);
}
