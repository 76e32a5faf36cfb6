/**
 * The HTTP/1.1 client: sends a request over a pooled connection and hands over the reply's head and body.
 *
 * Uses plain sockets instead of `fetch`, which costs more than all the rest of a relayed request together. Follows no
 * redirect, decodes nothing, adds no header but those of the framing.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { TimerId } from "../core/clock.ts";
import type { LendingSource } from "./byte_source.ts";
import type { ByteConnection } from "./connection.ts";
import { isPersistent, ReplyError, replyFraming } from "./framing.ts";
import { fieldLine, isTarget, parseReplyHead, type ReplyHead } from "./head.ts";
import { Pool, PooledConnection, type PoolOptions } from "./pool.ts";
import { MessageBody, readHead, takeHead } from "./reading.ts";
import type { UpstreamClient, UpstreamReply, UpstreamRequest } from "./upstream_client.ts";

/** Where a connection goes. */
export interface Origin {
  readonly isTls: boolean;
  /** A name or an address, without brackets. */
  readonly hostname: string;
  readonly port: number;
}

/** Opens connections; rejects when it cannot. */
export type Connect = (origin: Origin, cancellation: Cancellation) => Promise<ByteConnection>;

export interface HttpClientOptions extends PoolOptions {
  readonly connect: Connect;
  /** How long an idle connection is kept. */
  readonly idleTimeoutMs: number;
}

const SWEEP_MS = 5_000;
/** URLs that are remembered taken apart; longer ones hold a query of their own each. */
const MAX_REMEMBERED_LENGTH = 512;
/** Before a reply's own head; Go's client takes as many. */
const MAX_INTERIM_REPLIES = 5;
/** Enough of a credential to hold the name of its scheme. */
const SCHEME_LENGTH = 16;

export class HttpClient implements UpstreamClient {
  readonly #options: HttpClientOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #targets = new Map<string, Target>();
  #sweep: TimerId | null = null;
  #isClosed = false;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /**
   * Sends one request. When a connection from the pool ends before a byte of the reply, the request goes out once more
   * on a new one: the server had closed it while it was idle.
   * @throws when no connection can be made, or it breaks before the reply's head, or the head is malformed; ReplyError
   * when the head is well-formed, and where the reply ends is not clear
   */
  async send(request: UpstreamRequest): Promise<UpstreamReply> {
    throwIfCancelled(request.cancellation);
    const target = this.#target(request.url);
    const pool = this.#pool(target);
    const message = outgoing(request, target);
    for (let idle = pool.take(); idle !== null; idle = null) {
      const reply = await new OutboundExchange(idle, request, pool).run(message, { isReused: true });
      if (reply !== null) return reply;
    }
    const connection = await this.#options.connect(target.origin, request.cancellation);
    const fresh = new PooledConnection(connection);
    const reply = await new OutboundExchange(fresh, request, pool).run(message, { isReused: false });
    if (reply === null) throw new Error("the connection ended before a reply came");
    return reply;
  }

