/**
 * The same load on an empty database, on one of several months, and with many upstreams, and the time of
 * reading in each.
 */
import { type Bench, loadTools, probe, type Scenario, upstreamPlace, withEndpoints } from "../bench.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import type { RecordFilter } from "../../../src/store/store.ts";
import type { Endpoint } from "../contenders/contender.ts";
import { oursContender, type UpstreamRow } from "../contenders/ours.ts";
import { alternate } from "../measure/alternate.ts";
import { measuredRun } from "../measure/measured_run.ts";
import { type Figures, median } from "../measure/statistics.ts";
import { replyBody, requestBody } from "../payloads.ts";
import { COMMON_WORD, RARE_WORD, seededDatabase } from "../seeded_database.ts";
import { startPlainUpstream } from "../upstreams/upstream.ts";
import { CPU_COLUMNS } from "./columns.ts";
import { warmUpSeconds } from "./full_load.ts";

const RECORDS = 1_000_000;
const QUICK_RECORDS = 100_000;
const UPSTREAMS = 1_000;
const CONNECTIONS = 64;
const PAGE = 50;
const READS = 15;
const BODY = requestBody({ bytes: 1_024 });
const EXPECTED = replyBody(400);

export const growth: Scenario = {
  name: "growth",
  summary:
    "plain requests on an empty database, on one with a million records, and with 1,000 upstreams; lists and searches",
  layout: {
    scenario: "growth",
    title: `Growth: plain requests through ours, ${CONNECTIONS} connections`,
    columns: [
      { title: "records before", figure: "recordsBefore", digits: 0 },
      { title: "upstreams", figure: "upstreams", digits: 0 },
      { title: "requests/s", figure: "perS", digits: 0 },
      { title: "p50 ms", figure: "p50Ms", digits: 2 },
      { title: "p99 ms", figure: "p99Ms", digits: 2 },
      ...CPU_COLUMNS,
      { title: "list ms", figure: "listMs", digits: 1 },
      { title: "common word", figure: "commonMs", digits: 1 },
      { title: "rare word", figure: "rareMs", digits: 1 },
      { title: "no such word", figure: "missingMs", digits: 1 },
    ],
    ratioOf: null,
    notes: [
      `list: the newest ${PAGE}; the words: searches for the newest ${PAGE}, through the program's own store; all records are in the full-text index`,
    ],
  },
  async run(bench: Bench) {
    const { program, version } = bench.ours;
    const records = bench.isQuick ? QUICK_RECORDS : RECORDS;
    const template = await seededDatabase({ processes: bench.processes, program, records, say: bench.say });
    const kinds = [
      { variant: "empty", upstreams: 1, contender: oursContender(program, version) },
      { variant: "full", upstreams: 1, contender: oursContender(program, version, { template }) },
      {
        variant: "many upstreams",
        upstreams: UPSTREAMS,
        contender: oursContender(program, version, { upstreams: manyUpstreams }),
      },
    ];
    // Two processes of one program differ more than the effect measured here: each run gets its own, and runs
    // alone.
    const run = async ({ variant, upstreams, contender }: typeof kinds[number]): Promise<Figures> => {
      bench.say(`growth, ${variant}`);
      const upstream = await startPlainUpstream(upstreamPlace(bench), 400);
      return await withEndpoints(bench, { contenders: [contender], upstream }, async ([endpoint]) => {
        if (endpoint === undefined) throw new RangeError("a contender without an endpoint");
        const measure = async (seconds: number): Promise<Figures> => {
          const recordsBefore = withStore(endpoint, (store) => store.records.lastId());
          const load = () =>
            bench.fullLoad(loadTools(bench), { endpoint, body: BODY, connections: CONNECTIONS, seconds });
          const figures = await measuredRun({ endpoint, upstream: upstream.service, load });
          return { ...figures, recordsBefore, upstreams, ...readTimes(endpoint) };
        };
        await probe(endpoint, BODY, EXPECTED);
        await measure(warmUpSeconds(bench));
        return await measure(bench.isQuick ? 2 : 5);
      });
    };
    const measured = await alternate(kinds, bench.rounds, run);
    return [...measured].map(([{ variant }, rounds]) => ({
      scenario: "growth",
      variant,
      contender: "ours" as const,
      rounds,
    }));
  },
};

/** The last one serves the load; the others add keys to mask and models to match. */
function manyUpstreams(upstreamPort: number): UpstreamRow[] {
  const endpoint = `http://127.0.0.1:${upstreamPort}/v1`;
  return Array.from({ length: UPSTREAMS }, (_, index) => {
    const isLast = index === UPSTREAMS - 1;
    return { name: `upstream-${index}`, endpoint, allow: isLast ? "" : `model-${index}` };
  });
}

/** ms of each kind of reading. */
function readTimes(endpoint: Endpoint): Figures {
  return withStore(endpoint, ({ records }) => {
    const timeOf = (filter: RecordFilter) =>
      median(Array.from({ length: READS }, () => {
        const startMs = performance.now();
        records.list({ limit: PAGE, filter });
        return performance.now() - startMs;
      }));
    return {
      listMs: timeOf({}),
      commonMs: timeOf({ text: COMMON_WORD }),
      rareMs: timeOf({ text: RARE_WORD }),
      missingMs: timeOf({ text: "nowhere-to-be-found" }),
    };
  });
}

function withStore<T>({ database }: Endpoint, use: (store: ReturnType<typeof openDatabase>) => T): T {
  if (database === undefined) throw new RangeError("an endpoint without a database");
  const store = openDatabase(database);
  try {
    return use(store);
  } finally {
    store.close();
  }
}
