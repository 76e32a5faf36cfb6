/**
 * The database of the `records` commands, and the names of its upstreams.
 *
 * Owns that looking at records never makes a database: a mistyped path is an error, not a new empty file.
 */
import { parseDatabasePath } from "../../config/settings.ts";
import type { Upstream } from "../../core/types.ts";
import { Registry } from "../../store/config/registry.ts";
import { type OpenDatabase, openDatabase } from "../../store/database/open.ts";
import type { ConfigStore } from "../../store/store.ts";
import { systemClock } from "../clock.ts";
import { type CommandContext, type DatabaseFlags, upgradeNote } from "../context.ts";
import { CommandError } from "../errors.ts";

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
  requireDatabase(path);
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

/** Only asks for the file's size: what is there is judged by the store, which never opens it twice. */
function requireDatabase(path: string): void {
  const advice = "name it with --database, or start the server first";
  try {
    const { isFile, size } = Deno.statSync(path);
    if (isFile && size === 0) throw new CommandError(`the file ${path} is empty: ${advice}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      if (error instanceof CommandError) throw error;
      return;
    }
    throw new CommandError(`there is no database at ${path}: ${advice}`);
  }
}

/** The live upstreams under the names that the server uses. */
export class UpstreamNames {
  /** Valid rows, in order of trial; disabled ones are there and say so. */
  readonly upstreams: readonly Upstream[];
  readonly #names: ReadonlyMap<number, string>;

  constructor(config: ConfigStore) {
    const registry = new Registry({ store: config, clock: systemClock, onProblem: () => {} });
    registry.reloadNow();
    this.upstreams = registry.snapshot().upstreams;
    const skipped = config.listUpstreams().map(({ id, name }) => [id, name?.trim() || `#${id}`] as const);
    this.#names = new Map([...skipped, ...this.upstreams.map(({ id, name }) => [id, name] as const)]);
  }

  /** `#3` for an upstream that was removed; null when there was none. */
  nameOf(id: number | null): string | null {
    return id === null ? null : this.#names.get(id) ?? `#${id}`;
  }

  /**
   * The id of an upstream given by id or name. An id need not be live: records outlast their upstream.
   *
   * @throws CommandError that does not repeat what was typed: it may be a key in the wrong place
   */
  idOf(which: string): number {
    if (/^\d{1,15}$/.test(which)) return Number(which);
    const [found, ...more] = [...this.#names].filter(([, name]) => name === which);
    if (found === undefined) {
      throw new CommandError("no upstream has that id or name: see them with `openai-api-route list`");
    }
    if (more.length > 0) throw new CommandError("several upstreams have that name: use the id of one");
    return found[0];
  }
}