  /** Closes idle connections; exchanges that are under way close theirs when they end. */
  close(): void {
    this.#isClosed = true;
    if (this.#sweep !== null) this.#options.clock.clearTimer(this.#sweep);
    this.#sweep = null;
    for (const pool of this.#pools.values()) pool.close();
  }

  #target(url: string): Target {
    let target = this.#targets.get(url);
    if (target === undefined) {
      target = targetOf(url);
      if (url.length > MAX_REMEMBERED_LENGTH) return target;
      // Queries differ from request to request: a bound keeps them from piling up.
      if (this.#targets.size >= 256) this.#targets.clear();
      this.#targets.set(url, target);
    }
    return target;
  }

  #pool({ key }: Target): Pool {
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new Pool(this.#options, () => this.#scheduleSweep());
      if (this.#isClosed) pool.close();
      this.#pools.set(key, pool);
    }
    return pool;
  }

  #scheduleSweep(): void {
    if (this.#isClosed) return;
    this.#sweep ??= this.#options.clock.setTimer(() => {
      this.#sweep = null;
      const nowMs = this.#options.clock.monotonic();
      for (const [key, pool] of this.#pools) {
        pool.closeIdleSince(nowMs - this.#options.idleTimeoutMs);
        if (pool.isUnused) this.#pools.delete(key);
      }
      if (this.#pools.size > 0) this.#scheduleSweep();
    }, SWEEP_MS);
  }
}

/** A URL, taken apart once. */
interface Target {
  readonly key: string;
  readonly origin: Origin;
  /** The `host` header. */
  readonly host: string;
  /** Path and query, as they go on the request line. */
  readonly path: string;
}

function targetOf(url: string): Target {
  const { protocol, hostname, port, host, origin } = new URL(url);
  const isTls = protocol === "https:";
  // Not the parsed one: that is normalised, and the upstream gets what the client sent.
  const path = /^[^:]+:\/\/[^/?#]*([^#]*)/.exec(url)?.[1] || "/";
  if (!isTarget(path)) throw new TypeError("the request target is not ASCII");
  return {
    key: origin,
    origin: {
      isTls,
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? (isTls ? 443 : 80) : Number(port),
    },
    host,
    path,
  };
}

/** A request as it goes out; made once, sent perhaps twice. */
interface OutgoingMessage {
  readonly head: string;
  readonly body: Uint8Array | undefined;
}

function outgoing({ method, headers, body }: UpstreamRequest, { host, path }: Target): OutgoingMessage {
  let head = `${method} ${path} HTTP/1.1\r\n${fieldLine("host", host)}`;
  for (const [name, value] of headers) head += fieldLine(name, value);
  const needsLength = body !== null || method === "POST" || method === "PUT" || method === "PATCH";
  if (needsLength) head += fieldLine("content-length", String(body?.length ?? 0));
  return { head: `${head}\r\n`, body: body ?? undefined };
}

/** One request on one connection. */
class OutboundExchange implements LendingSource {
  readonly #connection: PooledConnection;
  readonly #method: string;
  readonly #cancellation: Cancellation;
  readonly #pool: Pool;
  readonly #abort = () => this.cancel();
  readonly #onUploaded = (): void => {
    this.#isUploading = false;
  };
  readonly #onFilled = (hasMore: boolean): void => {
    if (hasMore || this.#isOver || this.#body === null) return;
    try {
      this.#body.endOfInput();
      this.#finish();
    } catch (error) {
      this.#onBroken(error);
    }
  };
  readonly #onBroken = (error: unknown): never => {
    this.#error ??= error;
    this.#end(false);
    throw this.#error;
  };
  /** The request carries a credential of the whole connection. */
  readonly #isAuthenticating: boolean;
  #body: MessageBody | null = null;
  #isReusable = false;
  #isUploading = true;
  #isOver = false;
  /** The last bytes of the body are lent: where they lie, the next reply would go. */
  #isEndLent = false;
  #error: unknown = null;

  constructor(connection: PooledConnection, request: UpstreamRequest, pool: Pool) {
    this.#connection = connection;
    // Not the request: its body need not stay while the reply is read.
    this.#method = request.method;
    this.#cancellation = request.cancellation;
    this.#isAuthenticating = OF_CONNECTION.test(
      request.headers.get("authorization")?.slice(0, SCHEME_LENGTH) ?? "",
    );
    this.#pool = pool;
    pool.begun();
    request.cancellation.onCancel(this.#abort);
  }

  /** Null when a connection ended before a byte of the reply. */
  async run(message: OutgoingMessage, { isReused }: { isReused: boolean }): Promise<UpstreamReply | null> {
    try {
      // What goes wrong shows in the reply, or in its absence: the server may answer before it has everything.
      const upload = this.#connection.output.write(message.head, message.body).then(
        this.#onUploaded,
        () => {},
      );
      const { input } = this.#connection;
      let head: ReplyHead | null = null;
      for (let interim = 0; head === null && (input.availableBytes > 0 || await input.fill()); interim++) {
        const text = takeHead(input) ?? await readHead(input);
        if (text === null) break;
        head = finalHead(text);
        if (head === null && interim === MAX_INTERIM_REPLIES) {
          throw new ReplyError(`more than ${MAX_INTERIM_REPLIES} interim replies`);
        }
      }
      if (head === null) {
        if (!isReused) await upload;
        this.#end(false);
        throwIfCancelled(this.#cancellation);
        return null;
      }
      const { framing, contentLength, isSure } = replyFraming(head, this.#method);
      this.#body = new MessageBody(input, framing);
      this.#isReusable = isSure && isPersistent(head) && !this.#isAuthenticating && !isChallenge(head);
      if (this.#body.isDone) this.#finish();
      return { status: head.status, headers: head.headers, contentLength, body: this };
    } catch (error) {
      this.#end(false);
      throwIfCancelled(this.#cancellation);
      if (isReused && this.#connection.input.availableBytes === 0 && isConnectionError(error)) return null;
      throw error;
    }
  }

  get isDone(): boolean {
    return (this.#isOver || this.#isEndLent) && this.#error === null;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    return this.#take(false);
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    return this.#take(true);
  }

  release(): void {
    if (!this.#isEndLent) return;
    this.#isEndLent = false;
    this.#finish();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const bytes = this.take();
      if (bytes !== null) return bytes;
      if (this.isDone) return null;
      await this.ready();
    }
  }

  ready(): Promise<void> {
    this.release();
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#isOver || this.#body === null) return Promise.resolve();
    return this.#connection.input.fill().then(this.#onFilled, this.#onBroken);
  }

  #take(isLent: boolean): Uint8Array<ArrayBuffer> | null {
    this.release();
    if (this.#isOver || this.#body === null) return null;
    try {
      const bytes = this.#body.take(isLent);
      if (this.#body.isDone) {
        if (isLent && bytes !== null) this.#isEndLent = true;
        else this.#finish();
      }
      return bytes;
    } catch (error) {
      this.#error = error;
      this.#end(false);
      return null;
    }
  }

  cancel(): void {
    this.#end(false);
  }

  #finish(): void {
    this.#end(this.#isReusable && !this.#isUploading && this.#connection.input.availableBytes === 0);
  }

  #end(isReusable: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancellation.offCancel(this.#abort);
    this.#pool.ended();
    if (isReusable) this.#pool.give(this.#connection);
    else this.#connection.close();
  }
}

/** Null for an interim one (1xx), which another follows. */
function finalHead(text: string): ReplyHead | null {
  const head = parseReplyHead(text);
  return head.status >= 200 || head.status < 100 || head.status === 101 ? head : null;
}

function throwIfCancelled({ isCancelled }: Cancellation): void {
  if (isCancelled) throw new Error("the exchange was given up");
}

/**
 * Schemes that authenticate a connection instead of a request: what follows on it is taken for the same person's.
 * @see https://www.rfc-editor.org/rfc/rfc4559#section-6
 */
const OF_CONNECTION = /\b(?:negotiate|ntlm)\b/i;

function isChallenge({ status, headers }: ReplyHead): boolean {
  if (status !== 401 && status !== 407) return false;
  return CHALLENGES.some((name) => OF_CONNECTION.test(headers.get(name) ?? ""));
}
const CHALLENGES = ["www-authenticate", "proxy-authenticate"] as const;

/** Whether the connection itself failed, as it does when the server had closed it. */
function isConnectionError(error: unknown): boolean {
  return error instanceof Error &&
    ["ConnectionReset", "ConnectionAborted", "BrokenPipe", "UnexpectedEof"].includes(error.name);
}
