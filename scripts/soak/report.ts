/**
 * Prints the timeline of a soak, its scenarios, and each check with its figures.
 */
import type { Audit } from "./audit.ts";
import type { Books } from "./clients.ts";
import type { Sample } from "./sampler.ts";
import { SCENARIOS } from "./scenarios.ts";

const TIMELINE_ROWS = 12;

export interface Check {
  readonly name: string;
  readonly isOk: boolean;
  /** What was seen. */
  readonly seen: string;
  /** Examples of what was wrong. */
  readonly details?: readonly string[];
}

export function printTimeline(samples: readonly Sample[]): void {
  const step = Math.max(1, Math.ceil(samples.length / TIMELINE_ROWS));
  const rows: string[][] = [[
    "from s",
    "requests/s",
    "RSS MiB",
    "lowest",
    "anon MiB",
    "sockets",
    "other fds",
    "in flight",
  ]];
  for (let at = 0; at < samples.length; at += step) {
    const part = samples.slice(at, at + step);
    const [first] = part;
    const end = samples[at + step] ?? part.at(-1);
    if (first === undefined || end === undefined) continue;
    const mean = (of: (sample: Sample) => number) =>
      part.reduce((sum, each) => sum + of(each), 0) / part.length;
    rows.push([
      first.atS.toFixed(0),
      ((end.sent - first.sent) / Math.max(0.001, end.atS - first.atS)).toFixed(0),
      mib(mean((sample) => sample.rssKib)),
      mib(Math.min(...part.map((sample) => sample.rssKib))),
      mib(mean((sample) => sample.anonKib)),
      mean((sample) => sample.sockets).toFixed(0),
      mean((sample) => sample.otherDescriptors).toFixed(0),
      mean((sample) => sample.inFlight ?? 0).toFixed(0),
    ]);
  }
  printTable("The router over time (means)", rows);
}

export function printScenarios(books: Books, audit: Audit): void {
  const sent = new Map(SCENARIOS.map((scenario) => [scenario, 0]));
  for (const { scenario } of books.sent.values()) sent.set(scenario, (sent.get(scenario) ?? 0) + 1);
  const rows = [["scenario", "sent", "not as expected", "records", "expected record"]];
  for (const scenario of SCENARIOS) {
    const { record } = scenario.expected;
    rows.push([
      scenario.name,
      String(sent.get(scenario)),
      String(books.wrong.get(scenario)?.count),
      String(audit.recordsOf.get(scenario)),
      record === null ? "none" : `${record.outcome} ${record.status}`,
    ]);
  }
  printTable("Requests and records", rows);
}

/** @returns whether all is well */
export function printChecks(checks: readonly Check[]): boolean {
  printTable("Checks", [
    ["check", "verdict", "seen"],
    ...checks.map(({ name, isOk, seen }) => [name, isOk ? "ok" : "FAILED", seen]),
  ]);
  for (const { name, isOk, details = [] } of checks) {
    if (isOk || details.length === 0) continue;
    console.log(`\n${name}:`);
    for (const detail of details) console.log(`  ${detail}`);
  }
  const failed = checks.filter(({ isOk }) => !isOk);
  console.log(failed.length === 0 ? "\nall is well" : `\n${failed.length} of ${checks.length} checks failed`);
  return failed.length === 0;
}

/** KiB as MiB. */
export function mib(kib: number): string {
  return (kib / 1024).toFixed(1);
}

function printTable(title: string, rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0)));
  console.log(`\n== ${title}`);
  for (const cells of rows) {
    console.log(cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd());
  }
}
