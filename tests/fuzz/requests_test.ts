/**
 * Almost valid requests, sent to the router and to nginx, Node and Go.
 *
 * Everything that the router forwards is well-formed, and all others read it as the router did: the same
 * requests, with the same method, target and body. Refusing a request is not a divergence: the router aims to
 * be the strictest. It must not accept a request that all others refuse.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { type KeptRequest, StrictUpstream } from "../support/strict_upstream.ts";
import { within } from "../support/within.ts";
import { again, campaign } from "./campaign.ts";
import { converse, type Reader, type Seen, seenIn, seenOf, seenReply, startReaders } from "./readers.ts";
import { caseOf, containerOf, placeOf, type RequestCase, requestCase } from "./request_cases.ts";
import { shrink } from "./shrink.ts";

const BATCH = 40;
const BATCH_SECONDS = 90;
const MAX_REPORTED = 10;
const MAX_SHRUNK = 3;
/** nginx, Node and Go. */
const READER_COUNT = 3;

interface Finding {
  /** Null when unknown. */
  readonly caseNumber: number | null;
  readonly what: string;
}

interface Stage {
  readonly router: Router;
  readonly upstream: StrictUpstream;
  /** Requests that reached the upstream since the list was last cleared. */
  readonly sentOn: KeptRequest[];
  readonly readers: readonly Reader[];
}

Deno.test("forwarded requests are well-formed, and every reader reads them as the router did", async (t) => {
  const { seeds, cases } = campaign();
  await using stack = new AsyncDisposableStack();
  const readers = await startReaders();
  for (const reader of readers) stack.use(reader);
  const sentOn: KeptRequest[] = [];
  const upstream = stack.use(
    new StrictUpstream((request, wire) => wire.write(seenReply(request)), (request) => sentOn.push(request)),
  );
  const router = stack.use(
    await Router.start({
      upstreams: [{ endpoint: upstream.endpoint, name: "strict", timeout: 5 }],
      args: ["--log-level", "error"],
    }),
  );
  const stage: Stage = { router, upstream, sentOn, readers };
  for (const seed of seeds) {
    await t.step(`seed ${seed}, ${cases.length} cases`, async () => {
      const findings: Finding[] = [];
      let acceptedCount = 0;
      for (let at = 0; at < cases.length; at += BATCH) {
        const batch = cases.slice(at, at + BATCH).map((number) => requestCase(seed, number, TEST_TOKEN));
        const result = await examine(stage, batch);
        findings.push(...result.findings);
        acceptedCount += result.acceptedCount;
      }
      console.log(`  seed ${seed}: ${cases.length} cases, ${acceptedCount} requests sent on`);
      await report(stage, seed, findings);
      // Otherwise too little was compared.
      if (cases.length >= 100) assert.ok(acceptedCount > cases.length / 4, `${acceptedCount} were sent on`);
    });
  }
  assert.doesNotMatch(router.text, /\bERROR\b/);
});

/** Sends all cases of a batch to all readers at once, and compares. */
async function examine(
  stage: Stage,
  cases: readonly RequestCase[],
): Promise<{ findings: Finding[]; acceptedCount: number }> {
  const { router, upstream, sentOn, readers } = stage;
  sentOn.length = 0;
  upstream.faults.length = 0;
  const fence = new Fence(cases.length, async () => {
    // When these are answered, so is everything sent before: the router serves in order of arrival.
    for (let turn = 0; turn < 3; turn++) await (await router.fetch("/fence")).body?.cancel();
  });
  const unfinished = new Set<string>();
  const ask = async ({ name, port }: Pick<Reader, "name" | "port">, { number, pieces }: RequestCase) => {
    const what = `case ${number} with ${name}`;
    unfinished.add(what);
    const answers = await converse(port, pieces, name === "the router" ? () => fence.arrive() : null);
    unfinished.delete(what);
    return seenIn(answers);
  };
  const askAll = (reader: Pick<Reader, "name" | "port">) =>
    Promise.all(cases.map((each) => ask(reader, each)));
  const all = Promise.all([{ name: "the router", port: router.port }, ...readers].map(askAll));
  const [ours = [], ...theirs] = await within(BATCH_SECONDS, () => [...unfinished].join(", "), all);
  // When this is answered, the upstream has noticed connections that the router broke off.
  await (await router.fetch("/fence")).body?.cancel();
  const findings: Finding[] = upstream.faults.map((what) => ({
    caseNumber: caseOf(what),
    what: `what goes to the upstream is malformed: ${what}`,
  }));
  const textOf = new Map(cases.map(({ number, pieces }) => [number, pieces.join("")]));
  for (const { target, fields } of sentOn) {
    const number = caseOf(target);
    const sent = textOf.get(number ?? -1);
    const changed = fields.find(([name, value]) => name.startsWith("x-") && !sent?.includes(value));
    if (sent !== undefined && changed !== undefined) {
      findings.push({ caseNumber: number, what: `nobody sent this field: ${JSON.stringify(changed)}` });
    }
  }
  readers.forEach(({ name }, index) => {
    cases.forEach(({ number }, at) => {
      const problem = divergence(ours[at] ?? [], theirs[index]?.[at] ?? []);
      if (problem !== null) findings.push({ caseNumber: number, what: `unlike ${name}: ${problem}` });
    });
  });
  if (readers.length === READER_COUNT) {
    cases.forEach(({ number }, at) => {
      // They may not have seen a later one because they refused the one before.
      const first = (ours[at] ?? []).find(({ method, target }) =>
        placeOf(target) === 1 && COMMON_METHODS.has(method)
      );
      const isShared = (mine: Seen) => theirs.some((all) => all[at]?.some((other) => isSame(mine, other)));
      if (first === undefined || isShared(first) || isRefusedByTurns(textOf.get(number) ?? "")) return;
      findings.push({ caseNumber: number, what: `none of the others takes ${show(first)} for a request` });
    });
  }
  for (const reader of readers) findings.push(...await replayed(reader, sentOn));
  return { findings, acceptedCount: ours.reduce((sum, seen) => sum + seen.length, 0) };
}

