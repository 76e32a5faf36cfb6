/**
 * What running servers say of upstreams, for other processes to see.
 *
 * Owns the table `upstream_states`: a row for each upstream that a server's breaker holds back, or of whose
 * attempts too many failed, none for those that are well. It is a display only; no server reads its own state back.
 */
import type { DatabaseSync } from "node:sqlite";
import { SHOWN_STATES } from "../../core/breaker.ts";
import { keyNotesText, parseKeyNotes } from "../../core/key_states.ts";
import { fromGoTime, toGoTime } from "../database/go_time.ts";
import { livingInstances } from "../database/instances.ts";
import { asBlobs, number, text } from "../database/values.ts";
import { prepared } from "../database/statements.ts";
import type { UpstreamStateNote } from "../store.ts";

/** Replaces what an instance noted before. The notes of a dead one are removed with it (instances.ts). */
export function putUpstreamStates(
  db: DatabaseSync,
  instance: string,
  notes: readonly UpstreamStateNote[],
): void {
  prepared(
    db,
    `DELETE FROM upstream_states WHERE instance = ? AND upstream_id NOT IN (SELECT value FROM json_each(?))`,
  ).run(instance, JSON.stringify(notes.map(({ upstreamId }) => upstreamId)));
  for (const { upstreamId, state, untilMs, reason, changedAtMs, failures, keys } of notes) {
    prepared(
      db,
      `INSERT OR REPLACE INTO upstream_states(upstream_id, instance, state, until, reason, changed_at, attempts, failed,
          keys)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      upstreamId,
      instance,
      state,
      untilMs === null ? null : toGoTime(untilMs),
      reason.toWellFormed(),
      toGoTime(changedAtMs),
      failures?.attempts ?? null,
      failures?.failed ?? null,
      keyNotesText(keys),
    );
  }
}

/** The latest note on each upstream, of servers that are alive. A database of an older version has fewer columns. */
export function listUpstreamStates(db: DatabaseSync, nowMs: number): UpstreamStateNote[] {
  const rows = prepared(
    db,
    `SELECT *, ${asBlobs(["instance", "state", "until", "reason", "changed_at"])}
      FROM upstream_states ORDER BY upstream_id, changed_at`,
  ).all();
  const living = rows.length === 0 ? new Set<string>() : livingInstances(db, nowMs);
  const notes = new Map<number, UpstreamStateNote>();
  for (const row of rows) {
    const state = SHOWN_STATES.find((each) => each === text(row["state"]));
    if (!living.has(text(row["instance"]) ?? "") || state === undefined) continue;
    const [attempts, failed] = [number(row["attempts"]), number(row["failed"])];
    const failures = attempts === null || failed === null ? {} : { failures: { attempts, failed } };
    const keys = parseKeyNotes(text(row["keys"]));
    if (state === "closed" && failures.failures === undefined && keys.length === 0) continue;
    const upstreamId = Number(row["upstream_id"]);
    notes.set(upstreamId, {
      upstreamId,
      state,
      untilMs: fromGoTime(text(row["until"]) ?? ""),
      reason: text(row["reason"]) ?? "",
      changedAtMs: fromGoTime(text(row["changed_at"]) ?? "") ?? 0,
      ...failures,
      ...(keys.length === 0 ? {} : { keys }),
    });
  }
  return [...notes.values()];
}
