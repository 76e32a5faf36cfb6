/**
 * Whether the file that a command only looks at is there, so that a mistyped path makes no new database.
 */

/** What to do about {@link missingDatabase}. */
export const MISSING_DATABASE_HINT = "name it with --database, or start the server first";

/**
 * Why there is no database at the path; null when there may be one.
 *
 * Only asks for the file's size: what is there is judged by the store, which never opens it twice.
 */
export function missingDatabase(path: string): string | null {
  try {
    const { isFile, size } = Deno.statSync(path);
    return isFile && size === 0 ? `the file ${path} is empty` : null;
  } catch (error) {
    // The store explains any other failure better.
    return error instanceof Deno.errors.NotFound ? `there is no database at ${path}` : null;
  }
}