/**
 * Leniencies that the standard permits (RFC 9112 sections 2.2 and 3.2, RFC 9110 sections 8.6 and 10.1.1) and
 * some readers do not have.
 */
const MATTERS_OF_TASTE: readonly RegExp[] = [
  /^\r\n/,
  /\r\nhost:[ \t]*\r\n/i,
  /\r\ncontent-length:[^]*\r\ncontent-length:/i,
  /\r\nexpect:(?![ \t]*100-continue[ \t]*\r)/i,
];

/** With two of them in one request, each reader may refuse it for a different one. */
function isRefusedByTurns(text: string): boolean {
  return MATTERS_OF_TASTE.filter((pattern) => pattern.test(text)).length > 1;
}

/** A barrier: releases all when the last has arrived and a final action is done. */
class Fence {
  readonly #open = Promise.withResolvers<void>();
  #missingCount: number;

  constructor(count: number, private readonly last: () => Promise<void>) {
    this.#missingCount = count;
  }

  arrive(): Promise<void> {
    if (--this.#missingCount === 0) this.last().then(this.#open.resolve, this.#open.reject);
    return this.#open.promise;
  }
}

/**
 * What two readers of the same bytes disagree about; null when one of them merely refuses earlier.
 * @param ours what the router forwarded
 */
function divergence(ours: readonly Seen[], theirs: readonly Seen[]): string | null {
  const lastPlace = Math.max(0, ...theirs.map(({ target }) => placeOf(target) ?? 0));
  for (const mine of ours) {
    const container = containerOf(mine.target);
    const place = container ?? placeOf(mine.target);
    if (place === null) continue;
    const other = theirs.find(({ target }) =>
      container === null ? placeOf(target) === place : containerOf(target) === container
    );
    if (other === undefined && place > lastPlace) continue;
    if (other !== undefined && isSame(mine, other)) continue;
    return `the router read ${show(mine)}, it read ${other === undefined ? "none there" : show(other)}`;
  }
  return null;
}

function isSame(mine: Seen, other: Seen): boolean {
  // The host of the absolute form is ignored, and so is the `?` of an empty query.
  const origin = other.target.replace(/^https?:\/\/[^/?#]*/i, "").replace(/\?$/, "");
  // Without meaning (RFC 9110 section 9.3.1): the router reads it and does not forward it.
  const isBodyDropped = mine.body === "" && (mine.method === "GET" || mine.method === "HEAD");
  return mine.method === other.method && mine.target === origin &&
    (isBodyDropped || mine.body === other.body);
}

/** Methods that every reader knows. */
const COMMON_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

/**
 * How a reader interprets the bytes that went to the upstream, sent one request after another on one
 * connection.
 */
async function replayed(reader: Reader, sentOn: readonly KeptRequest[]): Promise<Finding[]> {
  const known = sentOn.filter(({ method }) => COMMON_METHODS.has(method));
  if (known.length === 0) return [];
  const bytes = Buffer.concat(known.map(({ raw }) => raw)).toString("latin1");
  const what = () => `${reader.name}, with what went to the upstream`;
  const seen = seenIn(await within(BATCH_SECONDS, what, converse(reader.port, [bytes], null)));
  for (const [at, request] of known.entries()) {
    const expected = seenOf(request);
    const other = seen[at];
    if (other !== undefined && JSON.stringify(other) === JSON.stringify(expected)) continue;
    const was = other === undefined ? "nothing" : show(other);
    return [{
      caseNumber: caseOf(request.target),
      what: `${reader.name} reads ${was} where ${show(expected)} was sent on: ` +
        JSON.stringify(request.raw.toString("latin1").slice(0, 1000)),
    }];
  }
  if (seen.length === known.length) return [];
  return [{
    caseNumber: null,
    what: `${reader.name} reads ${seen.length} requests instead of ${known.length}`,
  }];
}

/** Fails on any finding; prints each with the bytes that cause it. */
async function report(stage: Stage, seed: number, findings: readonly Finding[]): Promise<void> {
  const shown: string[] = [];
  const seen = new Set<number | null>();
  for (const { caseNumber, what } of findings) {
    if (seen.has(caseNumber) || shown.length >= MAX_REPORTED) continue;
    seen.add(caseNumber);
    if (caseNumber === null) {
      shown.push(what);
      continue;
    }
    const text = requestCase(seed, caseNumber, TEST_TOKEN).pieces.join("");
    const fails = async (shorter: string) => {
      const { findings } = await examine(stage, [{ number: caseNumber, pieces: [shorter] }]);
      return findings.length > 0;
    };
    const isShrunk = shown.length < MAX_SHRUNK && await fails(text);
    const bytes = isShrunk ? await shrink(text, fails) : text.slice(0, 2000);
    shown.push(
      `${what}\n    bytes${isShrunk ? " that are enough" : ""}: ${JSON.stringify(bytes)}\n    again: ${
        again(seed, caseNumber)
      }`,
    );
  }
  assert.equal(findings.length, 0, `${findings.length} findings\n${shown.join("\n")}`);
}

function show({ method, target, body }: Seen): string {
  return `${method} ${JSON.stringify(target)} with ${JSON.stringify(body.slice(0, 300))}`;
}
