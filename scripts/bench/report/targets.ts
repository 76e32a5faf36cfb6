/**
 * The project's performance targets, and whether a run meets them.
 */
import type { ContenderName, Result } from "../measure/result.ts";
import { medians } from "../measure/statistics.ts";
import { number, textTable } from "./table.ts";

interface Target {
  readonly name: string;
  /** undefined when it was not measured. */
  readonly value: number | undefined;
  readonly limit: number;
  /** Whether the limit is a minimum or a maximum. */
  readonly is: "at least" | "at most";
  readonly digits: number;
}

export interface Verdict extends Target {
  /** null when it was not measured. */
  readonly isMet: boolean | null;
}

export function verdicts(results: readonly Result[]): Verdict[] {
  return targets(new Figured(results)).map((target) => ({ ...target, isMet: isMet(target) }));
}

/** Those that were measured. */
export function targetsTable(all: readonly Verdict[]): string {
  const measured = all.filter(({ isMet }) => isMet !== null);
  const rows = measured.map(({ name, value, limit, is, digits, isMet }) => [
    isMet ? "ok" : "MISSED",
    name,
    number(value, digits),
    `${is} ${limit}`,
  ]);
  const left = all.length - measured.length;
  return [
    "== Targets",
    textTable([["", "target", "measured", "wanted"], ...rows], 2),
    ...(left === 0 ? [] : [`   ${left} more were not measured in this run`]),
  ].join("\n");
}

function targets(figures: Figured): Target[] {
  const at = (contender: ContenderName, scenario: string, variant: string) => (figure: string) =>
    figures.value(contender, scenario, variant, figure);
  const plain = (contender: ContenderName) => at(contender, "plain", "64 connections")("perS");
  const single = (contender: ContenderName) => at(contender, "plain", "1 connection")("p50Ms");
  const rate = at("ours", "rate", "1000/s");
  const burst = (variant: string) => (contender: ContenderName) => at(contender, "burst", variant)("perS");
  const paced = (variant: string, contender: ContenderName = "ours") => at(contender, "paced", variant);
  const evenness = (
    variant: string,
    wanted: { readonly p50Ms: number; readonly timesGo: number; readonly firstP99Ms: number },
  ) => [
    most(`paced, ${variant}: p50, ms`, paced(variant)("delayP50Ms"), wanted.p50Ms),
    most(
      `paced, ${variant}: p99, ours / go-proxy`,
      ratio(paced(variant)("delayP99Ms"), paced(variant, "go-proxy")("delayP99Ms")),
      wanted.timesGo,
    ),
    most(`paced, ${variant}: first event, p99, ms`, paced(variant)("firstP99Ms"), wanted.firstP99Ms, 0),
  ];
  const failover = (variant: string) => at("ours", "failover", variant)("addedP50Ms");
  const growth = (variant: string) => at("ours", "growth", variant)("perS");
  return [
    least("plain, 64 connections: ours / relay", ratio(plain("ours"), plain("relay")), 0.75),
    least("plain, 64 connections: ours / portkey", ratio(plain("ours"), plain("portkey")), 9),
    most("plain, 1 connection: p50 above direct, ms", difference(single("ours"), single("direct")), 0.2, 3),
    most("1,000/s: added p50, ms", rate("addedP50Ms"), 0.4, 3),
    most("1,000/s: added p99, ms", rate("addedP99Ms"), 3),
    ...["16 connections, one chunk", "64 connections, one chunk", "16 connections, chunk per event"].map((
      variant,
    ) =>
      least(`burst, ${variant}: ours / nginx`, ratio(burst(variant)("ours"), burst(variant)("nginx")), 0.6)
    ),
    most("paced, 400 x 25/s: added p99, ms", paced("400 x 25/s")("addedDelayP99Ms"), 5),
    most("paced, 1000 x 25/s: events lost", paced("1000 x 25/s")("lostEvents"), 0, 0),
    most("paced, 1000 x 25/s: added p99, ms", paced("1000 x 25/s")("addedDelayP99Ms"), 25),
    most(
      "paced, 1000 x 25/s: added p99, ours / portkey",
      ratio(paced("1000 x 25/s")("addedDelayP99Ms"), paced("1000 x 25/s", "portkey")("addedDelayP99Ms")),
      0.2,
    ),
    most("paced, 4000 x 5/s: events lost", paced("4000 x 5/s")("lostEvents"), 0, 0),
    most("paced, 4000 x 5/s: added p99, ms", paced("4000 x 5/s")("addedDelayP99Ms"), 50),
    ...evenness("1000 x 25/s", { p50Ms: 1, timesGo: 2, firstP99Ms: 150 }),
    ...evenness("4000 x 5/s", { p50Ms: 2, timesGo: 3, firstP99Ms: 600 }),
    most("paced, 1000 x 25/s: KB per stream", paced("1000 x 25/s")("kbPerStream"), 60, 0),
    most("paced, 4000 x 5/s: KB per stream", paced("4000 x 5/s")("kbPerStream"), 60, 0),
    least("growth: full / empty database", ratio(growth("full"), growth("empty")), 0.95),
    least("growth: 1,000 upstreams / one", ratio(growth("many upstreams"), growth("empty")), 0.95),
    most("failover, refused, before the breaker opens: added p50, ms", failover("refused, before"), 1, 3),
    most("failover, refused, breaker open: added p50, ms", failover("refused, open"), 0.05, 3),
  ];
}

const least = (name: string, value: number | undefined, limit: number, digits = 2): Target => ({
  name,
  value,
  limit,
  is: "at least",
  digits,
});

const most = (name: string, value: number | undefined, limit: number, digits = 2): Target => ({
  name,
  value,
  limit,
  is: "at most",
  digits,
});

function isMet({ value, limit, is }: Target): boolean | null {
  if (value === undefined || Number.isNaN(value)) return null;
  return is === "at least" ? value >= limit : value <= limit;
}

function difference(minuend: number | undefined, subtrahend: number | undefined): number | undefined {
  return minuend === undefined || subtrahend === undefined ? undefined : minuend - subtrahend;
}

function ratio(dividend: number | undefined, divisor: number | undefined): number | undefined {
  return dividend === undefined || divisor === undefined ? undefined : dividend / divisor;
}

class Figured {
  readonly #results: readonly Result[];

  constructor(results: readonly Result[]) {
    this.#results = results;
  }

  /** A median; undefined when it was not measured. */
  value(contender: ContenderName, scenario: string, variant: string, figure: string): number | undefined {
    const found = this.#results.find((result) =>
      result.contender === contender && result.scenario === scenario && result.variant === variant
    );
    return found === undefined ? undefined : medians(found.rounds)[figure];
  }
}
