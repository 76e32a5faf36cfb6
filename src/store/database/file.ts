/**
 * The database's file by its own name, whatever symbolic links lead to it.
 *
 * SQLite follows links before it names the files beside the database (`-wal`, `-shm`); whoever looks at those needs the
 * same name. Never opens the file (see connection.ts).
 */
import { basename, dirname, join, resolve } from "node:path";

/** As the kernel allows (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * The absolute path without symbolic links. A link whose target is missing leads to where SQLite would make the file; in
 * a folder that is missing, the path stays as it is.
 */
export function databaseFile(path: string): string {
  let file = resolve(path);
  for (let links = 0; links < MAX_LINKS; links++) {
    const target = linkTarget(file);
    if (target === null) break;
    file = resolve(dirname(file), target);
  }
  return join(realFolder(dirname(file)), basename(file));
}

/** null: the path is no link, or nothing is there. */
function linkTarget(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return null;
  }
}

function realFolder(folder: string): string {
  try {
    return Deno.realPathSync(folder);
  } catch {
    return folder;
  }
}
