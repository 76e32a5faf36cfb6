import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../../../src/core/types.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import type { RecordFilter } from "../../../../src/store/store.ts";
import { byHand, indexAll, makeRecord, makeSession, withDirectory } from "../support.ts";

const COUNT = 200_000;
const MAX_MS = 100;
const T0 = Date.UTC(2024, 0, 1);

/** One record every 9 s, three weeks; said by everybody, by one in a thousand, and by record 50 alone. */
const FILL = `
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${COUNT})
  INSERT INTO records(request_id, created_at, model, status, outcome, client, upstream_id, response, reasoning, body)
  SELECT 'r' || i, strftime('%Y-%m-%d %H:%M:%S.000000+00:00', ${T0 / 1000} + i * 9, 'unixepoch'),
    CASE i % 7 WHEN 0 THEN 'claude-3' ELSE 'gpt-4o' END, CASE i % 50 WHEN 0 THEN 502 ELSE 200 END,
    CASE i % 50 WHEN 0 THEN 'upstream_error' ELSE 'complete' END, 'alice', i % 4,
    'The answer to the question is in the ' || i || ' common places' ||
      CASE i WHEN 50 THEN ' shibboleth 深圳机场' ELSE '' END, '',
    '{"messages":[{"role":"user","content":"你好 please tell me ' || CASE i % 1000 WHEN 0 THEN 'seldom' ELSE 'often' END || '"}]}'
  FROM n`;

const FILTERS: readonly (readonly [RecordFilter, number])[] = [
  [{}, 50],
  [{ text: "shibboleth" }, 1],
  [{ text: "shibb" }, 1],
  [{ text: "深圳机场" }, 1],
  [{ text: "the" }, 50],
  [{ text: "th" }, 50],
  [{ text: "你好" }, 50],
  [{ text: "seldom" }, 50],
  [{ text: "the common shibboleth" }, 1],
  [{ text: '"the answer to the"' }, 50],
  [{ text: "nowhere" }, 0],
  [{ text: "common", status: 5 }, 50],
  [{ text: "common", untilMs: T0 + 9_000 * 60 }, 50],
  [{ model: "mistral*" }, 0],
  [{ outcome: "crashed" }, 0],
  [{ sinceMs: T0 + 9_000 * (COUNT - 9) }, 10],
  [{ untilMs: T0 + 9_000 * 10 }, 10],
];

Deno.test("RecordReader answers from 200,000 records in less than 100 ms", async (t) => {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    byHand(path, `PRAGMA synchronous = OFF; ${FILL}`);
    const startedAt = performance.now();
    const steps = indexAll(session);
    console.log(
      `  indexed ${COUNT} records in ${Math.round(performance.now() - startedAt)} ms, ${steps} steps`,
    );
    const database = openDatabase(path, { maxScannedLength: 0 });
    for (const [filter, expected] of FILTERS) {
      await t.step(JSON.stringify(filter), () => {
        const list = () => database.records.list({ limit: 50, filter });
        assert.equal(list().length, expected);
        const quickestMs = quickestOf(9, list);
        console.log(`  ${quickestMs.toFixed(2)} ms`);
        assert.ok(quickestMs < MAX_MS, `${quickestMs} ms`);
      });
    }
    await t.step("commit of one record", () => {
      const record = (): RequestRecord => makeRecord();
      const quickestMs = quickestOf(99, () => session.write([record()]));
      console.log(`  ${quickestMs.toFixed(2)} ms`);
      assert.ok(quickestMs < MAX_MS);
    });
    database.close();
    session.close();
  });
});

// A page must be decided on the narrow index alone: the table has every body in between.
Deno.test("the index of lists holds all that lists are filtered by", async () => {
  await withDirectory((path) => {
    openDatabase(path).close();
    const db = new DatabaseSync(path);
    const plan = db.prepare(
      `EXPLAIN QUERY PLAN SELECT id FROM records INDEXED BY idx_records_list WHERE id < 9 AND id > 0
        AND created_at > 'a' AND model GLOB 'b' AND status = 1 AND outcome = 'c' AND upstream_id = 2 AND client = 'd'
        ORDER BY id DESC LIMIT 5`,
    ).all().map((row) => row["detail"]);
    db.close();
    assert.deepEqual(plan, ["SEARCH records USING COVERING INDEX idx_records_list (id>? AND id<?)"]);
  });
});

/** The time of the quickest of several: what else the machine does can only add to it. */
function quickestOf(times: number, action: () => unknown): number {
  return Math.min(...Array.from({ length: times }, () => {
    const startedAt = performance.now();
    action();
    return performance.now() - startedAt;
  }));
}
