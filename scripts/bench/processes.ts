/**
 * The processes of a benchmark: starts them, keeps their output, and ends each of them.
 */
import { childCpuMsOf, processTree } from "./measure/proc_stat.ts";

const STOP_LIMIT_MS = 5_000;
const POLL_MS = 5;

export interface Launch {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The only core that it may use; absent or null: any. */
  readonly core?: number | null;
}

export interface Finished {
  readonly stdout: string;
  /** Used by the process, user and system. */
  readonly cpuMs: number;
}

/** A failure that the user can do something about. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}

export class Service {
  readonly name: string;
  readonly log: string;
  /** By `performance.now()`. */
  readonly startedAtMs = performance.now();
  readonly #child: Deno.ChildProcess;
  #isOver = false;

  constructor(name: string, log: string, child: Deno.ChildProcess) {
    this.name = name;
    this.log = log;
    this.#child = child;
    void child.status.then(() => this.#isOver = true);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The process and its descendants. */
  get pids(): readonly number[] {
    return processTree(this.#child.pid);
  }

  /** Its output. */
  async output(): Promise<string> {
    return await Deno.readTextFile(this.log).catch(() => "");
  }

  async stop(): Promise<void> {
    if (this.#isOver) return;
    const pids = this.pids;
    signalAll(pids, "SIGTERM");
    const limit = setTimeout(() => signalAll(pids, "SIGKILL"), STOP_LIMIT_MS);
    try {
      await this.#child.status;
    } finally {
      clearTimeout(limit);
    }
  }
}

export class Processes implements AsyncDisposable {
  readonly #directory: string;
  readonly #services = new Set<Service>();
  #count = 0;
  #isClosed = false;

  /** @param directory where outputs go */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Starts a process that runs until it is stopped; its output goes to a file. */
  start(launch: Launch): Service {
    const log = `${this.#directory}/${++this.#count}-${launch.name}.log`;
    // `exec` replaces the shell by the program, so that the started process is the measured one.
    const child = this.#spawn(launch, `exec "$@" >"$BENCH_LOG" 2>&1`, { BENCH_LOG: log }, "null");
    const service = new Service(launch.name, log, child);
    this.#services.add(service);
    return service;
  }

  /** Stops it and forgets it. */
  async stop(service: Service): Promise<void> {
    await service.stop();
    this.#services.delete(service);
  }

  /**
   * Runs a program to its end.
   * @throws {BenchError} when it fails or takes longer than the limit
   */
  async run(launch: Launch, limitMs: number): Promise<Finished> {
    const child = this.#spawn(launch, `"$@"; code=$?; times >&2; exit $code`, {}, "piped");
    const service = new Service(launch.name, "", child);
    this.#services.add(service);
    let isLate = false;
    const limit = setTimeout(() => {
      isLate = true;
      void service.stop();
    }, limitMs);
    try {
      const { success, stdout, stderr } = await child.output();
      const said = new TextDecoder().decode(stderr);
      if (isLate) throw new BenchError(`${launch.name} was stopped: it took more than ${limitMs / 1_000} s`);
      if (!success) throw new BenchError(`${launch.name} failed:\n${said}`);
      return { stdout: new TextDecoder().decode(stdout), cpuMs: childCpuMsOf(said) };
    } finally {
      clearTimeout(limit);
      this.#services.delete(service);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#services].map((service) => service.stop()));
  }

  #spawn(
    { command, args, env = {}, core = null }: Launch,
    script: string,
    extra: Readonly<Record<string, string>>,
    output: "null" | "piped",
  ): Deno.ChildProcess {
    if (this.#isClosed) throw new BenchError("the benchmark is over");
    const pinned = core === null ? [] : ["taskset", "-c", String(core)];
    return new Deno.Command("/bin/sh", {
      // Thousands of streams need more file descriptors than the default limit of shells.
      args: ["-c", `ulimit -n "$(ulimit -Hn)"; ${script}`, "bench", ...pinned, command, ...args],
      env: { ...cleanEnvironment(), ...env, ...extra },
      clearEnv: true,
      stdin: "null",
      stdout: output,
      stderr: output,
    }).spawn();
  }
}

/** Polls until the answer is not null. @throws {BenchError} after the limit, or if `service` ends */
export async function untilReady<T>(
  service: Service,
  ask: () => Promise<T | null>,
  limitMs = 30_000,
): Promise<T> {
  const deadlineMs = performance.now() + limitMs;
  while (!service.isOver && performance.now() < deadlineMs) {
    const answer = await ask();
    if (answer !== null) return answer;
    await pause(POLL_MS);
  }
  const why = service.isOver ? "ended" : `did not get ready within ${limitMs / 1_000} s`;
  throw new BenchError(`${service.name} ${why}; it printed:\n${await service.output()}`);
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** A port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

export async function isListening(port: number): Promise<boolean> {
  try {
    using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return true;
  } catch {
    return false;
  }
}

/** The path of a program; null when there is none. */
export async function findProgram(name: string): Promise<string | null> {
  const script = `PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1"`;
  const { success, stdout } = await new Deno.Command("/bin/sh", { args: ["-c", script, "sh", name] })
    .output();
  return success ? new TextDecoder().decode(stdout).trim() : null;
}

/** The caller's environment without settings of the router, and without HTTP proxies. */
function cleanEnvironment(): Record<string, string> {
  const unwanted = /^(OAR_|FEISHU_|MATRIX_|ALERT_)|_proxy$/i;
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => !unwanted.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
}

function signalAll(pids: readonly number[], signal: Deno.Signal): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, signal);
    } catch {
      // It has already ended.
    }
  }
}
