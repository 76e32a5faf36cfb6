/**
 * The record queue with its thread and a database on this disk. Arguments: a checkout, and how many write at once.
 * Run the checkouts in turn, five times or more.
 */
import process from "node:process";
import type { RequestRecord } from "../../../src/core/types.ts";

const [root = ".", clients = "64"] = Deno.args;
const base = `file://${Deno.realPathSync(root)}`;
const { RecordQueue } = await import(`${base}/src/store/write/record_queue.ts`);
const { WorkerLink } = await import(`${base}/src/store/write/worker_link.ts`);
const { systemClock } = await import(`${base}/src/server/clock.ts`);
const { makeRecord } = await import(`${base}/tests/unit/store/support.ts`);
const directory = Deno.makeTempDirSync({ dir: "." });
const observer = new Proxy({}, { get: () => () => {} });
const link = new WorkerLink({
  spawnWorker: () => new Worker(`${base}/src/store/write/worker.ts`, { type: "module" }),
  path: `${directory}/db.sqlite`,
  durability: "normal",
  instance: "bench",
});
const queue = new RecordQueue({ link, clock: systemClock, observer });
const body = JSON.stringify({ messages: [{ role: "user", content: "the quick brown fox ".repeat(50) }] });
const record = (): RequestRecord => makeRecord({ body, response: "Hello ".repeat(60) });

async function write(count: number): Promise<number[]> {
  const waits: number[] = [];
  const client = async () => {
    while (--count >= 0) {
      // What a request costs the relaying thread.
      for (const end = performance.now() + 0.1; performance.now() < end;);
      const start = performance.now();
      await queue.write(record());
      waits.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  await Promise.all(Array.from({ length: Number(clients) }, client));
  return waits.sort((a, b) => a - b);
}

await write(1_000);
const [before, start] = [process.cpuUsage(), performance.now()];
const waits = await write(4_000);
const seconds = (performance.now() - start) / 1_000;
const { user, system } = process.cpuUsage(before);
const [p50, p99] = [0.5, 0.99].map((share) => waits[Math.floor(waits.length * share)]?.toFixed(1));
console.log(
  root,
  `${Math.round((user + system) / 4_000)} us CPU/record`,
  `${Math.round(4_000 / seconds)}/s`,
  `p50 ${p50} ms, p99 ${p99} ms`,
);
await queue.close();
Deno.removeSync(directory, { recursive: true });
