import assert from "node:assert/strict";
import { autocannonReport } from "../../../../scripts/bench/load/autocannon.ts";
import { toReport } from "../../../../scripts/bench/load/wrk.ts";
import type { ContenderName, Layout, Result } from "../../../../scripts/bench/measure/result.ts";
import { parseOptions } from "../../../../scripts/bench/options.ts";
import { fileSystemOf } from "../../../../scripts/bench/report/environment.ts";
import { scenarioTable } from "../../../../scripts/bench/report/scenario_table.ts";
import { number, textTable } from "../../../../scripts/bench/report/table.ts";
import { targetsTable, verdicts } from "../../../../scripts/bench/report/targets.ts";

Deno.test("a table aligns its columns", () => {
  assert.equal(
    textTable([["name", "n"], ["a", "1,000"], ["long name", "2"]]),
    [
      "name           n",
      "a          1,000",
      "long name      2",
    ].join("\n"),
  );
  assert.equal(number(12_345.678, 1), "12,345.7");
  assert.equal(number(undefined, 1), "-");
});

const LAYOUT: Layout = {
  scenario: "plain",
  title: "Plain",
  columns: [{ title: "requests/s", figure: "perS", digits: 0 }],
  ratioOf: "perS",
  notes: ["a note"],
};

function plainResult(contender: ContenderName, ...perS: number[]): Result {
  const rounds = perS.map((value) => ({ perS: value }));
  return { scenario: "plain", variant: "64 connections", contender, rounds };
}

Deno.test("a scenario's table shows medians, and ratios to each other contender", () => {
  const results = [plainResult("relay", 100, 300, 200), plainResult("ours", 150, 160, 10)];
  const text = scenarioTable(LAYOUT, [...results, { ...plainResult("nginx", 9), scenario: "other" }]);
  assert.deepEqual(text.split("\n").map((line) => line.trim().split(/\s{2,}/)), [
    ["== Plain"],
    ["variant", "contender", "requests/s", "ours/this"],
    ["64 connections", "relay", "200", "0.75"],
    ["ours", "150"],
    ["a note"],
  ]);
});

Deno.test("a scenario's table says when other processes disturbed it", () => {
  const result = (otherCores: number): Result => ({
    ...plainResult("ours"),
    rounds: [{ perS: 1, otherCores }],
  });
  assert.match(scenarioTable(LAYOUT, [result(1.5)]), /DISTURBED: other processes used up to 1\.50 cores/);
  assert.doesNotMatch(scenarioTable(LAYOUT, [result(0.1)]), /DISTURBED/);
});

Deno.test("targets are met, missed or not measured", () => {
  const of = (...results: Result[]) => verdicts(results).find(({ name }) => name.includes("ours / relay"));
  assert.equal(of(plainResult("relay", 100), plainResult("ours", 75))?.isMet, true);
  assert.equal(of(plainResult("relay", 100), plainResult("ours", 74))?.isMet, false);
  assert.equal(of(plainResult("ours", 74))?.isMet, null);
  const rounds = [{ lostEvents: 1, addedDelayP99Ms: 24 }];
  const paced = verdicts([{ scenario: "paced", variant: "1000 x 25/s", contender: "ours", rounds }]);
  const isMet = (name: string) => paced.find((each) => each.name === `paced, 1000 x 25/s: ${name}`)?.isMet;
  assert.deepEqual([isMet("events lost"), isMet("added p99, ms")], [false, true]);
  const table = targetsTable(paced);
  assert.match(table, /^MISSED +paced, 1000 x 25\/s: events lost +1 +at most 0$/m);
  assert.match(table, /24 more were not measured/);
});

Deno.test("the figures of wrk and autocannon are read", () => {
  const wrk = toReport(
    'Running 5s test\n{"requests":1000,"microseconds":2000000,"bytes":9,"errors":3,"p50":1500,"p99":9000}\n',
    70,
    64,
  );
  assert.deepEqual([wrk.answered, wrk.errors, wrk.unfinished, wrk.cpuMs], [997, 3, 64, 70]);
  assert.deepEqual(wrk.figures, { perS: 498.5, p50Ms: 1.5, p99Ms: 9 });
  assert.throws(() => toReport("no figures", 0, 1), /wrk printed no figures/);
  const output = {
    "2xx": 400,
    non2xx: 1,
    errors: 2,
    timeouts: 3,
    duration: 2,
    latency: { p50: 1, p99: 7 },
    throughput: { total: 9 },
  };
  const autocannon = autocannonReport(JSON.stringify(output), 50, 8);
  assert.deepEqual([autocannon.answered, autocannon.errors, autocannon.unfinished], [400, 6, 8]);
  assert.deepEqual(autocannon.figures, { perS: 200, p50Ms: 1, p99Ms: 7 });
});

Deno.test("the file system of a path is that of the closest mount", () => {
  const mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmporary xfs rw 0 0\n";
  assert.equal(fileSystemOf("/tmp/run-1", mounts), "tmpfs");
  assert.equal(fileSystemOf("/tmporary/x", mounts), "xfs");
  assert.equal(fileSystemOf("/home", mounts), "ext4");
  assert.equal(fileSystemOf("/home", ""), "unknown");
});

Deno.test("the command line chooses scenarios, contenders and rounds", () => {
  const options = parseOptions(["plain", "--quick", "--rounds", "2", "--only", "ours,relay", "--json", "-"], [
    "plain",
    "burst",
  ]);
  assert.deepEqual([options.scenarios, options.rounds, options.quick, options.only, options.json], [
    ["plain"],
    2,
    true,
    ["ours", "relay"],
    "-",
  ]);
  assert.deepEqual(parseOptions([], ["plain"]).scenarios, []);
});
