/**
 * Runs the real program as a process of its own, in a folder of its own, and talks to it from outside.
 *
 * With `OAR_EXECUTABLE` set, that executable is run instead of the source.
 */
import { DatabaseSync } from "node:sqlite";

const root = new URL("../../", import.meta.url).pathname;

/** The command and leading arguments that start the program. */
export function programCommand(): { command: string; args: string[] } {
  const executable = Deno.env.get("OAR_EXECUTABLE");
  if (executable) return { command: executable, args: [] };
  return { command: Deno.execPath(), args: ["run", "-A", "--no-check", `${root}main.ts`] };
}

/** Runs one command until it exits. */
export async function runProgram(
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string>; stdin?: string },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { command, args: leading } = programCommand();
  const child = new Deno.Command(command, {
    args: [...leading, ...args],
    cwd: options.cwd,
    env: { NO_COLOR: "1", OAR_EXECUTABLE: "", ...options.env },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

export interface RouterOptions {
  readonly upstreams?: readonly {
    readonly sk?: string;
    readonly endpoint: string;
    readonly name?: string;
    /** Seconds. */
    readonly timeout?: number;
    readonly allow?: string;
    readonly deny?: string;
    /** JSON. */
    readonly modelMap?: string;
    readonly authStyle?: string;
    /** Further columns of its row. */
    readonly columns?: Readonly<Record<string, string | number>>;
  }[];
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** Default: `test-token-0123456789`. */
  readonly token?: string;
  /** The value of the `authorization` column as a person might write it; default: the token. */
  readonly authorization?: string;
  /** An existing folder with a database; default: a new one. */
  readonly directory?: string;
}

export const TEST_TOKEN = "test-token-0123456789";

/** A running router. Disposing sends SIGTERM and expects exit code 0. */
export class Router implements AsyncDisposable {
  readonly directory: string;
  readonly token: string;
  readonly #child: Deno.ChildProcess;
  readonly #isOwnDirectory: boolean;
  readonly #output: Promise<void>[];
  /** Its standard output and standard error so far. */
  text = "";
  #port = 0;
  #listening = Promise.withResolvers<void>();
  #isOver = false;

  private constructor(directory: string, options: RouterOptions) {
    this.directory = directory;
    this.#isOwnDirectory = options.directory === undefined;
    this.token = options.token ?? TEST_TOKEN;
    const { command, args } = programCommand();
    this.#child = new Deno.Command(command, {
      args: [...args, "serve", "--addr", "127.0.0.1:0", ...(options.args ?? [])],
      cwd: directory,
      // Upstreams count what they are asked, so the server asks nothing by itself unless a test wants it. They send usage
      // whether they are asked or not, and most tests compare all bytes.
      env: { NO_COLOR: "1", OAR_EXECUTABLE: "", OAR_MODELS: "first", OAR_USAGE: "never", ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output = [this.#collect(this.#child.stdout), this.#collect(this.#child.stderr)];
    void Promise.all(this.#output).then(() => {
      this.#listening.reject(new Error(`the router did not start:\n${this.text}`));
    });
  }

  /** Prepares the database, starts the program, and waits until it listens. */
  static async start(options: RouterOptions = {}): Promise<Router> {
    const directory = options.directory ?? await Deno.makeTempDir({ prefix: "oar-test-" });
    if (options.directory === undefined) {
      await runProgram(["token", "set", options.token ?? TEST_TOKEN], { cwd: directory });
      const db = new DatabaseSync(`${directory}/db.sqlite`);
      try {
        if (options.authorization !== undefined) {
          db.prepare("UPDATE config_kvs SET value = ? WHERE key = 'authorization'").run(
            options.authorization,
          );
        }
        const insert = db.prepare(
          "INSERT INTO openai_upstreams(sk, endpoint, name, timeout, allow, auth_style, deny, model_map) " +
            "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        );
        for (const upstream of options.upstreams ?? []) {
          const { sk, endpoint, name, timeout, allow, authStyle, deny, modelMap, columns = {} } = upstream;
          const { lastInsertRowid } = insert.run(
            sk ?? `sk-test-${crypto.randomUUID()}`,
            endpoint,
            name ?? null,
            timeout ?? null,
            allow ?? null,
            authStyle ?? null,
            deny ?? null,
            modelMap ?? null,
          );
          for (const [column, value] of Object.entries(columns)) {
            db.prepare(`UPDATE openai_upstreams SET ${column} = ? WHERE id = ?`).run(value, lastInsertRowid);
          }
        }
      } finally {
        db.close();
      }
    }
    const router = new Router(directory, options);
    await router.#listening.promise;
    return router;
  }

  /** Base URL for clients. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** `fetch` with the router's token. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${this.token}`);
    return fetch(`${this.url}${path}`, { ...init, headers });
  }

  /** A chat request; `stream` as given. */
  chat(body: Record<string, unknown> = {}, init: RequestInit = {}): Promise<Response> {
    return this.fetch("/chat/completions", {
      method: "POST",
      ...init,
      body: JSON.stringify({ model: "test-model", messages: [{ role: "user", content: "hi" }], ...body }),
    });
  }

  /** Rows of a query on the router's database, through a separate connection. */
  query(sql: string, ...params: (string | number)[]): Record<string, unknown>[] {
    const db = new DatabaseSync(`${this.directory}/db.sqlite`, { readOnly: true });
    try {
      return db.prepare(sql).all(...params);
    } finally {
      db.close();
    }
  }

  execute(sql: string, ...params: (string | number | null)[]): void {
    const db = new DatabaseSync(`${this.directory}/db.sqlite`);
    try {
      db.exec("PRAGMA busy_timeout = 5000");
      db.prepare(sql).run(...params);
    } finally {
      db.close();
    }
  }

  /** The settled records, oldest first. */
  records(): Record<string, unknown>[] {
    return this.query("SELECT * FROM records WHERE outcome <> 'in_flight' ORDER BY id");
  }

  attempts(recordId: unknown): Record<string, unknown>[] {
    return this.query("SELECT * FROM attempts WHERE record_id = ? ORDER BY n", Number(recordId));
  }

  /** Waits for this number of settled records. */
  async recorded(count: number): Promise<Record<string, unknown>[]> {
    return await eventually(() => {
      const records = this.records();
      return records.length >= count ? records : null;
    }, `${count} records`);
  }

  /** The settled record of one response. */
  async recordOf(response: Response): Promise<Record<string, unknown>> {
    const requestId = response.headers.get("x-oar-request-id") ?? "";
    return await eventually(() => {
      const sql = "SELECT * FROM records WHERE request_id = ? AND outcome <> 'in_flight'";
      return this.query(sql, requestId)[0] ?? null;
    }, `the record of ${requestId}`);
  }

  /** One sample of the metrics, 0 when there is none. `labels` as in the exposition, without the prefix. */
  async metric(sample: string): Promise<number> {
    const line = (await this.metrics()).split("\n").find((each) =>
      each.startsWith(`openai_api_route_${sample} `)
    );
    return Number(line?.split(" ").at(-1) ?? 0);
  }

  async metrics(): Promise<string> {
    return await (await this.fetch("/metrics")).text();
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Resolves with the exit code. */
  async exited(): Promise<number> {
    const { code } = await this.#child.status;
    await Promise.all(this.#output);
    this.#isOver = true;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) {
      this.#child.kill("SIGTERM");
      const code = await this.exited();
      if (code !== 0) throw new Error(`the router ended with ${code}:\n${this.text}`);
    }
    if (this.#isOwnDirectory) await Deno.remove(this.directory, { recursive: true });
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      const port = /listening on http:\/\/\S+:(\d+)\/v1/.exec(this.text)?.[1];
      if (port !== undefined && this.#port === 0) {
        this.#port = Number(port);
        this.#listening.resolve();
      }
    }
  }
}

/** Longer than a busy machine takes for anything that a test waits for, the check of a thread's types included. */
const LIMIT_MS = 30_000;

/** Polls until the answer is not null; fails after half a minute. */
export async function eventually<T>(ask: () => T | null | Promise<T | null>, what: string): Promise<T> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
