/**
 * The database of the `records` commands, and the names of its upstreams.
 */
import { UpstreamNames } from "../../control/upstream_names.ts";
import type { OpenDatabase } from "../../store/database/open.ts";
import type { ConfigStore } from "../../store/store.ts";
import { type CommandContext, type DatabaseFlags, openFor, quietRegistry } from "../context.ts";

export interface RecordsAccess extends CommandContext {
  readonly flags: DatabaseFlags;
}

/**
 * Opens the database, which must exist, and closes it after `use`.
 *
 * @throws SettingsError, StoreError
 */
export async function withRecords<Result>(
  access: RecordsAccess,
  use: (database: OpenDatabase) => Result | Promise<Result>,
): Promise<Result> {
  // No server waits for these commands: a search may read as much as there is.
  const database = openFor({ ...access, maxScannedLength: Number.POSITIVE_INFINITY });
  try {
    return await use(database);
  } finally {
    database.close();
  }
}

/** The upstreams of this database under the names that a server uses. */
export function upstreamNames(config: ConfigStore): UpstreamNames {
  return new UpstreamNames({ config, registry: quietRegistry(config) });
}
