/**
 * `store copy`: a whole database from SQLite to PostgreSQL, and back.
 *
 * Owns the flags; what is behind them is loaded when it is asked for: other commands start without PostgreSQL.
 */
import type { Command } from "commander";
import type { CommandContext } from "./context.ts";
import { UsageError } from "./errors.ts";
import { isPostgresUrl } from "../config/values.ts";
import type { CopyPlaces } from "./store/copy.ts";

interface CopyFlags {
  readonly from?: string;
  readonly to?: string;
}

/** Adds the `store` command and its subcommands to the program. */
export function defineStoreCommands(program: Command, context: CommandContext): void {
  const store = program.command("store")
    .description("move a whole database between SQLite and PostgreSQL")
    .helpGroup("Database:");
  store.command("copy")
    .description(
      "copy upstreams, tokens, settings, records and statistics from SQLite to PostgreSQL, or back into a new file; " +
        "servers may go on meanwhile. The same command again goes on where it was stopped, and copies what is new",
    )
    .option("--from <path>", "the path of a SQLite database, or postgres://user@host/database")
    .option("--to <path>", "postgres://user@host/database, or the path of a new SQLite file")
    .action(async (flags: CopyFlags) => {
      const places = parsePlaces(flags);
      const { copyStore } = await import("./store/copy.ts");
      await copyStore(context, places);
    });
}

/** Never shows a value: it may be a URL with a password. @throws UsageError */
function parsePlaces({ from, to }: CopyFlags): CopyPlaces {
  const source = given("--from", from);
  const target = given("--to", to);
  if (isPostgresUrl(source) === isPostgresUrl(target)) {
    throw new UsageError(
      isPostgresUrl(source)
        ? "--from and --to are both PostgreSQL: copy with pg_dump and psql, or name a SQLite file in one of them"
        : "--from and --to are both files: copy with `backup`, or name postgres://user@host/database in one of them",
    );
  }
  return isPostgresUrl(source)
    ? { direction: "to_sqlite", url: source, path: target }
    : { direction: "to_postgres", url: target, path: source };
}

function given(flag: string, value: string | undefined): string {
  const place = value?.trim() ?? "";
  if (place === "") throw new UsageError(`store copy needs ${flag}: ${EXAMPLE}`);
  if (/^[a-z][a-z0-9+.-]{1,20}:\/\//i.test(place) && !isPostgresUrl(place)) {
    throw new UsageError(`${flag} must be the path of a SQLite file, or postgres://user@host/database`);
  }
  return place;
}

const EXAMPLE = "store copy --from db.sqlite --to postgres://user@host/database";
