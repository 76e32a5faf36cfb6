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

export interface SourceIdentity extends OwnIdentity {
  /** A replica ships its records. */
  readonly isJournal: boolean;
  /** Under which its statistics are kept. A journal has sent some already, and they must not count twice. */
  readonly statisticsId: string;
  /** Before the numbers of the Go program's rows, which have no request id. */
  readonly goPrefix: string;
}

/** What is in the table. */
export interface OwnIdentity {
  readonly id: string;
  /** The PostgreSQL database that it was copied from; null: none. */
  readonly origin: string | null;
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
  if (journal !== null) {
    return { id: journal, origin: null, isJournal: true, statisticsId: journal, goPrefix: GO_PREFIX };
  }
  const own = ownIdentity(db, options);
  return { ...own, isJournal: false, statisticsId: `copy-${own.id}`, goPrefix: `${GO_PREFIX}${own.id}-` };
}

/** Short: it is a part of request ids. */
export function newOwnId(newId: () => string): string {
  return newId().replaceAll("-", "").slice(0, ID_LENGTH);
}

/** Within a transaction. Does nothing when the database has one. */
export function putOwnIdentity(db: DatabaseSync, { id, origin }: OwnIdentity): void {
  db.exec(
    "CREATE TABLE IF NOT EXISTS copy_self (id integer PRIMARY KEY CHECK (id = 1), source text NOT NULL, origin text)",
  );
  db.prepare("INSERT OR IGNORE INTO copy_self(id, source, origin) VALUES (1, ?, ?)").run(id, origin);
}

function ownIdentity(db: DatabaseSync, { newId, isFile }: IdentityOptions): OwnIdentity {
  const known = knownIdentity(db);
  if (known !== null) return known;
  const unwritten = { id: contentId(db), origin: null };
  if (!isFile) return unwritten;
  try {
    return inTransaction(db, () => {
      putOwnIdentity(db, { id: newOwnId(newId), origin: null });
      return knownIdentity(db) ?? unwritten;
    });
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === "readonly" || trouble === "full" || trouble === "gone") return unwritten;
    throw error;
  }
}

function knownIdentity(db: DatabaseSync): OwnIdentity | null {
  const table = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'copy_self'").get();
  if (table === undefined) return null;
  const { source, origin = null } = db.prepare("SELECT source, origin FROM copy_self WHERE id = 1").get() ??
    {};
  if (typeof source !== "string" || !/^[\w-]{1,64}$/.test(source)) return null;
  return { id: source, origin: typeof origin === "string" ? origin : null };
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
