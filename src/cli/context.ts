/**
 * What every command gets: its streams, its environment, and its SQLite file.
 *
 * Owns what is said when the file is opened for a short command; `serve` has its own order of things.
 */
import { Option } from "commander";
import { DATABASE_FLAG, type SettingFlag } from "../config/flags.ts";
import type { Environment } from "../config/environment.ts";
import { parseDatabasePath, settingChoices } from "../config/settings.ts";
import { Registry } from "../store/config/registry.ts";
import { systemClock } from "../server/clock.ts";
import { databaseFile } from "../store/database/file.ts";
import { type OpenDatabase, openDatabase } from "../store/database/open.ts";
import type { ConfigStore } from "../store/store.ts";
import type { Terminal } from "./output.ts";
import { formatBytes } from "../core/recorded_text.ts";

export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: Environment;
}

export interface DatabaseFlags {
  readonly database?: string;
}

/** The option of a setting, with its default and variable in the help text. */
export function settingOption(setting: SettingFlag): Option {
  const { flag, value, description, variable } = setting;
  const notes = setting.default === null ? `env ${variable}` : `default ${setting.default}, env ${variable}`;
  const spelling = value === null ? `${flag} [yes|no]` : `${flag} <${value}>`;
  const option = choiceOption(spelling, {
    description: `${description} (${notes})`,
    choices: settingChoices(setting),
  });
  // Commander would take `--no-admin` for the opposite of a flag `--admin`.
  option.negate = false;
  if (setting.isList) {
    option.argParser((text: string, earlier: string | undefined) =>
      earlier === undefined ? text : `${earlier},${text}`
    );
  }
  return option.helpGroup(`${setting.group}:`);
}

/** An option that shells complete with these words; whether a value is accepted is for the command to say. */
export function choiceOption(
  spelling: string,
  { description, choices }: { readonly description: string; readonly choices: readonly string[] },
): Option {
  const option = new Option(spelling, description);
  if (choices.length > 0) option.argChoices = [...choices];
  return option;
}

export function databaseOption(): Option {
  return settingOption(DATABASE_FLAG).helpGroup("Options:");
}

const LARGE_BYTES = 50_000_000;

/** Announces an upgrade that takes a while: it blocks the program until it is done. */
export function upgradeNote(path: string, note: (line: string) => void): (bytes: number) => void {
  return (bytes) => {
    if (bytes >= LARGE_BYTES) note(`upgrading ${path} (${formatBytes(bytes)}), copying it aside first...`);
  };
}

/** The upstreams and tokens as a server reads them; what it would warn of is for the command to say. */
export function quietRegistry(config: ConfigStore): Registry {
  const registry = new Registry({ store: config, clock: systemClock, onProblem: () => {} });
  registry.reloadNow();
  return registry;
}

/** What to say about a journal that was left beside the database; null: nothing. */
export function leftoverNote(path: string, leftover: OpenDatabase["leftoverJournal"]): string | null {
  if (leftover === null) return null;
  return leftover.type === "set_aside"
    ? `${path}-wal belonged to another file than ${path} (was a backup put in its place?), and was moved to ` +
      `${leftover.path}; see \`help restore\``
    : `${path} is newer than its journal ${path}-wal: if a backup was put in its place, the journal has undone it; ` +
      "put backups back with `restore`";
}

/** What it takes to open the database for one command. */
export interface DatabaseRequest extends CommandContext {
  readonly flags: DatabaseFlags;
  /** Default `read`. */
  readonly access?: "read" | "change";
  /** Only the commands that set something up make a database that is missing. */
  readonly isCreating?: boolean;
  readonly maxScannedLength?: number;
}

/**
 * Opens the SQLite file, and says what was done to it on the way.
 *
 * @throws SettingsError, StoreError
 */
export function openFor(request: DatabaseRequest): OpenDatabase {
  const { terminal, env, flags, access = "read", isCreating = false, maxScannedLength } = request;
  const path = parseDatabasePath({ flags: { database: flags.database }, env });
  const database = openDatabase(path, {
    access,
    isCreating,
    onUpgrade: upgradeNote(path, terminal.note),
    ...(maxScannedLength === undefined ? {} : { maxScannedLength }),
  });
  const leftover = leftoverNote(path, database.leftoverJournal);
  if (leftover !== null) terminal.note(leftover);
  if (database.isNew) terminal.note(`created database ${databaseFile(path)}`);
  if (database.upgradedFrom !== null) {
    terminal.note(`upgraded ${path}; as it was before: ${database.upgradedFrom}`);
  }
  return database;
}

/** Says, once, which token a new database was given. */
export function noteNewToken({ note }: Pick<Terminal, "note">, token: string): void {
  note(`clients must send this token, which \`token show\` prints again: ${token}`);
}
