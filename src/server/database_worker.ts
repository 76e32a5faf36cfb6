/**
 * Starts the threads that work on the database, with no permission but for its folder.
 *
 * Owns what such a thread may do. Its code can neither send away what it reads nor read any other file.
 */
import { dirname } from "node:path";
import { type PgTarget, reachOf } from "../store/postgres/target.ts";

/**
 * The whole folder, not only the files: the write-ahead log and its index come and go beside the database, and all of
 * them may be replaced while the thread runs. A folder behind a symbolic link is listed under both names.
 *
 * @param database path of the database file, which exists
 */
function databasePermissions(database: string): Deno.PermissionOptionsObject {
  const folders = foldersOf(database);
  return {
    net: false,
    read: folders,
    write: folders,
    env: false,
    run: false,
    ffi: false,
    sys: false,
    import: false,
  };
}

function foldersOf(database: string): string[] {
  return [...new Set([dirname(database), dirname(realPath(database))])];
}

/**
 * Starts a thread for the database.
 *
 * @param module what it runs
 * @see https://docs.deno.com/runtime/manual/workers/#specifying-worker-permissions
 */
export function spawnDatabaseWorker(module: URL, database: string): Worker {
  return new Worker(module.href, { type: "module", deno: { permissions: databasePermissions(database) } });
}

/**
 * Starts the thread that talks to PostgreSQL: besides the database's folder it may reach those servers, and nothing else.
 *
 * @param journal path of the local database, which exists
 */
export function spawnRemoteWorker(module: URL, { journal, target }: {
  readonly journal: string;
  readonly target: Pick<PgTarget, "hosts">;
}): Worker {
  const own = databasePermissions(journal);
  const reach = reachOf(target);
  const folders = foldersOf(journal);
  const permissions: Deno.PermissionOptionsObject = {
    ...own,
    net: reach.net,
    read: [...folders, ...reach.read],
    write: [...folders, ...reach.write],
  };
  return new Worker(module.href, { type: "module", deno: { permissions } });
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    // The file is missing at the moment, and is expected to come back at the same path.
    return path;
  }
}
