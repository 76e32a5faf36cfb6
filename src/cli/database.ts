/**
 * The database of a command: opened, handed out, closed.
 *
 * Owns that commands are written once for SQLite and for PostgreSQL, and that what talks to PostgreSQL is loaded only for
 * its URL: the other commands start faster without.
 */
import { parseDatabasePlace } from "../config/settings.ts";
import { ensureToken } from "../store/config/initial_tokens.ts";
import type { OpenDatabase } from "../store/database/open.ts";
import type { ConfigStore } from "../store/store.ts";
import type { ChangeOptions, CommandDatabase } from "./command_database.ts";
import { type DatabaseRequest, noteNewToken, openFor } from "./context.ts";

/**
 * Opens the database, and closes it after `use`.
 *
 * @throws SettingsError, UsageError, StoreError, or what `use` throws
 */
export async function withDatabase<Result>(
  request: DatabaseRequest,
  use: (database: CommandDatabase) => Promise<Result>,
): Promise<Result> {
  const database = await open(request);
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

/** Of a command that works with upstreams and tokens. */
export interface ConfigAccess extends DatabaseRequest, ChangeOptions {}

/**
 * Opens the database, makes and shows the token of a new one, and closes it after `use`.
 *
 * @param use may run twice where something is changed, so it prints nothing then
 * @throws SettingsError, UsageError, StoreError, or what `use` throws
 */
export function withConfig<Result>(
  access: ConfigAccess,
  use: (config: ConfigStore) => Result,
): Promise<Result> {
  return withDatabase(
    access,
    async (database) =>
      access.access === "change" ? await database.change(use, access) : use(await database.config()),
  );
}

async function open(request: DatabaseRequest): Promise<CommandDatabase> {
  const { flags, env } = request;
  const place = parseDatabasePlace({ flags: { database: flags.database }, env });
  if (place.type === "file") return fileDatabase(request, openFor(request));
  const { openRemote } = await import("./postgres/database.ts");
  return await openRemote(place.url, request);
}

function fileDatabase({ terminal }: DatabaseRequest, database: OpenDatabase): CommandDatabase {
  const { config, records } = database;
  return {
    records,
    config: () => Promise.resolve(config),
    change: (body, { isSettingTokens = false } = {}) =>
      new Promise((resolve) => {
        const token = isSettingTokens ? null : ensureToken(database);
        if (token !== null) noteNewToken(terminal, token);
        resolve(body(config));
      }),
    version: () => config.dataVersion(),
    close: () => Promise.resolve(database.close()),
  };
}
