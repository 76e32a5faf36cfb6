import assert from "node:assert/strict";
import { alternate, rotated } from "../../../../scripts/bench/measure/alternate.ts";
import {
  busyMsOf,
  childCpuMsOf,
  cpuMsOf,
  processTree,
  rssKibOf,
} from "../../../../scripts/bench/measure/proc_stat.ts";
import { type Figures, median, medians, quantile } from "../../../../scripts/bench/measure/statistics.ts";
import { undisturbed } from "../../../../scripts/bench/measure/undisturbed.ts";

Deno.test("median() takes the middle, or the mean of the two in the middle", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([10, 9, 100]), 10);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("quantile() takes the nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  assert.equal(quantile(hundred, 0.5), 50);
  assert.equal(quantile(hundred, 0.99), 99);
  assert.equal(quantile(hundred, 1), 100);
  assert.equal(quantile([7], 0.01), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

Deno.test("medians() takes each figure over the rounds that have it", () => {
  assert.deepEqual(medians([{ a: 1, b: 5 }, { a: 3 }, { a: 2 }]), { a: 2, b: 5 });
});

Deno.test("contenders alternate, and each round begins with a different one", async () => {
  assert.deepEqual(rotated(["a", "b", "c"], 4), ["b", "c", "a"]);
  const order: string[] = [];
  const measured = await alternate(["a", "b"], 2, (name, round) => {
    order.push(name);
    return Promise.resolve({ round });
  });
  assert.deepEqual(order, ["a", "b", "b", "a"]);
  assert.deepEqual(measured.get("a"), [{ round: 0 }, { round: 1 }]);
});

Deno.test("a disturbed run is repeated once, and the less disturbed one counts", async () => {
  const runs = (...cores: number[]) => {
    const left = [...cores];
    return (): Promise<Figures> =>
      Promise.resolve({ otherCores: left.shift() ?? assert.fail("too many runs") });
  };
  assert.deepEqual(await undisturbed(runs(0.1)), { otherCores: 0.1 });
  assert.deepEqual(await undisturbed(runs(1.5, 0.2)), { otherCores: 0.2 });
  assert.deepEqual(await undisturbed(runs(1.5, 0.9)), { otherCores: 0.9 });
  assert.deepEqual(await undisturbed(runs(0.9, 1.5)), { otherCores: 0.9 });
});

Deno.test("CPU time and memory are read from /proc", () => {
  const stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 500 0 0 0 123 45 7 8 20 0 11 0 1000 99 88";
  assert.equal(cpuMsOf(stat), 1_680);
  assert.equal(busyMsOf("cpu  10 20 30 4000 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"), 810);
  assert.equal(rssKibOf("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t    512 kB\n"), 512);
  assert.equal(rssKibOf("Name:\tkthread\n"), 0);
  assert.equal(childCpuMsOf("said something\n0m0.01s 0m0.02s\n1m2.50s 0m0.25s\n"), 62_750);
});

Deno.test("a process tree holds the children before their parent", async () => {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", "sleep 30 & echo; wait"],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const pids = processTree(child.pid);
  for (const pid of pids) Deno.kill(pid, "SIGKILL");
  await child.status;
  await reader.cancel();
  assert.equal(pids.length, 2);
  assert.equal(pids.at(-1), child.pid);
});
