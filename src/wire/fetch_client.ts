/**
 * The upstream client over `fetch`, for networks behind a proxy: `fetch` supports `HTTP_PROXY`, `HTTPS_PROXY`,
 * `NO_PROXY` and SOCKS. Slower than the client over sockets, but otherwise equivalent.
 */
import type { LendingSource } from "./byte_source.ts";
import { NoReplyError } from "./connection_end.ts";
import { ReplyError, transferCodings } from "./framing.ts";
import type { UpstreamClient, UpstreamReply, UpstreamRequest } from "./upstream_client.ts";

/** `fetch`, bound to the connection pool that the composition root made. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class FetchClient implements UpstreamClient {
  readonly #fetch: Fetch;

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  async send({ url, method, headers, body, cancellation }: UpstreamRequest): Promise<UpstreamReply> {
    const controller = new AbortController();
    const abort = () => controller.abort();
    cancellation.onCancel(abort);
    const release = () => cancellation.offCancel(abort);
    try {
      const response = await this.#fetch(url, {
        method,
        headers: [...headers],
        body,
        redirect: "manual",
        signal: controller.signal,
      });
      return {
        status: response.status,
        headers: response.headers,
        contentLength: lengthOf(response, method),
        body: new FetchedBody(response.body, { abort, release }),
      };
    } catch (error) {
      release();
      abort();
      throw errorOf(error);
    }
  }
}

/** How the runtime's client (hyper) says that the head of a reply cannot be read. */
const HEAD_PROBLEM =
  /invalid HTTP (?:version|status-code|header)|invalid (?:content-length|transfer-encoding) parsed|message head is too large/i;

/** How it says that a request went out on a connection that stood, and no reply came. */
const CONNECTION_END = /client error \(SendRequest\)/i;

/** The same errors as those of the client over sockets. */
function errorOf(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const text = cause instanceof Error ? cause.message : "";
  if (HEAD_PROBLEM.test(text)) return new ReplyError("its head cannot be read", { cause: error });
  return CONNECTION_END.test(text) ? new NoReplyError("the connection ended before a reply came") : error;
}

/**
 * The declared length of the body, if it is that of the bytes that `fetch` returns, which are decoded and without
 * transfer codings.
 * @throws ReplyError as the client over sockets does
 */
function lengthOf({ status, headers }: Response, method: string): number | null {
  const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
  if (hasBody) transferCodings(headers);
  const value = headers.get("content-length");
  if (value === null) return null;
  // `Headers` joins repeated fields.
  const [length = "", ...others] = value.split(",").map((each) => each.trim());
  if (!/^\d{1,15}$/.test(length) || others.some((other) => other !== length)) {
    throw new ReplyError("its Content-Length is malformed");
  }
  if (status === 204 || headers.has("transfer-encoding")) return null;
  return hasBody && headers.has("content-encoding") ? null : Number(length);
}

/** Most bytes of one read. */
const READ_BYTES = 64 * 1024; // docs/tuning.md#budgets-and-remembered-values

/**
 * Reads into its own buffer and returns copies: a default reader allocates 64 KiB for every few kilobytes, which costs
 * tens of megabytes of memory in a burst.
 */
class FetchedBody implements LendingSource {
  readonly #reader: ReadableStreamBYOBReader | null;
  #buffer: ArrayBuffer | null = null;
  readonly #hooks: { abort(): void; release(): void };
  #isDone = false;
  #error: unknown = null;
  /** Read by {@link FetchedBody.ready}. */
  #waiting: Uint8Array<ArrayBuffer> | null = null;

  constructor(
    body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
    hooks: { abort(): void; release(): void },
  ) {
    this.#reader = body?.getReader({ mode: "byob" }) ?? null;
    this.#hooks = hooks;
    if (this.#reader === null) this.#finish();
  }

  get isDone(): boolean {
    return this.#isDone && this.#error === null && this.#waiting === null;
  }

  /** `fetch` does not tell what has arrived. */
  take(): Uint8Array<ArrayBuffer> | null {
    const waiting = this.#waiting;
    this.#waiting = null;
    return waiting;
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    return this.take();
  }

  /** What is lent is a copy. */
  release(): void {}

  async ready(): Promise<void> {
    this.#waiting = await this.read();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const waiting = this.take();
    if (waiting !== null) return waiting;
    if (this.#error !== null) throw this.#error;
    if (this.#isDone || this.#reader === null) return null;
    try {
      const buffer = this.#buffer ?? new ArrayBuffer(READ_BYTES);
      this.#buffer = null;
      const { done, value } = await this.#reader.read(new Uint8Array(buffer));
      if (!done) {
        this.#buffer = value.buffer;
        return value.slice();
      }
      this.#finish();
      return null;
    } catch (error) {
      this.#error = error;
      this.#finish();
      throw error;
    }
  }

  cancel(): void {
    if (this.#isDone) return;
    this.#finish();
    this.#reader?.cancel().catch(() => {});
    this.#hooks.abort();
  }

  #finish(): void {
    this.#isDone = true;
    this.#hooks.release();
  }
}
