/**
 * Measures the latency of `/healthz` while the router handles the worst known inputs, each through the real
 * program and its sockets, compared with an idle router.
 *
 * Usage: deno task worst [--limit-ms 100]. Ends with 1 when an answer took longer than the limit. Bounded:
 * one request of each kind, at most half a minute for each.
 */
import { RawClient } from "../tests/support/raw_client.ts";
import { Router } from "../tests/support/router.ts";

interface Input {
  readonly name: string;
  /** A whole request, in pieces. */
  readonly request: readonly (string | Uint8Array)[];
  /** How long to wait for work that continues after the answer. */
  readonly afterMs: number;
}

const DEFAULT_LIMIT_MS = 100;
const LONGEST_MS = 30_000;
const IDLE_MS = 2_000;
const INDEXING_MS = 2_000;
const PIECE_BYTES = 64 * 1024;
const MIB = 1024 * 1024;

const encoder = new TextEncoder();

async function main(): Promise<number> {
  const [flag, value] = Deno.args;
  const limitMs = flag === "--limit-ms" ? Number(value) : DEFAULT_LIMIT_MS;
  await using upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  const endpoint = `http://127.0.0.1:${upstream.addr.port}/v1`;
  await using router = await Router.start({ upstreams: [{ endpoint }] });
  for (const input of inputs(router).slice(1, 2)) await handled(router.port, input);
  const pinger = new Pinger(router.port);
  const idleMs = await pinger.worstWhile(() => pause(IDLE_MS));
  console.log("input                                             idle ms   busy ms    ratio");
  let worstMs = 0;
  for (const input of inputs(router)) {
    const busyMs = await pinger.worstWhile(() => handled(router.port, input));
    worstMs = Math.max(worstMs, busyMs);
    const columns = [idleMs.toFixed(1), busyMs.toFixed(1), (busyMs / idleMs).toFixed(1)];
    console.log(input.name.padEnd(48) + columns.map((each) => each.padStart(9)).join(""));
  }
  pinger.close();
  console.log(`worst: ${worstMs.toFixed(1)} ms, limit ${limitMs} ms`);
  return worstMs <= limitMs ? 0 : 1;
}

/** The answer of the upstream, which keeps no body, to leave the processor to the router. */
async function answer({ body }: Request): Promise<Response> {
  for await (const _ of body ?? []);
  const message = { role: "assistant", content: "hi" };
  return Response.json({
    object: "chat.completion",
    choices: [{ index: 0, message, finish_reason: "stop" }],
  });
}

function inputs(router: Router): Input[] {
  const host = `localhost:${router.port}`;
  const authorization = `authorization: Bearer ${router.token}\r\n`;
  return [...headInputs(host, authorization), ...bodyInputs(host, authorization)];
}

/** Inputs in the request line and header fields. */
function headInputs(host: string, authorization: string): Input[] {
  const login = (name: string, fields: string, { line = "GET /admin/login", body = "" } = {}): Input => ({
    name,
    request: [head(host, line, `accept: text/html\r\nsec-fetch-site: same-origin\r\n${fields}`), body],
    afterMs: 0,
  });
  const posted = { line: "POST /admin/login", body: "x" };
  const typeWith = (blanks: number): string =>
    `content-type: multipart/form-data; ${" ".repeat(blanks)}x\r\ncontent-length: 1\r\n`;
  return [
    login("login: Accept-Language of 60 KB", `accept-language: en${" ".repeat(60_000)}x\r\n`),
    login("login: Accept-Language of 7 KB", `accept-language: en${" ".repeat(7_000)}x\r\n`),
    login("login: Content-Type of 50 KB", typeWith(50_000), posted),
    login("login: Content-Type of 7 KB", typeWith(7_000), posted),
    login("a path of 60 KB", authorization, { line: `GET /v1/models/${"eyJ".repeat(20_000)}` }),
  ];
}

/** Inputs in request bodies. */
function bodyInputs(host: string, authorization: string): Input[] {
  const posted = (
    name: string,
    body: string | Uint8Array,
    { path = "/v1/chat/completions", type = "application/json" } = {},
  ): Input => {
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    const fields = `${authorization}content-type: ${type}\r\ncontent-length: ${bytes.length}\r\n`;
    return { name, request: [head(host, `POST ${path}`, fields), bytes], afterMs: INDEXING_MS };
  };
  const message = (content: string) => JSON.stringify({ model: "m", messages: [{ role: "user", content }] });
  const part = `--b\r\ncontent-disposition: form-data; name="f"; filename="x"\r\ncontent-type: a${
    " ".repeat(8000)
  }b\r\n\r\nx\r\n`;
  const form = { path: "/v1/files", type: "multipart/form-data; boundary=b" };
  const dashes = { path: "/v1/files", type: `multipart/form-data; boundary=${"-".repeat(198)}x` };
  return [
    posted("a form of 0.8 MB, 100 heads of blanks", `${part.repeat(100)}--b--\r\n`, form),
    posted("a form of 8 MiB of its own boundary's beginning", new Uint8Array(8 * MIB).fill(0x2d), dashes),
    posted("a model's name of 200 KB", JSON.stringify({ model: "eyJ".repeat(66_000), messages: [] })),
    posted("a prompt of 1 MB of combining marks", message("\u0301\u0316".repeat(250_000))),
    posted("a prompt of 1 MB of halfwidth voicing marks", message("\uff9e\u0316".repeat(200_000))),
    posted(
      "a JSON body of 62 MiB of empty objects",
      `{"model":"m","messages":[${"{},".repeat(62 * MIB / 3)}{}]}`,
    ),
  ];
}

function head(host: string, line: string, fields: string): string {
  return `${line} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n${fields}\r\n`;
}

/** Sends the request and waits for the end of the answer and of the work after it. */
async function handled(port: number, { request, afterMs }: Input): Promise<void> {
  using client = await RawClient.connect(port);
  const limit = setTimeout(() => client.close(), LONGEST_MS);
  try {
    for (const piece of request) {
      const bytes = typeof piece === "string" ? encoder.encode(piece) : piece;
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        await client.send(bytes.subarray(at, at + PIECE_BYTES));
      }
    }
    await client.readToEnd();
  } catch {
    // Refused before the whole request was read.
  } finally {
    clearTimeout(limit);
  }
  await pause(afterMs);
}

/**
 * Polls `/healthz` from another thread, so that the work of this thread's client and upstream does not count.
 */
class Pinger {
  readonly #worker = new Worker(new URL("./worst_pinger.ts", import.meta.url), { type: "module" });

  constructor(port: number) {
    this.#worker.postMessage({ type: "begin", port });
  }

  /** The longest answer time during the work, in milliseconds. */
  async worstWhile(work: () => Promise<void>): Promise<number> {
    await this.#takeWorst();
    await work();
    return await this.#takeWorst();
  }

  close(): void {
    this.#worker.terminate();
  }

  /** The longest answer time since the last call, in milliseconds. */
  #takeWorst(): Promise<number> {
    return new Promise((resolve) => {
      this.#worker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
      this.#worker.postMessage({ type: "take" });
    });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) Deno.exit(await main());
