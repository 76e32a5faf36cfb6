/**
 * `backup` and `restore`: copies of the database, beside a running server.
 *
 * Owns the flags and what is printed.
 */
import type { Command } from "commander";
import { parseDatabasePlace } from "../config/settings.ts";
import { formatBytes } from "../core/recorded_text.ts";
import { systemClock } from "../server/clock.ts";
import { backUp, type Copied, type CopyOptions, restore } from "../store/database/backup.ts";
import { type CommandContext, type DatabaseFlags, databaseOption } from "./context.ts";
import { CommandError } from "./errors.ts";
import { Progress } from "./progress.ts";

interface BackupFlags extends DatabaseFlags {
  readonly force?: boolean;
}

/** Adds the commands to the program. */
export function defineBackupCommands(program: Command, context: CommandContext): void {
  program.command("backup")
    .description("copy the database into one file and check the copy; a running server goes on")
    .helpGroup("Database:")
    .argument("<file>", "the new file, readable by its owner only")
    .option("--force", "replace the file when it exists")
    .addOption(databaseOption())
    .action((file: string, flags: BackupFlags) => makeBackup(context, { file, flags }));
  program.command("restore")
    .description(
      "put a backup in the place of the database, when no server runs; the database that was there is kept beside it",
    )
    .helpGroup("Database:")
    .argument("<file>", "a backup, or a whole copy of a database")
    .addOption(databaseOption())
    .action((file: string, flags: DatabaseFlags) => restoreBackup(context, { file, flags }));
}

/** @throws StoreError */
async function makeBackup(
  context: CommandContext,
  { file, flags }: { readonly file: string; readonly flags: BackupFlags },
): Promise<void> {
  const path = await pathOf(context, {
    flags,
    advice: (url) => `pg_dump --format=custom --schema=oar --file=${quoted(file)} ${url}`,
  });
  const made = await withProgress(
    context,
    "copied",
    (options) => backUp(path, file, { ...options, isReplacing: flags.force ?? false }),
  );
  context.terminal.print(`backed up ${path} to ${made.path}: ${describe(made)}, checked`);
  noteSearch(context, made);
}

/** @throws StoreError */
async function restoreBackup(
  context: CommandContext,
  { file, flags }: { readonly file: string; readonly flags: DatabaseFlags },
): Promise<void> {
  const path = await pathOf(context, {
    flags,
    // Not `--clean`: pg_restore cannot drop what partitions have inherited.
    advice: (url) =>
      `psql --command='ALTER SCHEMA oar RENAME TO oar_before_restore' ${url} && ` +
      `pg_restore --no-owner --exit-on-error --single-transaction --dbname=${url} ${quoted(file)}`,
  });
  const made = await withProgress(context, "copied", (options) => restore(file, path, options));
  const kept = made.keptAs === null ? "" : `; what was there before is ${made.keptAs}`;
  context.terminal.print(`restored ${path} from ${file}: ${describe(made)}, checked${kept}`);
  noteSearch(context, made);
}

/**
 * The database's file.
 * @param options.advice what does the same with PostgreSQL
 * @throws CommandError with it, SettingsError, UsageError
 */
async function pathOf(
  { env }: CommandContext,
  { flags, advice }: { readonly flags: DatabaseFlags; readonly advice: (url: string) => string },
): Promise<string> {
  const place = parseDatabasePlace({ flags: { database: flags.database }, env });
  if (place.type === "file") return place.path;
  const { targetOf } = await import("./postgres/target.ts");
  const { toolText } = targetOf(place.url, env);
  throw new CommandError(
    `the database is in PostgreSQL, which has its own tools; run: ${advice(quoted(toolText))} ` +
      "(with the password in PGPASSWORD or ~/.pgpass)",
  );
}

/** As a shell takes it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function describe({ records, bytes }: Copied): string {
  return `${records} ${records === 1 ? "record" : "records"}, ${formatBytes(bytes)}`;
}

function noteSearch({ terminal }: CommandContext, { searchProblem }: Copied): void {
  if (searchProblem === null) return;
  terminal.note(
    `its full-text index is damaged; make it anew with: doctor --repair-index (${searchProblem})`,
  );
}

async function withProgress<Result>(
  { terminal }: CommandContext,
  verb: string,
  run: (options: CopyOptions) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress({ screen: terminal.noteScreen ?? null, now: systemClock.monotonic });
  try {
    return await run({
      onProgress: (done, total) =>
        progress.step(() => `${verb} ${Math.floor(100 * done / Math.max(total, 1))} %`),
    });
  } finally {
    progress.clear();
  }
}
