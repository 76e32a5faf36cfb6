/**
 * Which SQLite database this is, wherever its file is moved to.
 *
 * Owns the table `copy_self`, which is made when a database is copied for the first time.
 */
import type { DatabaseSync } from "node:sqlite";
import { sha256 } from "../../../core/digest.ts";
import { troubleOf } from "../../database/errors.ts";
import { inTransaction } from "../../database/transaction.ts";
import { journalIdOf } from "../shipper/journal_tables.ts";
import { GO_PREFIX } from "../shipper/journal_rows.ts";

export interface SourceIdentity {
  readonly id: string;
  /** Under which its statistics are kept. A journal has sent some already, and they must not count twice. */
  readonly statisticsId: string;
  /** Before the numbers of the Go program's rows, which have no request id. */
  readonly goPrefix: string;
}

export interface IdentityOptions {
  readonly newId: () => string;
  /** It is the file itself, not a copy of it. */
  readonly isFile: boolean;
}

const ID_LENGTH = 12;
const MAX_TEXT = 64;

/** @throws what SQLite throws, when the database is locked */
export function identify(db: DatabaseSync, options: IdentityOptions): SourceIdentity {
  const journal = journalIdOf(db);
  if (journal !== null) return { id: journal, statisticsId: journal, goPrefix: GO_PREFIX };
  const id = ownId(db, options);
  return { id, statisticsId: `copy-${id}`, goPrefix: `${GO_PREFIX}${id}-` };
}

function ownId(db: DatabaseSync, { newId, isFile }: IdentityOptions): string {
  const known = knownId(db);
  if (known !== null) return known;
  if (!isFile) return contentId(db);
  try {
    return inTransaction(db, () => {
      db.exec(
        "CREATE TABLE IF NOT EXISTS copy_self (id integer PRIMARY KEY CHECK (id = 1), source text NOT NULL)",
      );
      db.prepare("INSERT OR IGNORE INTO copy_self(id, source) VALUES (1, ?)").run(
        newId().replaceAll("-", "").slice(0, ID_LENGTH),
      );
      return knownId(db) ?? contentId(db);
    });
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === "readonly" || trouble === "full" || trouble === "gone") return contentId(db);
    throw error;
  }
}

function knownId(db: DatabaseSync): string | null {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'copy_self'").get();
  if (table === undefined) return null;
  const source = db.prepare("SELECT source FROM copy_self WHERE id = 1").get()?.["source"];
  return typeof source === "string" && /^[\w-]{1,64}$/.test(source) ? source : null;
}

/** Where nothing can be written, nothing changes either. */
function contentId(db: DatabaseSync): string {
  const rows = ["records", "openai_upstreams"].flatMap((table) =>
    ["ASC", "DESC"].map((order) =>
      db.prepare(
        `SELECT CAST(id AS TEXT) AS id, substr(CAST(created_at AS TEXT), 1, ${MAX_TEXT}) AS at
          FROM ${table} ORDER BY ${table}.id ${order} LIMIT 1`,
      ).get() ?? null
    )
  );
  return `c${sha256(JSON.stringify(rows)).toString("hex").slice(0, ID_LENGTH)}`;
}
