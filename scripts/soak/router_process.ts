/**
 * The real router as a process of its own: starts it over a database that it prepares, watches it through
 * /proc and its metrics, and ends it.
 */
import { DatabaseSync } from "node:sqlite";
import { ROUTER_FLAGS } from "./scenarios.ts";
import { pause, type UpstreamRow } from "./upstreams.ts";

const main = new URL("../../main.ts", import.meta.url).pathname;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;
const SCRAPE_LIMIT_MS = 10_000;
const MAX_KEPT_LINES = 20;

export const TOKEN = "soak-token-0123456789";

export interface RouterOptions {
  readonly directory: string;
  /** A compiled router; null: from source. */
  readonly executable: string | null;
  readonly upstreams: readonly UpstreamRow[];
  /** Where alerts go. */
  readonly webhook: string;
}

/** Memory in KiB as proc_pid_status(5) has it. */
export interface Memory {
  readonly rss: number;
  readonly anon: number;
}

export class RouterProcess implements AsyncDisposable {
  readonly database: string;
  /** The first lines of the log at level error. */
  readonly errorLines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<unknown>;
  readonly #listening = Promise.withResolvers<number>();
  #port = 0;
  #exitCode: number | null = null;

  private constructor(options: RouterOptions) {
    this.database = `${options.directory}/db.sqlite`;
    this.#child = program(options, [
      "serve",
      ...["--addr", "127.0.0.1:0", "--database", this.database, "--log-format", "json"],
      // The upstreams count what they are asked, and the scenarios ask them for their models.
      ...["--models", "first"],
      // They compare each body with what the client sent.
      ...["--usage", "never"],
      ...ROUTER_FLAGS,
    ]).spawn();
    this.#listening.promise.catch(() => {});
    this.#output = Promise.all([
      eachLine(this.#child.stdout, (line) => this.#noteOutput(line)),
      eachLine(this.#child.stderr, (line) => {
        if (!isAlarming(line)) return;
        if (this.errorLines.length < MAX_KEPT_LINES) this.errorLines.push(line);
      }),
      this.#child.status.then(({ code }) => this.#exitCode = code),
    ]).finally(() => {
      this.#listening.reject(
        new Error(`the router ended before it listened:\n${this.errorLines.join("\n")}`),
      );
    });
  }

  /** Makes the database and starts the router; resolves when it listens. */
  static async start(options: RouterOptions): Promise<RouterProcess> {
    const path = `${options.directory}/db.sqlite`;
    const made = await program(options, ["token", "set", TOKEN, "--database", path]).output();
    if (!made.success) throw new Error(new TextDecoder().decode(made.stderr));
    const db = new DatabaseSync(path);
    try {
      const insert = db.prepare(
        "INSERT INTO openai_upstreams(sk, endpoint, name, allow, timeout) VALUES(?, ?, ?, ?, ?)",
      );
      for (const { name, endpoint, allow, timeoutSeconds } of options.upstreams) {
        insert.run(`sk-soak-key-of-${name}`, endpoint, name, allow, timeoutSeconds);
      }
    } finally {
      db.close();
    }
    const router = new RouterProcess(options);
    const limit = setTimeout(() => router.#child.kill("SIGKILL"), START_LIMIT_MS);
    try {
      router.#port = await router.#listening.promise;
    } finally {
      clearTimeout(limit);
    }
    return router;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<unknown> {
    return this.#output;
  }

  /** null while it runs. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  memory(): Memory {
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    const field = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? NaN);
    return { rss: field("VmRSS"), anon: field("RssAnon") };
  }

  /** Open descriptors, sockets and others. */
  descriptors(): { readonly sockets: number; readonly others: number } {
    let sockets = 0;
    let others = 0;
    for (const { name } of Deno.readDirSync(`/proc/${this.pid}/fd`)) {
      if (this.#targetOf(name).startsWith("socket:")) sockets++;
      else others++;
    }
    return { sockets, others };
  }

  /** The sum of a metric's samples, by its name without the prefix; null when the router does not answer. */
  async metrics(): Promise<((name: string) => number) | null> {
    let text: string;
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/v1/metrics`, {
        headers: { connection: "close" },
        signal: AbortSignal.timeout(SCRAPE_LIMIT_MS),
      });
      text = await response.text();
    } catch {
      return null;
    }
    const lines = text.split("\n");
    return (name) =>
      lines.filter((line) => new RegExp(`^openai_api_route_${name}[{ ]`).test(line))
        .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  /** Stops it with SIGTERM, after a time limit with SIGKILL; resolves with the exit code. */
  async stop(): Promise<number> {
    if (this.#exitCode === null) this.#child.kill("SIGTERM");
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), STOP_LIMIT_MS);
    try {
      await this.#output;
      return (await this.#child.status).code;
    } finally {
      clearTimeout(limit);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exitCode === null) this.#child.kill("SIGKILL");
    await this.#output;
  }

  #noteOutput(line: string): void {
    const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port !== undefined) this.#listening.resolve(Number(port));
  }

  #targetOf(descriptor: string): string {
    try {
      return Deno.readLinkSync(`/proc/${this.pid}/fd/${descriptor}`);
    } catch {
      return "";
    }
  }
}

/** Makes a harmless change to the tables every few seconds, as an operator would, until the signal fires. */
export async function editTables(path: string, stop: AbortSignal): Promise<void> {
  for (let weight = 1; !stop.aborted; weight = weight % 9 + 1) {
    const db = new DatabaseSync(path);
    try {
      db.exec("PRAGMA busy_timeout = 5000");
      db.prepare("UPDATE openai_upstreams SET weight = ?").run(weight);
    } finally {
      db.close();
    }
    await pause(3_000, stop);
  }
}

/** The program, without the caller's settings. */
function program(
  { executable, webhook }: Pick<RouterOptions, "executable" | "webhook">,
  args: readonly string[],
): Deno.Command {
  const settings = /^(OAR_|FEISHU_|MATRIX_|ALERT_)/;
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => !settings.test(name));
  return new Deno.Command(executable ?? Deno.execPath(), {
    args: executable === null ? ["run", "-A", "--no-check", main, ...args] : [...args],
    env: { ...Object.fromEntries(own), ALERT_WEBHOOK: webhook, NO_PROXY: "127.0.0.1", NO_COLOR: "1" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  if (rest !== "") take(rest);
}

/**
 * Whether a line is at level error, or not a log line at all; blank ones come from Deno, about broken
 * responses.
 */
function isAlarming(line: string): boolean {
  if (line === "") return false;
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === "object" && entry !== null && "level" in entry && entry.level === "error";
  } catch {
    return true;
  }
}
