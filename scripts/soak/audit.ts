/**
 * Compares the database with what the clients sent: one settled, correct record for each request.
 */
import { DatabaseSync } from "node:sqlite";
import { type Books, Findings, type Sent } from "./clients.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";

export interface Audit {
  /** The result of `PRAGMA integrity_check`. */
  readonly integrity: string;
  readonly recordCount: number;
  readonly recordsOf: ReadonlyMap<Scenario, number>;
  /** Requests without a record, or with more than one; records of no request. */
  readonly unmatched: Findings;
  /** Records that differ from what happened. */
  readonly wrong: Findings;
  readonly unsettledCount: number;
  /** Records with missing attempts. */
  readonly wrongAttemptsCount: number;
}

/** Reads the whole database; it must not be written to meanwhile. */
export function audit(path: string, books: Books): Audit {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const unmatched = new Findings();
    const wrong = new Findings();
    const recordsOf = new Map<Scenario, number>(SCENARIOS.map((scenario) => [scenario, 0]));
    const counts = new Map<string, number>();
    const rows = db.prepare("SELECT user_agent, request_id, outcome, status, response FROM records")
      .iterate();
    for (const row of rows) {
      const marker = String(row["user_agent"]);
      const sent = books.sent.get(marker);
      if (sent === undefined) {
        unmatched.add(`a record of ${marker}, which nobody sent`);
        continue;
      }
      counts.set(marker, (counts.get(marker) ?? 0) + 1);
      recordsOf.set(sent.scenario, (recordsOf.get(sent.scenario) ?? 0) + 1);
      const problem = problemOf(row, marker, sent);
      if (problem !== null) wrong.add(`${sent.scenario.name}, ${marker}: ${problem}`);
    }
    for (const [marker, { scenario }] of books.sent) {
      const count = counts.get(marker) ?? 0;
      const due = scenario.expected.record === null ? 0 : 1;
      if (count !== due) unmatched.add(`${scenario.name}, ${marker}: ${count} records instead of ${due}`);
    }
    return {
      integrity: db.prepare("PRAGMA integrity_check").all().map((row) => row["integrity_check"]).join("; "),
      recordCount: count(db, "SELECT count(*) AS n FROM records"),
      recordsOf,
      unmatched,
      wrong,
      unsettledCount: countUnsettled(db),
      wrongAttemptsCount: count(
        db,
        "SELECT count(*) AS n FROM records r WHERE r.attempts <> " +
          "(SELECT count(*) FROM attempts a WHERE a.record_id = r.id)",
      ),
    };
  } finally {
    db.close();
  }
}

/** Number of records that are still in flight. */
export function unsettledCount(path: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return countUnsettled(db);
  } finally {
    db.close();
  }
}

function countUnsettled(db: DatabaseSync): number {
  return count(db, "SELECT count(*) AS n FROM records WHERE outcome IN ('in_flight', 'crashed')");
}

function count(db: DatabaseSync, sql: string): number {
  return Number(db.prepare(sql).get()?.["n"]);
}

function problemOf(
  row: Record<string, unknown>,
  marker: string,
  { scenario, requestId }: Sent,
): string | null {
  const due = scenario.expected.record;
  if (due === null) return "should not have been recorded";
  if (requestId !== null && row["request_id"] !== requestId) {
    return `request_id ${row["request_id"]}, and the client saw ${requestId}`;
  }
  if (row["outcome"] !== due.outcome || row["status"] !== due.status) {
    return `${row["outcome"]} ${row["status"]} instead of ${due.outcome} ${due.status}`;
  }
  if (due.response === "unchecked") return null;
  const response = String(row["response"]);
  const text = scenario.words(marker).join("");
  const isRight = due.response === "whole" ? response === text : response !== "" && text.startsWith(response);
  return isRight ? null : `response ${JSON.stringify(response.slice(0, 80))} (${response.length} characters)`;
}
