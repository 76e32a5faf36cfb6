/**
 * Threads that work on the database, with the least that they need: its folder, and no network.
 *
 * Owns what such a thread may do. Code in it can neither send away what it reads nor read anything else of this machine.
 */
import { dirname } from "node:path";

/**
 * The folder as well as the files: the journal and its index come and go beside the database, and all of them may be
 * replaced while the thread runs. The part that is behind a symbolic link is named by both its names.
 *
 * @param database path of the database's file, which is there
 */
export function databasePermissions(database: string): Deno.PermissionOptionsObject {
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
 * @param module its code
 * @see https://docs.deno.com/runtime/manual/workers/#specifying-worker-permissions
 */
export function spawnDatabaseWorker(module: URL, database: string): Worker {
  return new Worker(module.href, { type: "module", deno: { permissions: databasePermissions(database) } });
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    // It is gone for the moment; it is expected again where it was.
    return path;
  }
}
