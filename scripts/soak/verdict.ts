/**
 * What must hold after a soak: each promise as a check with its figures. Pure.
 */
import type { Audit } from "./audit.ts";
import type { Books } from "./clients.ts";
import { type Check, mib } from "./report.ts";
import type { Sample } from "./sampler.ts";
import { noiseBound, trendOf } from "./trend.ts";

/** During this share of the run, and at least this long, memory may grow: heaps and caches are filling. */
const WARM_UP = 0.3;
const MIN_WARM_UP_S = 150;
/** With less time than this after the warm-up, memory is not judged. */
const MIN_TREND_S = 180;
/** Allowed increase of open connections and files between the start and the quiet end. */
const SPARE_SOCKETS = 2;
const SPARE_DESCRIPTORS = 8;

/** The data of a run that is judged. */
export interface Run {
  readonly books: Books;
  readonly samples: readonly Sample[];
  /** Before the first request, and after the last one. */
  readonly before: Sample;
  readonly after: Sample;
  /** The router's metrics at the end: the sum of the samples for each name. */
  readonly metrics: (name: string) => number;
  readonly upstreams: {
    /** Requests that are still open at the upstreams at the end. */
    readonly open: readonly string[];
    readonly wrongBodies: number;
    readonly alertCount: number;
  };
  readonly audit: Audit;
  /** Of the router's log. */
  readonly errorLines: readonly string[];
  readonly exitCode: number;
}

export function judge(run: Run): Check[] {
  const { books, audit, before, after, metrics, upstreams } = run;
  const wrong = [...books.wrong.values()];
  const dueRecords = [...books.sent.values()].filter(({ scenario }) => scenario.expected.record !== null);
  const dropped = metrics("records_dropped_total");
  const peak = Math.max(0, ...run.samples.map((sample) => sample.inFlight ?? 0));
  return [
    memoryCheck(run),
    check("sockets back near the start", after.sockets <= before.sockets + SPARE_SOCKETS, {
      seen: `${before.sockets} at the start, at most ${
        Math.max(...run.samples.map((sample) => sample.sockets))
      }, ${after.sockets} at the end`,
    }),
    check(
      "other descriptors back near the start",
      after.otherDescriptors <= before.otherDescriptors + SPARE_DESCRIPTORS,
      { seen: `${before.otherDescriptors} at the start, ${after.otherDescriptors} at the end` },
    ),
    check("nothing in flight at the end", after.inFlight === 0 && upstreams.open.length === 0, {
      seen: `${after.inFlight} by the metric (peak ${peak}), ${upstreams.open.length} open at the upstreams`,
      details: upstreams.open.slice(0, 20),
    }),
    check("clients saw what they should", wrong.every(({ count }) => count === 0), {
      seen: `${wrong.reduce((sum, { count }) => sum + count, 0)} of ${books.sent.size} requests did not`,
      details: wrong.flatMap(({ samples }) => samples.slice(0, 5)),
    }),
    check("upstreams got what clients sent", upstreams.wrongBodies === 0, {
      seen: `${upstreams.wrongBodies} other bodies; ${upstreams.alertCount} alerts came`,
    }),
    check(
      "one record for each request",
      audit.unmatched.count === 0 && audit.recordCount === dueRecords.length,
      {
        seen: `${dueRecords.length} requests to be recorded, ${audit.recordCount} records, ` +
          `${audit.unmatched.count} unmatched`,
        details: audit.unmatched.samples,
      },
    ),
    check("every record is settled and right", audit.unsettledCount === 0 && audit.wrong.count === 0, {
      seen: `${audit.unsettledCount} unsettled, ${audit.wrong.count} wrong`,
      details: audit.wrong.samples,
    }),
    check("every attempt is kept", audit.wrongAttemptsCount === 0, {
      seen: `${audit.wrongAttemptsCount} records with other attempts than they count`,
    }),
    check("no record was dropped", dropped === 0, {
      seen: `records_dropped_total ${dropped}, record_ack_late_total ${metrics("record_ack_late_total")}`,
    }),
    check("PRAGMA integrity_check", audit.integrity === "ok", { seen: audit.integrity }),
    check("no error in the log", run.errorLines.length === 0, {
      seen: `${run.errorLines.length} lines`,
      details: run.errorLines,
    }),
    check("SIGTERM ends it with 0", run.exitCode === 0, { seen: `exit code ${run.exitCode}` }),
  ];
}

function memoryCheck({ samples, before, after }: Run): Check {
  const name = "memory is flat after warm-up";
  const lengthS = samples.at(-1)?.atS ?? 0;
  const warmUpS = Math.max(lengthS * WARM_UP, MIN_WARM_UP_S);
  const ends = `${mib(before.rssKib)} MiB at the start, ${mib(after.rssKib)} at the end`;
  if (lengthS < warmUpS + MIN_TREND_S) {
    return check(name, true, { seen: `not judged, the run is too short; ${ends}` });
  }
  const points = samples.filter(({ atS }) => atS >= warmUpS)
    .map(({ atS, rssKib }) => ({ atS, value: rssKib }));
  const trend = trendOf(points);
  const bound = noiseBound(trend);
  return check(name, trend.growth <= bound, {
    seen:
      `${signed(trend.growth)} MiB in ${(lengthS - warmUpS).toFixed(0)} s after ${warmUpS.toFixed(0)} s ` +
      `of warm-up, noise bound ${mib(bound)} MiB; slope ${signed(trend.slope * 3600)} MiB an hour; ` +
      `mean ${mib(trend.mean)} MiB, deviation ${mib(trend.deviation)} MiB; ${ends}`,
  });
}

function signed(kib: number): string {
  return `${kib < 0 ? "" : "+"}${mib(kib)}`;
}

function check(name: string, isOk: boolean, rest: Pick<Check, "seen" | "details">): Check {
  return { name, isOk, ...rest };
}
