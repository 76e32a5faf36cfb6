/**
 * The HTTP/1.1 client: sends a request over a pooled connection, and returns the reply's head and body.
 *
 * Uses plain sockets instead of `fetch`, which costs more than the whole rest of a relayed request. Follows no
 * redirects, decodes nothing, and adds only `host` and `content-length`.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { TimerId } from "../core/clock.ts";
import type { ByteConnection } from "./connection.ts";
import { fieldLine, isTarget } from "./head.ts";
import { OutboundExchange, type OutgoingMessage, throwIfCancelled } from "./outbound_exchange.ts";
import { Pool, PooledConnection, type PoolOptions } from "./pool.ts";
import { NoReplyError } from "./connection_end.ts";
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
/** Longest URL whose parsed form is cached; longer ones have queries that rarely repeat. */
const MAX_REMEMBERED_LENGTH = 512; // docs/tuning.md#heads-and-connections

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
   * Sends one request. If a pooled connection ends before the first byte of the reply, the server had closed it while
   * it was idle: the request is then sent again on a new connection.
   * @throws when no connection can be made, or it breaks before the reply's head; ReplyError when the head breaks off, is
   * malformed, or leaves the length of the reply open
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
    if (reply === null) throw new NoReplyError("the connection ended before a reply came");
    return reply;
  }

  /** Closes idle connections; exchanges under way close theirs when they end. */
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
      // Queries differ from request to request, so the cache must be bounded.
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

/** A parsed URL. */
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
  // Not the parsed path, which is normalised: the upstream gets what the client sent.
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

function outgoing({ method, headers, body }: UpstreamRequest, { host, path }: Target): OutgoingMessage {
  let head = `${method} ${path} HTTP/1.1\r\n${fieldLine("host", host)}`;
  for (const [name, value] of headers) head += fieldLine(name, value);
  const needsLength = body !== null || method === "POST" || method === "PUT" || method === "PATCH";
  if (needsLength) head += fieldLine("content-length", String(body?.length ?? 0));
  return { head: `${head}\r\n`, body: body ?? undefined };
}
