/**
 * Keeps the tables `usage_stats` and `client_totals`.
 *
 * Owns how many names a step holds there: when it is full, a name that counts more than the least one takes its place, and
 * that one joins the rest. Runs on the writer's connection, within the transactions of its callers.
 */
import type { DatabaseSync } from "node:sqlite";
import { prepared } from "../database/statements.ts";
import { Histogram } from "./histogram.ts";
import {
  type ClientTotal,
  MAX_CLIENTS,
  MAX_STEP_NAMES,
  type StepUsage,
  SUM_COLUMNS,
  sumsOfRow,
  USAGE_RESOLUTIONS,
  type UsageKey,
  type UsageTally,
  valuesOf,
} from "./usage_tally.ts";

const KEY = "step_seconds = ? AND at = ? AND dimension = ? AND is_rest = ?";

const PLACES = SUM_COLUMNS.map(() => "?").join(", ");
const ADDED = SUM_COLUMNS.map((name) => `${name} = ${name} + excluded.${name}`).join(", ");

const ADD_STEP = `INSERT INTO usage_stats(step_seconds, at, dimension, is_rest, name,
    ${SUM_COLUMNS.join(", ")}, latencies)
  VALUES (?, ?, ?, ?, ?, ${PLACES}, ?)
  ON CONFLICT(step_seconds, at, dimension, is_rest, name) DO UPDATE SET
    ${ADDED}, latencies = excluded.latencies`;

const ADD_SUMS = `UPDATE usage_stats SET ${SUM_COLUMNS.map((name) => `${name} = ${name} + ?`).join(", ")}
  WHERE ${KEY} AND name = ?`;

const ADD_TOTAL = `INSERT INTO client_totals(client, ${
  SUM_COLUMNS.join(", ")
}, last_used_ms) VALUES (?, ${PLACES}, ?)
  ON CONFLICT(client) DO UPDATE SET ${ADDED}, last_used_ms = max(last_used_ms, excluded.last_used_ms)`;

export class UsageWriter {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  write(tally: UsageTally): void {
    for (const step of tally.steps()) this.#addStep(step);
    for (const total of tally.totals()) this.#addTotal(total);
  }

  /** Deletes steps that are too old, and clients that were not seen for longest. */
  prune(nowMs: number): void {
    for (const { stepSeconds, keepSeconds } of USAGE_RESOLUTIONS) {
      prepared(this.#db, "DELETE FROM usage_stats WHERE step_seconds = ? AND at < ?").run(
        stepSeconds,
        Math.floor(nowMs / 1000) - keepSeconds - stepSeconds,
      );
    }
    prepared(
      this.#db,
      `DELETE FROM client_totals WHERE client IN (
        SELECT client FROM client_totals ORDER BY last_used_ms DESC LIMIT -1 OFFSET ?)`,
    ).run(MAX_CLIENTS);
  }

  /** Since when everything is counted; `isWhole`: since ever. */
  noteProgress({ oldestMs, isWhole }: { readonly oldestMs: number | null; readonly isWhole: boolean }): void {
    prepared(
      this.#db,
      "UPDATE usage_progress SET since_ms = CASE WHEN ? THEN NULL ELSE min(since_ms, coalesce(?, since_ms)) END",
    ).run(isWhole ? 1 : 0, oldestMs === null ? null : Math.floor(oldestMs));
  }

  #addStep(step: StepUsage): void {
    if (step.latencies.total === 0 && this.#addSums(step)) return;
    const stored = this.#latenciesOf(step);
    if (stored === null && !step.isRest && !this.#hasRoom(step)) {
      this.#addStep({ ...step, name: "", isRest: true });
      return;
    }
    const latencies = Histogram.fromText(stored ?? "{}");
    latencies.addAll(step.latencies);
    prepared(this.#db, ADD_STEP).run(
      ...keyOf(step),
      step.name,
      ...valuesOf(step),
      latencies.toText(),
    );
  }

  /** Makes room where the least name of a full step counts less. */
  #hasRoom(step: StepUsage): boolean {
    const count = prepared(this.#db, `SELECT count(*) AS count FROM usage_stats WHERE ${KEY}`).get(
      ...keyOf(step),
    );
    if (Number(count?.["count"]) < MAX_STEP_NAMES[step.dimension]) return true;
    const least = prepared(
      this.#db,
      `SELECT CAST(name AS BLOB) AS name, ${SUM_COLUMNS.join(", ")}, latencies FROM usage_stats
        WHERE ${KEY} ORDER BY requests, name LIMIT 1`,
    ).get(...keyOf(step));
    if (least === undefined || Number(least["requests"]) >= step.requests) return false;
    this.#addStep({
      ...step,
      name: "",
      isRest: true,
      ...sumsOfRow(least),
      latencies: Histogram.fromText(String(least["latencies"])),
    });
    prepared(this.#db, `DELETE FROM usage_stats WHERE ${KEY} AND name = CAST(? AS TEXT)`).run(
      ...keyOf(step),
      least["name"] ?? "",
    );
    return true;
  }

  /** Whether there was such a row. Cheaper than a row with latencies. */
  #addSums(step: StepUsage): boolean {
    return prepared(this.#db, ADD_SUMS).run(...valuesOf(step), ...keyOf(step), step.name).changes > 0;
  }

  /** null: there is no such row. */
  #latenciesOf(step: StepUsage): string | null {
    const row = prepared(this.#db, `SELECT latencies FROM usage_stats WHERE ${KEY} AND name = ?`)
      .get(...keyOf(step), step.name);
    return row === undefined ? null : String(row["latencies"]);
  }

  #addTotal(total: ClientTotal): void {
    prepared(this.#db, ADD_TOTAL).run(total.client, ...valuesOf(total), Math.floor(total.lastUsedMs));
  }
}

function keyOf({ stepSeconds, at, dimension, isRest }: UsageKey): (string | number)[] {
  return [stepSeconds, at, dimension, isRest ? 1 : 0];
}
