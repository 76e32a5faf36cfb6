/**
 * What every command gets: its streams, its environment, and the database for as long as it needs it.
 *
 * Owns opening and closing the database for the short commands; `serve` has its own order of things.
 */
import { Option } from "commander";
import { DATABASE_FLAG, type SettingFlag } from "../config/flags.ts";
import { type Environment, parseDatabasePath } from "../config/settings.ts";
import { ensureToken } from "../store/first_token.ts";
import { openDatabase } from "../store/sqlite.ts";
import type { ConfigStore } from "../store/store.ts";
import type { Terminal } from "./output.ts";

export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: Environment;
}

export interface DatabaseFlags {
  readonly database?: string;
}

/** The option of a setting, with its default and variable in the help text. */
export function settingOption({ flag, value, description, variable, ...setting }: SettingFlag): Option {
  const notes = setting.default === null ? `env ${variable}` : `default ${setting.default}, env ${variable}`;
  const spelling = value === null ? `${flag} [yes|no]` : `${flag} <${value}>`;
  return new Option(spelling, `${description} (${notes})`).helpGroup(`${setting.group}:`);
}

export function databaseOption(): Option {
  return settingOption(DATABASE_FLAG).helpGroup("Options:");
}

/** What it takes to open the database for one command. */
export interface ConfigAccess extends CommandContext {
  readonly flags: DatabaseFlags;
  /** The command gives a new database its token itself. */
  readonly isSettingTokens?: boolean;
}

/**
 * Opens the database, makes and shows the token of a new one, and closes it after `use`.
 *
 * @throws SettingsError, StoreError
 */
export function withConfig(access: ConfigAccess, use: (config: ConfigStore) => void): void {
  const { terminal, env, flags } = access;
  const path = parseDatabasePath({ flags: { database: flags.database }, env });
  const database = openDatabase(path);
  try {
    if (database.isNew) terminal.note(`created ${path}`);
    if (database.upgradedFrom !== null) {
      terminal.note(`upgraded ${path}; as it was before: ${database.upgradedFrom}`);
    }
    const token = access.isSettingTokens ? null : ensureToken(database);
    if (token !== null) {
      terminal.note(`clients must send this token, which \`token show\` prints again: ${token}`);
    }
    use(database.config);
  } finally {
    database.close();
  }
}
