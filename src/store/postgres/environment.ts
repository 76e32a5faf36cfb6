/**
 * The process's environment and files, for url.ts. Needs the permission to read both.
 */
import process from "node:process";

/** Where passwords and certificates come from. */
export interface PgEnvironment {
  variable(name: string): string | undefined;
  /** null when there is no such file. @throws when it cannot be read */
  readText(path: string): string | null;
  /** Whether nobody but its owner may read or write the file. */
  isPrivate(path: string): boolean;
}

/** A bundle of all public authorities has 250 KB. */
const MAX_BYTES = 16 * 1024 * 1024;

/** @param variables of the environment; where they cannot be read any more, those that were kept */
export function systemPgEnvironment(
  variables: Readonly<Record<string, string | undefined>> = process.env,
): PgEnvironment {
  return {
    variable: (name) => variables[name],
    readText: (path) => {
      try {
        const { isFile, size } = Deno.statSync(path);
        if (!isFile || size > MAX_BYTES) throw new Error("it is no small file");
        return Deno.readTextFileSync(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw error;
      }
    },
    isPrivate: (path) => {
      const { mode } = Deno.statSync(path);
      return mode === null || (mode & 0o077) === 0;
    },
  };
}
