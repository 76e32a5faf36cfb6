/**
 * The additional cost of a request when the first upstream fails.
 *
 * A breaker opens after three failures in a row. To get enough samples before it opens, there are many broken
 * upstreams, each with its own model and its own breaker, and one working upstream for all models. Failing
 * requests alternate with plain ones, which only the working upstream serves.
 */
import { type Bench, type Scenario, upstreamPlace, withEndpoints } from "../bench.ts";
import type { Endpoint } from "../contenders/contender.ts";
import { oursContender, type UpstreamRow } from "../contenders/ours.ts";
import { chatRequest } from "../http1.ts";
import { KeepAlive } from "../load/keep_alive.ts";
import type { Result } from "../measure/result.ts";
import { type Figures, median, quantile } from "../measure/statistics.ts";
import { replyBody, requestBody } from "../payloads.ts";
import { freePort } from "../processes.ts";
import { startPlainUpstream, startUpstream, type Upstream } from "../upstreams/upstream.ts";

const BROKEN = 100;
const WARM_UP_BROKEN = 20;
/** One fewer than the failures that open a breaker. */
const BEFORE_OPEN = 2;
const OPEN_SAMPLES_EACH = 5;
const WARM_UP_REQUESTS = 1_000;
const REPLY = replyBody(400);

export const failover: Scenario = {
  name: "failover",
  summary: "the first upstream refuses, or answers 503: what an answered request costs more",
  layout: {
    scenario: "failover",
    title: "Failover: one request at a time through ours, ms",
    columns: [
      { title: "plain p50", figure: "plainP50Ms", digits: 3 },
      { title: "p50", figure: "p50Ms", digits: 3 },
      { title: "p99", figure: "p99Ms", digits: 3 },
      { title: "added p50", figure: "addedP50Ms", digits: 3 },
      { title: "samples", figure: "samples", digits: 0 },
    ],
    ratioOf: null,
    notes: [
      "before: the breaker is closed, so the first upstream is tried and fails; open: it is passed over",
      `every sample is followed by a plain one through the same router, which knows ${
        BROKEN + WARM_UP_BROKEN + 1
      } upstreams`,
    ],
  },
  async run(bench: Bench) {
    return [...await measureFailures(bench, "refused"), ...await measureFailures(bench, "503")];
  },
};

async function measureFailures(bench: Bench, kind: "refused" | "503"): Promise<Result[]> {
  bench.say(`failover, ${kind}`);
  const before: Figures[] = [];
  const open: Figures[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    const upstream = await startPlainUpstream(upstreamPlace(bench), 400);
    const failing = kind === "503"
      ? await startUpstream(upstreamPlace(bench), { kind: "status", status: 503 })
      : null;
    const contender = oursContender(bench.ours.program, bench.ours.version, {
      upstreams: (port) => upstreamRows(failing?.port ?? freePort(), port),
    });
    try {
      await withEndpoints(bench, { contenders: [contender], upstream }, async ([endpoint]) => {
        if (endpoint === undefined) throw new RangeError("no endpoint");
        const measured = await measureRound(endpoint);
        before.push(measured.before);
        open.push(measured.open);
      });
    } finally {
      if (failing !== null) await bench.processes.stop(failing.service);
    }
  }
  const shared = { scenario: "failover", contender: "ours" } as const;
  return [
    { ...shared, variant: `${kind}, before`, rounds: before },
    { ...shared, variant: `${kind}, open`, rounds: open },
  ];
}

/** The broken ones first, each for its own model. */
function upstreamRows(failingPort: number, workingPort: Upstream["port"]): UpstreamRow[] {
  const broken = Array.from({ length: BROKEN + WARM_UP_BROKEN }, (_, index) => ({
    name: `broken-${index}`,
    endpoint: `http://127.0.0.1:${failingPort}/v1`,
    allow: modelOf(index),
  }));
  return [...broken, { name: "working", endpoint: `http://127.0.0.1:${workingPort}/v1`, allow: "" }];
}

function modelOf(index: number): string {
  return `broken-${String(index).padStart(3, "0")}`;
}

async function measureRound(
  endpoint: Endpoint,
): Promise<{ readonly before: Figures; readonly open: Figures }> {
  const { port, headers } = endpoint;
  const connection = await KeepAlive.open(port, new TextEncoder().encode(REPLY));
  const requestFor = (model: string) =>
    chatRequest({ port, headers, body: requestBody({ bytes: 1_024, model }) });
  const plain = requestFor("plain");
  let asked = 0;
  const ask = async (request: Uint8Array): Promise<number> => {
    const startMs = performance.now();
    await connection.ask(request);
    asked++;
    return performance.now() - startMs;
  };
  const before = new Samples();
  const open = new Samples();
  const measure = async (request: Uint8Array, samples: Samples | null): Promise<void> => {
    const failedMs = await ask(request);
    const plainMs = await ask(plain);
    samples?.failed.push(failedMs);
    samples?.plain.push(plainMs);
  };
  try {
    for (let index = 0; index < WARM_UP_REQUESTS; index++) await ask(plain);
    for (let index = 0; index < BROKEN + WARM_UP_BROKEN; index++) {
      const isWarmUp = index < WARM_UP_BROKEN;
      const request = requestFor(modelOf(index));
      for (let turn = 0; turn < BEFORE_OPEN; turn++) await measure(request, isWarmUp ? null : before);
      await measure(request, null);
      for (let turn = 0; turn < OPEN_SAMPLES_EACH; turn++) await measure(request, isWarmUp ? null : open);
    }
  } finally {
    connection.close();
  }
  await endpoint.audit?.({ answered: asked, unfinished: 0 });
  return { before: before.figures(), open: open.figures() };
}

class Samples {
  readonly failed: number[] = [];
  readonly plain: number[] = [];

  figures(): Figures {
    const p50Ms = median(this.failed);
    const plainP50Ms = median(this.plain);
    return {
      p50Ms,
      plainP50Ms,
      p99Ms: quantile(this.failed.toSorted((a, b) => a - b), 0.99),
      addedP50Ms: p50Ms - plainP50Ms,
      samples: this.failed.length,
    };
  }
}
