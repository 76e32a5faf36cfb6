/**
 * What a step of `incremental_vacuum` takes.
 */
import { DatabaseSync } from "node:sqlite";

const directory = Deno.makeTempDirSync({ dir: "." });
const db = new DatabaseSync(`${directory}/db.sqlite`);
db.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
  CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT i, randomblob(3000) FROM n;
  DELETE FROM t WHERE id % 2 = 0`);
const steps = [4, 16, 64, 256].map((pages) => ({ pages, times: [] as number[] }));
for (let round = 0; round < 15; round++) {
  for (const { pages, times } of steps) {
    const start = performance.now();
    db.prepare(`PRAGMA incremental_vacuum(${pages})`).all();
    times.push(performance.now() - start);
  }
}
for (const { pages, times } of steps) {
  times.sort((a, b) => a - b);
  console.log(`${pages} pages: median ${times[7]?.toFixed(2)} ms, longest ${times[14]?.toFixed(1)}`);
}
db.close();
Deno.removeSync(directory, { recursive: true });
