/**
 * Runs the real router under mixed traffic with faults, and checks that it does not degrade:
 * `deno task soak --minutes 10 [--clients 200] [--executable FILE] [--only "SCENARIO,…"]`.
 *
 * Owns the course of a run; everything it starts is on 127.0.0.1, bounded, and stopped at the end. Needs
 * Linux, for /proc.
 */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { audit, unsettledCount } from "./soak/audit.ts";
import { Books, runClients } from "./soak/clients.ts";
import { printChecks, printScenarios, printTimeline } from "./soak/report.ts";
import { editTables, RouterProcess, TOKEN } from "./soak/router_process.ts";
import { type Sample, Sampler } from "./soak/sampler.ts";
import { type Scenario, SCENARIOS, usualScenario } from "./soak/scenarios.ts";
import { pause, Upstreams } from "./soak/upstreams.ts";
import { judge, type Run } from "./soak/verdict.ts";

/** How long requests may continue after the clients have stopped. */
const SETTLE_LIMIT_MS = 30_000;
/** The router keeps idle connections for a minute. */
const SOCKETS_LIMIT_MS = 75_000;
/** In addition to the run itself: start, quiet phase, audit, stop. */
const OVERHEAD_LIMIT_MS = 6 * 60_000;
const POLL_MS = 200;

interface Options {
  readonly minutes: number;
  readonly clients: number;
  readonly executable?: string;
  readonly only?: readonly Scenario[];
}

/** Ends a run early. */
class SoakError extends Error {
  override readonly name = "SoakError";
}

/** @returns whether all checks passed */
async function soak(options: Options, interrupt: AbortSignal): Promise<boolean> {
  const directory = await Deno.makeTempDir({ prefix: "openai-api-route-soak-" });
  try {
    const run = await execute(options, { directory, interrupt });
    printTimeline(run.samples);
    printScenarios(run.books, run.audit);
    return printChecks(judge(run));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function execute(
  options: Options,
  { directory, interrupt }: { readonly directory: string; readonly interrupt: AbortSignal },
): Promise<Run> {
  await using upstreams = new Upstreams();
  await using router = await RouterProcess.start({
    directory,
    executable: options.executable ?? null,
    upstreams: upstreams.rows,
    webhook: upstreams.webhook,
  });
  console.log(`router ${router.pid}, ${options.clients} clients, ${options.minutes} minutes`);
  const books = new Books();
  const sampler = new Sampler(router, books);
  const parts = { upstreams, router, books, sampler };
  const before = await sampler.sample();
  await load(parts, options, interrupt);
  if (interrupt.aborted) throw new SoakError(String(interrupt.reason));
  if (router.exitCode !== null) {
    throw new SoakError(`the router ended with ${router.exitCode}:\n${router.errorLines.join("\n")}`);
  }
  const { open, after } = await settle(parts, before);
  const metrics = await router.metrics();
  if (metrics === null) throw new SoakError("the router does not answer any more");
  const exitCode = await router.stop();
  const { wrongBodies, alertCount } = upstreams;
  return {
    books,
    samples: sampler.samples,
    before,
    after,
    metrics,
    upstreams: { open, wrongBodies, alertCount },
    audit: audit(router.database, books),
    errorLines: router.errorLines,
    exitCode,
  };
}

interface Parts {
  readonly upstreams: Upstreams;
  readonly router: RouterProcess;
  readonly books: Books;
  readonly sampler: Sampler;
}

/** Clients, samples and edits until the time is up, the router has ended or the run is interrupted. */
async function load(
  { upstreams, router, books, sampler }: Parts,
  options: Options,
  interrupt: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const end = () => stop.abort();
  const timer = setTimeout(end, options.minutes * 60_000);
  interrupt.addEventListener("abort", end, { once: true });
  void router.ended.then(end);
  try {
    await Promise.all([
      runClients({
        port: router.port,
        token: TOKEN,
        clients: options.clients,
        choose: options.only === undefined ? usualScenario : evenly(options.only),
        upstreams,
        books,
        stop: stop.signal,
      }),
      sampler.run(stop.signal),
      editTables(router.database, stop.signal),
    ]);
  } finally {
    clearTimeout(timer);
    interrupt.removeEventListener("abort", end);
    end();
  }
}

/** Waits until no request is under way and the idle connections are closed; what then remains is judged. */
async function settle(
  { upstreams, router, sampler }: Parts,
  before: Sample,
): Promise<{ open: Upstreams["open"]; after: Sample }> {
  await eventually(async () => {
    const { inFlight } = await sampler.sample();
    return inFlight === 0 && upstreams.open.length === 0 && unsettledCount(router.database) === 0;
  }, SETTLE_LIMIT_MS);
  const { open } = upstreams;
  await upstreams.close();
  let after = await sampler.sample();
  await eventually(async () => {
    after = await sampler.sample();
    return after.sockets <= before.sockets;
  }, SOCKETS_LIMIT_MS);
  return { open, after };
}

/** Polls until the answer is yes or the time is up; what is then missing shows in the checks. */
async function eventually(ask: () => Promise<boolean>, limitMs: number): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!await ask() && performance.now() < deadlineMs) await pause(POLL_MS);
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("a number above 0 is expected");
  return value;
}

function scenariosOf(text: string): Scenario[] {
  return text.split(",").map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name.trim());
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`the scenarios are: ${SCENARIOS.map((each) => each.name).join(", ")}`);
  });
}

function evenly(scenarios: readonly Scenario[]): () => Scenario {
  let turn = 0;
  return () => {
    const scenario = scenarios[turn++ % scenarios.length];
    if (scenario === undefined) throw new RangeError("no scenario to choose from");
    return scenario;
  };
}

function parse(args: readonly string[]): Options {
  return new Command("soak")
    .description("runs the router under mixed traffic with faults, and checks that it stays as it was")
    .requiredOption("--minutes <number>", "how long clients ask", positive)
    .option("--clients <number>", "how many ask at once", positive, 200)
    .option("--executable <file>", "a compiled router to run instead of the source")
    .option(
      "--only <names>",
      "scenarios to run, separated by commas, to find out which one is to blame",
      scenariosOf,
    )
    .exitOverride()
    .parse(args, { from: "user" })
    .opts<Options>();
}

async function run(args: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = parse(args);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  // Suppresses a warning of Deno about a default that does not matter here.
  console.warn = () => {};
  // The caller's HTTP proxy must not come between the parts.
  Deno.env.set("NO_PROXY", "127.0.0.1");
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort("interrupted");
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  // Without this, an uncaught error in a simulated part would leave the router running.
  for (const type of ["error", "unhandledrejection"]) {
    globalThis.addEventListener(type, (event) => {
      event.preventDefault();
      const cause: unknown = event instanceof PromiseRejectionEvent
        ? event.reason
        : event instanceof ErrorEvent
        ? event.error
        : event;
      interrupt.abort(cause instanceof Error ? cause.stack : cause);
    });
  }
  const limit = setTimeout(
    () => interrupt.abort("it did not end in time"),
    options.minutes * 60_000 + OVERHEAD_LIMIT_MS,
  );
  try {
    return await soak(options, interrupt.signal) ? 0 : 1;
  } catch (error) {
    console.error(error instanceof SoakError ? error.message : error);
    return 1;
  } finally {
    clearTimeout(limit);
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args));
