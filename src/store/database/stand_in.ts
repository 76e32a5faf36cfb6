/**
 * The configuration of a database in memory, for as long as the file cannot be used.
 *
 * Owns which tables those are. A server goes on with it: upstreams and tokens are all that it needs to answer.
 */
import { DatabaseSync } from "node:sqlite";
import { requireOurs } from "./inspect.ts";
import { columnsOf, migrate, SCHEMA_VERSION } from "./migrations.ts";
import { openAlone } from "./still.ts";
import { inTransaction } from "./transaction.ts";

/** A database in memory with the configuration of another one. */
export function standInFor(source: DatabaseSync): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  try {
    migrate(db);
    // Databases that were made by hand need not keep to the constraints.
    db.exec(`DROP TABLE config_kvs;
      CREATE TABLE config_kvs (
        id integer PRIMARY KEY, created_at datetime, updated_at datetime, deleted_at datetime, key text, value text
      )`);
    copyConfiguration(source, db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * The same for a file on a full disk.
 *
 * @returns null when it cannot be read even so, or has to be upgraded
 */
export function standInForFile(file: string, action: string): DatabaseSync | null {
  try {
    const source = openAlone(file);
    try {
      return requireOurs(source, action) < SCHEMA_VERSION ? null : standInFor(source);
    } finally {
      source.close();
    }
  } catch {
    return null;
  }
}

const CONFIGURATION = ["openai_upstreams", "config_kvs", "client_tokens"];
const SPENDING = ["token_spend", "token_leases"];

/** Of databases of the same version. @param isWithSpending whether what tokens have spent goes along */
export function copyConfiguration(
  from: DatabaseSync,
  to: DatabaseSync,
  { isWithSpending = false }: { readonly isWithSpending?: boolean } = {},
): void {
  inTransaction(to, () => {
    // It is missing where there are two rows of one key and endpoint (see migrations.ts).
    const index = from.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'idx_sk_endpoint'").get();
    if (index === undefined) to.exec("DROP INDEX IF EXISTS idx_sk_endpoint");
    for (const table of isWithSpending ? [...CONFIGURATION, ...SPENDING] : CONFIGURATION) {
      const columns = [...columnsOf(to, table)].map((name) => `"${name}"`);
      const read = from.prepare(`SELECT ${columns.join(", ")} FROM ${table}`);
      read.setReadBigInts(true);
      const insert = to.prepare(
        `INSERT INTO ${table}(${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      );
      for (const row of read.all()) insert.run(...Object.values(row));
    }
  });
}
