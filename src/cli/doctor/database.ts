/**
 * The doctor's checks of the database's file and its disk.
 */
import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { messageOf } from "../../core/errors.ts";
import { type Inspection, writeTrouble } from "../../store/database/inspection.ts";
import { type OpenDatabase, openDatabase } from "../../store/database/open.ts";
import { StoreError } from "../../store/store.ts";
import { formatBytes } from "../../core/recorded_text.ts";
import { type Finding, found } from "../../control/finding.ts";
import { leftoverNote } from "../context.ts";

/** Bits of a file's mode that let anybody but its owner in. */
const OTHERS = 0o077;
const LARGE_JOURNAL_BYTES = 256 * 1024 * 1024;
const LARGE_DATABASE_BYTES = 256 * 1024 * 1024;
const LOW_SPACE_BYTES = 1024 ** 3;
const NO_SPACE_BYTES = 64 * 1024 * 1024;

export interface DatabaseCheck {
  readonly findings: readonly Finding[];
  /** null when it cannot be used; to be closed by the caller. */
  readonly database: OpenDatabase | null;
}

/**
 * Never makes a database. One of an older version is upgraded, as by every command.
 *
 * @param note announces a slow check
 */
export function checkDatabase(path: string, note: (line: string) => void): DatabaseCheck {
  let database: OpenDatabase;
  try {
    database = openDatabase(path, { access: "read" });
  } catch (error) {
    return { findings: [failure(error)], database: null };
  }
  try {
    return { findings: [...inspect(path, { database, note }), ...privacy(path)], database };
  } catch (error) {
    return { findings: [failure(error)], database };
  }
}

/** Messages of the store say what to do. */
function failure(error: unknown): Finding {
  if (!(error instanceof StoreError)) throw error;
  return found("database", { level: "fail", message: error.message });
}

function inspect(
  path: string,
  { database, note }: { readonly database: OpenDatabase; readonly note: (line: string) => void },
): Finding[] {
  const bytes = sizeOf(path);
  const journalBytes = sizeOf(`${path}-wal`);
  if (bytes > LARGE_DATABASE_BYTES) note(`reading ${formatBytes(bytes)} of ${path} to check it ...`);
  const trouble = writeTrouble(path);
  const inspection = database.inspect();
  const { schemaVersion, journalMode, corruptions } = inspection;
  const upgraded = database.upgradedFrom === null
    ? ""
    : `, upgraded just now; as it was before: ${database.upgradedFrom}`;
  const leftover = leftoverNote(path, database.leftoverJournal);
  const findings = [
    ...(leftover === null ? [] : [found("database", { level: "warn", message: leftover })]),
    corruptions.length === 0
      ? found("database", {
        level: "ok",
        message:
          `${path} is intact${trouble === null ? " and writable" : ""}: ${
            formatBytes(bytes)
          }, journal (${journalMode}) ` +
          `${formatBytes(journalBytes)}, schema ${schemaVersion}${upgraded}`,
      })
      : found("database", {
        level: "fail",
        message: `${path} is damaged: ${corruptions.join("; ")}`,
        advice:
          "stop the server, keep a copy of the file, and put a backup back (`restore FILE`) or try `sqlite3 " +
          `${path} .recover\``,
      }),
  ];
  findings.push(...writability(trouble), searchIndex(inspection));
  if (journalMode !== "wal") {
    findings.push(found("database", {
      level: "warn",
      message: `its journal mode is ${journalMode}, so readers and the server wait for each other`,
      advice: "put the file on a local disk: network file systems do not support the journal mode wal",
    }));
  }
  if (journalBytes > LARGE_JOURNAL_BYTES) {
    findings.push(found("database", {
      level: "warn",
      message: `its journal has grown to ${formatBytes(journalBytes)}`,
      advice: "close the program that has kept a read transaction open on it",
    }));
  }
  return findings;
}

function writability(trouble: StoreError | null): Finding[] {
  if (trouble === null) return [];
  if (trouble.code !== "locked") return [found("database", { level: "fail", message: trouble.message })];
  return [found("database", {
    level: "warn",
    message: "another program holds its write lock now",
    advice: "until that program is closed, or ends its transaction, records wait and changes are refused",
  })];
}

function searchIndex({ searchProblem }: Inspection): Finding {
  if (searchProblem === null) {
    return found("search", { level: "ok", message: "the full-text index is intact" });
  }
  return found("search", {
    level: "fail",
    message: `the full-text index is damaged: ${searchProblem}`,
    advice: "nothing is lost, make it anew: doctor --repair-index",
  });
}

function privacy(path: string): Finding[] {
  const mode = Deno.statSync(path).mode;
  // Windows has no such mode.
  if (mode === null || (mode & OTHERS) === 0) return [];
  return [found("database", {
    level: "warn",
    message: `its mode ${
      (mode & 0o777).toString(8).padStart(4, "0")
    } lets other users of this machine at keys`,
    advice: `chmod 600 ${path}`,
  })];
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    // There is no journal while nothing has been written.
    return 0;
  }
}

export function checkDisk(path: string): Finding {
  const directory = dirname(resolve(path));
  try {
    const { bavail, bsize } = statfsSync(directory);
    return judgeSpace(bavail * bsize, directory);
  } catch (error) {
    const isForbidden = error instanceof Deno.errors.NotCapable;
    return found("disk", {
      level: "warn",
      message: `the free space of ${directory} is not known: ${
        isForbidden ? "this executable was built without the permission to ask (sys)" : messageOf(error)
      }`,
      advice: `look with: df -h ${directory}`,
    });
  }
}

/** @param freeBytes what an ordinary user may still write */
export function judgeSpace(freeBytes: number, directory: string): Finding {
  const message = `${formatBytes(freeBytes)} are free in ${directory}`;
  if (freeBytes >= LOW_SPACE_BYTES) return found("disk", { level: "ok", message });
  return found("disk", {
    level: freeBytes < NO_SPACE_BYTES ? "fail" : "warn",
    message: `only ${message}`,
    advice: "free some space: when it runs out, requests go on and their records are lost",
  });
}
