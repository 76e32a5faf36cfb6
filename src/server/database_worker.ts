/**
 * Starts the threads that work on the database, with no permission but for its folder.
 *
 * Owns what such a thread may do. Its code can neither send away what it reads nor read any other file.
 */
import { dirname } from "node:path";

/**
 * The whole folder, not only the files: the write-ahead log and its index come and go beside the database, and all of
 * them may be replaced while the thread runs. A folder behind a symbolic link is listed under both names.
 *
 * @param database path of the database file, which exists
 */
function databasePermissions(database: string): Deno.PermissionOptionsObject {
  const folders = [...new Set([dirname(database), dirname(realPath(database))])];
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

/**
 * Starts a thread for the database.
 *
 * @param module what it runs
 * @see https://docs.deno.com/runtime/manual/workers/#specifying-worker-permissions
 */
export function spawnDatabaseWorker(module: URL, database: string): Worker {
  return new Worker(module.href, { type: "module", deno: { permissions: databasePermissions(database) } });
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    // The file is missing at the moment, and is expected to come back at the same path.
    return path;
  }
}
