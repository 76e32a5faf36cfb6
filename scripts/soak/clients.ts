/**
 * The clients of the soak: each sends one request after another, checks the answers, and keeps the books that
 * the audit compares with the database.
 */
import { markerOf, type Scenario, SCENARIOS } from "./scenarios.ts";
import { pause, type Upstreams } from "./upstreams.ts";

const MAX_THINK_MS = 800;
const REQUEST_LIMIT_MS = 90_000;
const DAWDLE_BYTES = 32 * 1024;
const DAWDLE_MS = 30;
const MAX_FINDINGS = 20;

/** Deviations; the first few are kept, all are counted. */
export class Findings {
  readonly samples: string[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(text: string): void {
    this.#count++;
    if (this.samples.length < MAX_FINDINGS) this.samples.push(text);
  }
}

export interface Sent {
  readonly scenario: Scenario;
  /** From `x-oar-request-id`; null when the client saw no headers. */
  requestId: string | null;
}

/** What was sent, by marker, and the result as the client saw it. */
export class Books {
  readonly sent = new Map<string, Sent>();
  readonly wrong = new Map<Scenario, Findings>(SCENARIOS.map((each) => [each, new Findings()]));

  open(scenario: Scenario): { readonly marker: string; readonly entry: Sent } {
    const marker = markerOf(scenario, this.sent.size);
    const entry: Sent = { scenario, requestId: null };
    this.sent.set(marker, entry);
    return { marker, entry };
  }
}

export interface LoadOptions {
  readonly port: number;
  readonly token: string;
  readonly clients: number;
  readonly choose: () => Scenario;
  readonly upstreams: Upstreams;
  readonly books: Books;
  /** Makes each client stop after its current request. */
  readonly stop: AbortSignal;
}

/** Runs all clients until the signal fires. */
export async function runClients(options: LoadOptions): Promise<void> {
  using http = Deno.createHttpClient({ http1: true, http2: false, poolMaxIdlePerHost: options.clients });
  await Promise.all(Array.from({ length: options.clients }, async () => {
    const client = new Client(options, http);
    await pause(Math.random() * MAX_THINK_MS, options.stop);
    while (!options.stop.aborted) {
      await client.ask(options.choose());
      await pause(Math.random() * MAX_THINK_MS, options.stop);
    }
  }));
}

interface Seen {
  readonly status: number | null;
  readonly isWhole: boolean;
  readonly text: string;
}

class Client {
  readonly #options: LoadOptions;
  readonly #http: Deno.HttpClient;

  constructor(options: LoadOptions, http: Deno.HttpClient) {
    this.#options = options;
    this.#http = http;
  }

  async ask(scenario: Scenario): Promise<void> {
    const { books } = this.#options;
    const { marker, entry } = books.open(scenario);
    let problem: string | null;
    try {
      problem = judge(scenario, marker, await this.#exchange(scenario, marker, entry));
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (problem !== null) books.wrong.get(scenario)?.add(`${marker}: ${problem}`);
  }

  async #exchange(scenario: Scenario, marker: string, entry: Sent): Promise<Seen> {
    if (scenario.departure === "uploading") return await this.#leaveUploading(scenario, marker);
    const { port, token, upstreams } = this.#options;
    const { method, path, body } = scenario.question(marker);
    const leave = new AbortController();
    const limit = setTimeout(
      () => leave.abort(new Error(`no end within ${REQUEST_LIMIT_MS / 1000} s`)),
      REQUEST_LIMIT_MS,
    );
    if (scenario.departure === "before_headers") {
      void upstreams.arrived(marker).then(() => leave.abort(new Departed()));
    }
    try {
      const response = await fetch(`http://127.0.0.1:${port}/v1${path}`, {
        method,
        body,
        headers: {
          "authorization": `Bearer ${scenario.hasToken ? token : "wrong"}`,
          "content-type": "application/json",
          "user-agent": marker,
        },
        signal: leave.signal,
        client: this.#http,
      });
      entry.requestId = response.headers.get("x-oar-request-id");
      return await read(response, scenario.departure, () => leave.abort(new Departed()));
    } catch (error) {
      if (error instanceof Departed) return { status: null, isWhole: false, text: "" };
      throw error;
    } finally {
      clearTimeout(limit);
      upstreams.forget(marker);
    }
  }

  /** Over a raw socket: `fetch` cannot stop in the middle of a declared body. */
  async #leaveUploading(scenario: Scenario, marker: string): Promise<Seen> {
    const { port, token } = this.#options;
    const { path, body } = scenario.question(marker);
    const half = (body ?? "").slice(0, (body ?? "").length / 2);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const head = [
      `POST /v1${path} HTTP/1.1`,
      "host: 127.0.0.1",
      `authorization: Bearer ${token}`,
      `user-agent: ${marker}`,
      "content-type: application/json",
      `content-length: ${(body ?? "").length}`,
    ];
    const bytes = new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${half}`);
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    return { status: null, isWhole: false, text: "" };
  }
}

class Departed extends Error {
  override readonly name = "Departed";
}

async function read(response: Response, departure: Scenario["departure"], leave: () => void): Promise<Seen> {
  const { status } = response;
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let isWhole = true;
  let sinceBreakBytes = 0;
  try {
    for await (const bytes of response.body ?? []) {
      parts.push(decoder.decode(bytes, { stream: true }));
      if (departure === "midway") leave();
      sinceBreakBytes += bytes.length;
      if (departure !== "dawdles" || sinceBreakBytes < DAWDLE_BYTES) continue;
      sinceBreakBytes = 0;
      await pause(DAWDLE_MS);
    }
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("no end within")) throw error;
    isWhole = false;
  }
  return { status: departure === "midway" ? null : status, isWhole, text: parts.join("") };
}

/** What is wrong with the result as the client saw it; null for nothing. */
function judge(scenario: Scenario, marker: string, seen: Seen): string | null {
  const { expected } = scenario;
  if (seen.status !== expected.status) {
    return `status ${seen.status} instead of ${expected.status}: ${seen.text.slice(0, 200)}`;
  }
  if (seen.isWhole !== expected.isWhole) return `${seen.isWhole ? "whole" : "cut"}, which it should not be`;
  const reply = scenario.reply(marker);
  const isRelayed = reply !== null && (expected.status === null || expected.status === reply.status);
  if (!isRelayed) return null;
  const text = reply.parts.join("");
  const isRight = seen.isWhole ? seen.text === text : text.startsWith(seen.text);
  return isRight ? null : `${seen.text.length} characters that the upstream did not say like this`;
}
