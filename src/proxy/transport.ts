/**
 * One attempt on the wire: sends the request, gives up when no headers come in time, and hands over a body
 * that can be read chunk by chunk and cancelled at any moment.
 *
 * Owns the connection of one attempt. Must not judge what the answer says.
 */
import { redactSecrets } from "../core/secrets.ts";
import { ASIS, type AttemptOutcome, type Clock, type Inbound, type Upstream } from "../core/types.ts";
import { messageOf } from "../core/errors.ts";
import { withModel } from "../core/model_alias.ts";
import { upstreamHeaders, upstreamUrl } from "./headers.ts";

/** `fetch`, bound to the connection pool that the composition root made. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The headers came. The body is not read yet; `cancel` closes the connection and may be called always. */
export interface UpstreamReply {
  readonly type: "reply";
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReplyBody;
}

/** A reply's body: an explicit reader, so that there is no second copy and no hidden buffer. */
export interface ReplyBody {
  /** The next bytes, or null at the end. Rejects, then always, when the connection breaks. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Aborts the exchange; the upstream sees its connection close. Idempotent, never throws. */
  cancel(): void;
}

export interface TransportDeps {
  readonly fetch: Fetch;
  readonly clock: Clock;
}

export interface SendOptions {
  readonly headersTimeoutMs: number;
  /** Aborts when the client leaves or the request's deadline has passed. */
  readonly signal: AbortSignal;
  readonly isRouterToken: (credential: string) => boolean;
}

export type SendResult =
  | UpstreamReply
  | Extract<
    AttemptOutcome,
    { type: "connect_error" | "timeout" | "no_credential" | "client_gone" }
  >;

/** Sends the request to one upstream. Never throws. */
export async function send(
  deps: TransportDeps,
  target: { readonly inbound: Inbound; readonly upstream: Upstream },
  options: SendOptions,
): Promise<SendResult> {
  const { inbound, upstream } = target;
  const headers = upstreamHeaders(inbound, upstream, options.isRouterToken);
  if (headers === null) return { type: "no_credential" };

  const controller = new AbortController();
  const abort = () => controller.abort();
  if (options.signal.aborted) return { type: "client_gone" };
  options.signal.addEventListener("abort", abort, { once: true });
  let isTimedOut = false;
  const timer = deps.clock.setTimer(() => {
    isTimedOut = true;
    controller.abort();
  }, options.headersTimeoutMs);

  try {
    const response = await deps.fetch(upstreamUrl(upstream.endpoint, inbound.path, inbound.query), {
      method: inbound.method,
      headers,
      body: upstreamBody(inbound, upstream),
      redirect: "manual",
      signal: controller.signal,
    });
    const body = new FetchedBody(response.body, {
      abort: () => controller.abort(),
      release: () => options.signal.removeEventListener("abort", abort),
    });
    return { type: "reply", status: response.status, headers: response.headers, body };
  } catch (error) {
    options.signal.removeEventListener("abort", abort);
    if (isTimedOut) return { type: "timeout", phase: "headers", limitMs: options.headersTimeoutMs };
    if (options.signal.aborted) return { type: "client_gone" };
    return { type: "connect_error", message: connectMessage(error, upstream) };
  } finally {
    deps.clock.clearTimer(timer);
  }
}

/** The body as the upstream is to get it: the client's, with the model's name at this upstream. */
function upstreamBody(inbound: Inbound, upstream: Upstream): Uint8Array<ArrayBuffer> | null {
  const { body, model } = inbound;
  const alias = model === null ? undefined : upstream.modelMap[model];
  return body === null || alias === undefined
    ? body
    : withModel(body, inbound.headers.get("content-type"), alias);
}

/** What one read may bring. */
const READ_BYTES = 64 * 1024;

/**
 * Reads into a buffer of its own and hands out copies: a default reader allocates 64 KiB for every few
 * kilobytes that come, which a burst of them shows as tens of megabytes of memory.
 */
class FetchedBody implements ReplyBody {
  readonly #reader: ReadableStreamBYOBReader | null;
  #buffer: ArrayBuffer | null = null;
  readonly #hooks: { abort(): void; release(): void };
  #isDone = false;
  #error: unknown = null;

  constructor(
    body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
    hooks: { abort(): void; release(): void },
  ) {
    this.#reader = body?.getReader({ mode: "byob" }) ?? null;
    this.#hooks = hooks;
    if (this.#reader === null) this.#finish();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
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

/** What a failed connection says to people: causes, without the URL (its query may hold a key). */
function connectMessage(error: unknown, upstream: Upstream): string {
  const texts: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null && texts.length < 4;) {
    const text = messageOf(at);
    if (text !== "fetch failed") texts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  const text = texts.join(": ")
    .replace(/error sending request (from \S+ )?for url \([^)]*\)(: )?/g, "")
    .replace(/https?:\/\/[^\s)]+/g, "the endpoint");
  return redactSecrets(text || "connection failed", upstream.sk === ASIS ? [] : [upstream.sk]).slice(0, 500);
}
