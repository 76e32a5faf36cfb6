/**
 * The database of the `records` commands, and the names of its upstreams.
 */
import { UpstreamNames } from "../../control/upstream_names.ts";
import type { ConfigStore } from "../../store/store.ts";
import type { CommandReader } from "../command_database.ts";
import { type CommandContext, type DatabaseFlags, quietRegistry } from "../context.ts";
import { withDatabase } from "../database.ts";

export interface RecordsAccess extends CommandContext {
  readonly flags: DatabaseFlags;
}

/** What these commands use of a database. */
export interface RecordsDatabase {
  readonly records: CommandReader;
  /** The upstreams of this database under the names that a server uses. */
  readonly names: UpstreamNames;
  /** Differs after every change of the database; throws while it cannot be read. */
  readonly version: () => number;
}

/**
 * Opens the database, which must exist, and closes it after `use`.
 *
 * @throws SettingsError, UsageError, StoreError
 */
export function withRecords<Result>(
  access: RecordsAccess,
  use: (database: RecordsDatabase) => Promise<Result>,
): Promise<Result> {
  // No server waits for these commands: a search may read as much as there is.
  const request = { ...access, maxScannedLength: Number.POSITIVE_INFINITY };
  return withDatabase(request, async (database) =>
    await use({
      records: database.records,
      names: namesOf(await database.config()),
      version: () => database.version(),
    }));
}

function namesOf(config: ConfigStore): UpstreamNames {
  return new UpstreamNames({ config, registry: quietRegistry(config) });
}
