/**
 * The database of the `records` commands, and the names of its upstreams.
 *
 * Owns that looking at records never makes a database: a mistyped path is an error, not a new empty file.
 */
import { MISSING_DATABASE_HINT, missingDatabase } from "../database_file.ts";
import { CommandError } from "../errors.ts";
import { UpstreamNames } from "../../control/upstream_names.ts";
import { parseDatabasePath } from "../../config/settings.ts";
import { type OpenDatabase, openDatabase } from "../../store/database/open.ts";
import type { ConfigStore } from "../../store/store.ts";
import { type CommandContext, type DatabaseFlags, quietRegistry, upgradeNote } from "../context.ts";

export interface RecordsAccess extends CommandContext {
  readonly flags: DatabaseFlags;
}

/**
 * Opens the database, which must exist, and closes it after `use`.
 *
 * @throws SettingsError, StoreError, CommandError when there is no database
 */
export async function withRecords<Result>(
  { terminal, env, flags }: RecordsAccess,
  use: (database: OpenDatabase) => Result | Promise<Result>,
): Promise<Result> {
  const path = parseDatabasePath({ flags: { database: flags.database }, env });
  const problem = missingDatabase(path);
  if (problem !== null) throw new CommandError(`${problem}: ${MISSING_DATABASE_HINT}`);
  // No server waits for these commands: a search may read as much as there is.
  const database = openDatabase(path, {
    maxScannedLength: Number.POSITIVE_INFINITY,
    onUpgrade: upgradeNote(path, terminal.note),
  });
  try {
    if (database.upgradedFrom !== null) {
      terminal.note(`upgraded ${path}; as it was before: ${database.upgradedFrom}`);
    }
    return await use(database);
  } finally {
    database.close();
  }
}

/** The upstreams of this database under the names that a server uses. */
export function upstreamNames(config: ConfigStore): UpstreamNames {
  return new UpstreamNames({ config, registry: quietRegistry(config) });
}
