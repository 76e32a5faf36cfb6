/**
 * The executable as downloaded: alone in an empty folder, with an empty environment, no home and no PATH, and
 * thus neither Deno nor Node.
 */
import assert from "node:assert/strict";

const root = new URL("../../", import.meta.url).pathname;

export const EXECUTABLE = Deno.env.get("OAR_EXECUTABLE") ?? `${root}dist/openai-api-route`;

const isThere = await Deno.stat(EXECUTABLE).then(({ isFile }) => isFile, () => false);

/** Whether to skip these tests: there is no executable, and it is not required here. */
export const isExecutableMissing = !isThere && Deno.env.get("CI") !== "true";

if (isExecutableMissing) console.log(`no executable at ${EXECUTABLE}: build it first, by deno task build`);

/** The output of a command. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Installation implements AsyncDisposable {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Installation> {
    const installation = new Installation(await Deno.makeTempDir({ prefix: "oar-e2e-" }));
    await Deno.copyFile(EXECUTABLE, installation.executable);
    return installation;
  }

  get executable(): string {
    return `${this.directory}/openai-api-route`;
  }

  /** Runs one command until it exits. */
  async run(
    args: readonly string[],
    options: { readonly stdin?: string; readonly env?: Record<string, string> } = {},
  ): Promise<Finished> {
    const child = new Deno.Command(this.executable, {
      ...this.#surroundings(options.env),
      args: [...args],
      stdin: options.stdin === undefined ? "null" : "piped",
    }).spawn();
    if (options.stdin !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(options.stdin));
      await writer.close();
    }
    const { code, stdout, stderr } = await child.output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }

  /** Runs one command that must succeed; returns its standard output. */
  async succeed(args: readonly string[], options: { readonly stdin?: string } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Starts the server on a free port and waits until it listens. `through` is a wrapper command. */
  async start(options: {
    readonly args?: readonly string[];
    readonly env?: Record<string, string>;
    readonly through?: readonly string[];
  } = {}): Promise<Server> {
    const { args = ["--addr", "127.0.0.1:0"], through = [] } = options;
    const [command = "", ...leading] = [...through, this.executable];
    const child = new Deno.Command(command, {
      ...this.#surroundings(options.env),
      args: [...leading, ...args],
      stdin: "null",
    }).spawn();
    const server = new Server(child);
    await server.listening;
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }

  #surroundings(env: Record<string, string> = {}) {
    return { cwd: this.directory, clearEnv: true, env, stdout: "piped", stderr: "piped" } as const;
  }
}

/** A running server. Disposing sends SIGTERM and expects exit code 0. */
export class Server implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: readonly Promise<void>[];
  readonly #listening = Promise.withResolvers<void>();
  #isOver = false;
  #port = 0;
  /** Its standard output and standard error so far. */
  text = "";

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#output = [this.#collect(child.stdout), this.#collect(child.stderr)];
    void Promise.all(this.#output).then(() => {
      this.#listening.reject(new Error(`the server did not start:\n${this.text}`));
    });
  }

  get listening(): Promise<void> {
    return this.#listening.promise;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Base URL for clients. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1`;
  }

  chat(token: string, body: Record<string, unknown> = {}): Promise<Response> {
    return fetch(`${this.url}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ model: "test-model", messages: [{ role: "user", content: "hi" }], ...body }),
    });
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.url}/metrics`)).text();
  }

  /** Sends a signal and resolves with the exit code and the signal that ended it. */
  async end(signal: Deno.Signal): Promise<{ code: number; signal: Deno.Signal | null }> {
    this.#child.kill(signal);
    return await this.ended();
  }

  async ended(): Promise<{ code: number; signal: Deno.Signal | null }> {
    const { code, signal } = await this.#child.status;
    await Promise.all(this.#output);
    this.#isOver = true;
    return { code, signal };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    const { code } = await this.end("SIGTERM");
    assert.equal(code, 0, this.text);
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      const port = /listening on http:\/\/\S+?:(\d+)\/v1/.exec(this.text)?.[1];
      if (port !== undefined && this.#port === 0) {
        this.#port = Number(port);
        this.#listening.resolve();
      }
    }
  }
}
