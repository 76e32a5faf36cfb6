/**
 * Measures the queue: 200 clients with ten tokens and very different demand, through the real program, before three
 * upstreams with max_parallel=4 whose provider answers 429 above that; and one client alone beside them.
 *
 * Usage: deno task fair [--seconds 10]. Ends with 1 when a client saw an error, when the order is not fair (Jain's index of
 * the answers by token below 0.95), or when somebody starved.
 *
 * @see https://arxiv.org/abs/cs/9809099 Jain, Chiu and Hawe, 1984
 */
import { eventually, Router, runProgram } from "../tests/support/router.ts";

/** Clients of each token: every one of them alone asks for more than its share. */
const DEMAND = [8, 8, 9, 10, 12, 15, 20, 28, 40, 50];
const KEYS = 3;
const PARALLEL = 4;
const SERVICE_MS = 50;
const SECOND_MS = 1_000;
const MIN_INDEX = 0.95;

interface Answer {
  readonly token: string;
  readonly status: number;
  readonly ms: number;
  readonly atMs: number;
}

/** Takes so many requests at once for each key, and refuses more. */
class Provider {
  readonly #open = new Map<string, number>();
  refused = 0;

  readonly answer = async (request: Request): Promise<Response> => {
    const key = request.headers.get("authorization") ?? "";
    await request.text();
    const open = (this.#open.get(key) ?? 0) + 1;
    if (open > PARALLEL) {
      this.refused++;
      return Response.json({ error: { message: "too many", code: "rate_limit_exceeded" } }, { status: 429 });
    }
    this.#open.set(key, open);
    await new Promise((resolve) => setTimeout(resolve, SERVICE_MS));
    this.#open.set(key, (this.#open.get(key) ?? 1) - 1);
    const message = { role: "assistant", content: "hi" };
    return Response.json({
      object: "chat.completion",
      choices: [{ index: 0, message, finish_reason: "stop" }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    });
  };
}

async function main(): Promise<number> {
  const [flag, value] = Deno.args;
  const seconds = flag === "--seconds" ? Number(value) : 10;
  const provider = new Provider();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, provider.answer);
  const endpoint = `http://127.0.0.1:${server.addr.port}/v1`;
  await using router = await Router.start({
    upstreams: Array.from({ length: KEYS }, (_, at) => ({
      endpoint,
      sk: `sk-fair-0123456789-${at}`,
      name: `key ${at + 1}`,
      columns: { max_parallel: String(PARALLEL) },
    })),
    args: ["--queue-timeout", "60", "--log-level", "warning"],
  });
  const tokens = await Promise.all([...DEMAND, 1].map((_, at) => addToken(router, `t${at}`)));
  const until = performance.now() + seconds * SECOND_MS;
  const answers: Answer[] = [];
  const clients = [...DEMAND, 1].flatMap((count, at) =>
    Array.from(
      { length: count },
      () => ask(router, { name: `t${at}`, secret: tokens[at] ?? "" }, until, answers),
    )
  );
  await Promise.all(clients);
  return report(answers, { provider, until, isLongEnough: seconds >= 3 });
}

async function addToken(router: Router, name: string): Promise<string> {
  const secret = `fair-token-${name}-${crypto.randomUUID()}`;
  const { code, stderr } = await runProgram(["token", "add", name, "--value", "-"], {
    cwd: router.directory,
    stdin: secret,
  });
  if (code !== 0) throw new Error(stderr);
  await eventually(async () => {
    const response = await router.fetch("/models", { headers: { authorization: `Bearer ${secret}` } });
    await response.body?.cancel();
    return response.status === 403 ? null : true;
  }, `the token ${name}`);
  return secret;
}

async function ask(
  router: Router,
  { name, secret }: { readonly name: string; readonly secret: string },
  until: number,
  answers: Answer[],
): Promise<void> {
  for (let atMs = performance.now(); atMs < until; atMs = performance.now()) {
    const response = await router.chat({}, { headers: { authorization: `Bearer ${secret}` } });
    await response.text();
    answers.push({
      token: name,
      status: response.status,
      ms: performance.now() - atMs,
      atMs: performance.now(),
    });
  }
}

function report(
  all: readonly Answer[],
  { provider, until, isLongEnough }: {
    readonly provider: Provider;
    readonly until: number;
    readonly isLongEnough: boolean;
  },
): number {
  // From the first second on everybody waits; after the end, only those with much demand are left.
  const beginMs = Math.min(...all.map(({ atMs, ms }) => atMs - ms)) + SECOND_MS;
  const answers = all.filter(({ atMs }) => atMs >= beginMs && atMs <= until);
  console.log("token  clients  answers  p50 ms  p99 ms  longest ms");
  const counts: number[] = [];
  let hasStarved = false;
  [...DEMAND, 1].forEach((clients, at) => {
    const own = answers.filter(({ token }) => token === `t${at}`);
    const times = own.map(({ ms }) => ms).sort((a, b) => a - b);
    if (at < DEMAND.length) counts.push(own.length);
    hasStarved ||= own.length < clients;
    const columns = [
      clients,
      own.length,
      ...[0.5, 0.99, 1].map((share) => Math.round(quantile(times, share))),
    ];
    console.log(`t${at}`.padEnd(5) + columns.map((each) => String(each).padStart(9)).join(""));
  });
  const errors = all.filter(({ status }) => status !== 200).length;
  const index = jain(counts);
  const waits = answers.map(({ ms }) => ms - SERVICE_MS).sort((a, b) => a - b);
  console.log(
    `answers a second: ${Math.round(answers.length / (until - beginMs) * SECOND_MS)} of at most ` +
      `${KEYS * PARALLEL * SECOND_MS / SERVICE_MS}; wait p50 ${Math.round(quantile(waits, 0.5))} ms, ` +
      `p99 ${Math.round(quantile(waits, 0.99))} ms`,
  );
  console.log(
    `Jain's index ${
      index.toFixed(4)
    }; clients saw ${errors} errors; the provider refused ${provider.refused}`,
  );
  const isFair = index >= MIN_INDEX || !isLongEnough;
  return errors === 0 && provider.refused === 0 && isFair && !hasStarved ? 0 : 1;
}

/** 1: all the same; 1/n: one has everything. */
function jain(values: readonly number[]): number {
  const sum = values.reduce((total, each) => total + each, 0);
  const squares = values.reduce((total, each) => total + each * each, 0);
  return squares === 0 ? 0 : sum * sum / (values.length * squares);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

Deno.exit(await main());
