/**
 * The URL of PostgreSQL as the command line takes it.
 */
import type { Environment } from "../../config/environment.ts";
import { systemPgEnvironment } from "../../store/postgres/environment.ts";
import type { PgTarget } from "../../store/postgres/target.ts";
import { parsePgUrl, PgUrlError } from "../../store/postgres/url.ts";
import { UsageError } from "../errors.ts";

/**
 * Where the URL leads; its text is all that may be shown.
 *
 * @param flag what it was given by
 * @throws UsageError
 */
export function targetOf(url: string, env: Environment, flag = "--database"): PgTarget {
  try {
    return parsePgUrl(url, systemPgEnvironment(env));
  } catch (error) {
    if (error instanceof PgUrlError) throw new UsageError(`${flag}: ${error.message}`, { cause: error });
    throw error;
  }
}
