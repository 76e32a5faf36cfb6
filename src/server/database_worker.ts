/**
 * Starts the threads that work on the database, with no permission but for its folder.
 *
 * Owns what such a thread may do. Its code can neither send away what it reads nor read any other file.
 */
import { dirname } from "node:path";
import type { PgHost } from "../store/postgres/target.ts";

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

/**
 * Starts the thread that talks to PostgreSQL: besides the database's folder it may reach those servers, and nothing else.
 *
 * @param journal path of the local database, which exists
 */
export function spawnRemoteWorker(module: URL, { journal, hosts }: {
  readonly journal: string;
  readonly hosts: readonly PgHost[];
}): Worker {
  const sockets = hosts.filter(({ host }) => host.startsWith("/")).map(socketOf);
  const servers = hosts.filter(({ host }) => !host.startsWith("/")).map(({ host, port }) =>
    `${host.includes(":") ? `[${host}]` : host}:${port}`
  );
  const folders = databasePermissions(journal);
  const permissions: Deno.PermissionOptionsObject = {
    ...folders,
    net: [...servers, ...sockets.map((path) => `unix:${path}`)],
    read: [...folders.read as string[], ...sockets],
    write: [...folders.write as string[], ...sockets],
  };
  return new Worker(module.href, { type: "module", deno: { permissions } });
}

/** https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-UNIX-SOCKET-DIRECTORIES */
function socketOf({ host, port }: PgHost): string {
  return `${host}/.s.PGSQL.${port}`;
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    // The file is missing at the moment, and is expected to come back at the same path.
    return path;
  }
}
