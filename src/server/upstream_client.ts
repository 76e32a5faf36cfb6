/**
 * Makes the client for everything that goes out: over sockets, or over `fetch` where a proxy is on the way.
 *
 * Owns which of the two a URL takes, and how a connection is established.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { NO_PROXY_VARIABLES } from "../config/environment.ts";
import { type OutgoingSettings, proxyFor } from "../config/outgoing.ts";
import type { Cancellation } from "../core/cancellation.ts";
import { type OutgoingProxy, parseProxyUrl } from "../core/proxy_url.ts";
import { type Connect, HttpClient, type Origin } from "../wire/client.ts";
import type { ByteConnection } from "../wire/connection.ts";
import { dialName } from "../wire/dial.ts";
import { FetchClient } from "../wire/fetch_client.ts";
import type { UpstreamClient, UpstreamReply, UpstreamRequest } from "../wire/upstream_client.ts";
import { systemClock } from "./clock.ts";
import { trustedAuthorities } from "./trusted_authorities.ts";

const IDLE_CONNECTIONS_PER_UPSTREAM = 1024; // docs/tuning.md#heads-and-connections
const IDLE_CONNECTION_MS = 60_000;

/** An {@link UpstreamClient} with connections of its own. */
export type OutgoingClient = UpstreamClient & { close(): void };

/** One that takes the proxies that requests name. */
export type RoutingClient = OutgoingClient & {
  /** Forgets all others of these proxies than those with these URLs. */
  keepProxies(urls: ReadonlySet<string>): void;
};

/**
 * @param onIgnored a file of certificates that cannot be used, and that other programs read too
 * @throws StartError when the file of `--ca-file` cannot be used
 */
export function upstreamClient(
  outgoing: OutgoingSettings,
  onIgnored: (message: string) => void = () => {},
): RoutingClient {
  const caCerts = trustedAuthorities(outgoing, onIgnored);
  const direct = new HttpClient({
    connect: connector(caCerts),
    clock: systemClock,
    maxIdlePerOrigin: IDLE_CONNECTIONS_PER_UPSTREAM,
    idleTimeoutMs: IDLE_CONNECTION_MS,
  });
  const hasProxy = outgoing.httpProxy !== null || outgoing.httpsProxy !== null;
  const usual = hasProxy ? new ProxiedClient(outgoing, { direct, caCerts }) : direct;
  return new RoutedClient(usual, (proxy) => withoutExceptions(() => fetchClient(proxy, caCerts)));
}

/** The runtime reads `NO_PROXY` when it makes a client, and obeys it even where a proxy is named for one upstream. */
function withoutExceptions<Result>(make: () => Result): Result {
  const before = NO_PROXY_VARIABLES.map((name) => ({ name, value: Deno.env.get(name) }));
  try {
    for (const { name } of before) Deno.env.delete(name);
    return make();
  } finally {
    for (const { name, value } of before) if (value !== undefined) Deno.env.set(name, value);
  }
}

/** Takes the proxy that a request names, or the usual way. */
class RoutedClient implements RoutingClient {
  readonly #usual: OutgoingClient;
  readonly #connect: (proxy: OutgoingProxy) => OutgoingClient;
  /** By the proxy's URL. */
  readonly #clients = new Map<string, OutgoingClient>();

  constructor(usual: OutgoingClient, connect: (proxy: OutgoingProxy) => OutgoingClient) {
    this.#usual = usual;
    this.#connect = connect;
  }

  send(request: UpstreamRequest): Promise<UpstreamReply> {
    return request.proxy ? this.#by(request.proxy, request) : this.#usual.send(request);
  }

  keepProxies(urls: ReadonlySet<string>): void {
    for (const [url, client] of this.#clients) {
      if (urls.has(url)) continue;
      this.#clients.delete(url);
      client.close();
    }
  }

  close(): void {
    this.#usual.close();
    this.keepProxies(new Set());
  }

  async #by(url: string, request: UpstreamRequest): Promise<UpstreamReply> {
    let client = this.#clients.get(url);
    if (client === undefined) {
      const proxy = parseProxyUrl(url);
      if (proxy === null) throw new Error("the proxy of the upstream is not a URL");
      client = this.#connect(proxy);
      this.#clients.set(url, client);
    }
    return await client.send(request);
  }
}

interface Ways {
  readonly direct: OutgoingClient;
  readonly caCerts: readonly string[];
}

/** Takes the proxy or the direct way, as the URL demands. */
class ProxiedClient implements OutgoingClient {
  readonly #outgoing: OutgoingSettings;
  readonly #ways: Ways;
  readonly #clients = new Map<OutgoingProxy, OutgoingClient>();

  constructor(outgoing: OutgoingSettings, ways: Ways) {
    this.#outgoing = outgoing;
    this.#ways = ways;
  }

  send(request: UpstreamRequest): Promise<UpstreamReply> {
    const proxy = proxyFor(this.#outgoing, new URL(request.url));
    return (proxy === null ? this.#ways.direct : this.#clientOf(proxy)).send(request);
  }

  close(): void {
    this.#ways.direct.close();
    for (const client of this.#clients.values()) client.close();
  }

  #clientOf(proxy: OutgoingProxy): OutgoingClient {
    const known = this.#clients.get(proxy);
    if (known !== undefined) return known;
    const client = fetchClient(proxy, this.#ways.caCerts);
    this.#clients.set(proxy, client);
    return client;
  }
}

function fetchClient(
  { transport, url, credential }: OutgoingProxy,
  caCerts: readonly string[],
): OutgoingClient {
  const pool = Deno.createHttpClient({
    http1: true,
    http2: false,
    poolMaxIdlePerHost: IDLE_CONNECTIONS_PER_UPSTREAM,
    poolIdleTimeout: IDLE_CONNECTION_MS,
    caCerts: [...caCerts],
    proxy: { transport, url, ...(credential === null ? {} : { basicAuth: credential }) },
  });
  const client = new FetchClient((target, init) => fetch(target, { ...init, client: pool }));
  return { send: (request) => client.send(request), close: () => pool.close() };
}

function connector(caCerts: string[]): Connect {
  return async ({ isTls, hostname, port }, cancellation) => {
    const tcp = await connectTcp({ hostname, port }, cancellation);
    if (!isTls) return tcp;
    try {
      // The handshake is part of the first write.
      return await Deno.startTls(tcp, { hostname, alpnProtocols: ["http/1.1"], caCerts });
    } catch (error) {
      tcp.close();
      throw error;
    }
  };
}

/** Runtimes differ in how many addresses of a name they try, so each is connected to by itself. */
async function connectTcp(
  { hostname, port }: Pick<Origin, "hostname" | "port">,
  cancellation: Cancellation,
): Promise<Deno.TcpConn & ByteConnection> {
  const connect = (address: string) => Deno.connect({ hostname: address, port });
  const deps = { clock: systemClock, connect, lookup: addressesOf };
  const connection = await dialName(deps, hostname, cancellation);
  connection.setNoDelay(true);
  return connection;
}

/** In the order of preference that the system gives (RFC 6724). */
async function addressesOf(hostname: string): Promise<readonly string[]> {
  if (isIP(hostname) !== 0) return [hostname];
  try {
    const found = await lookup(hostname, { all: true, order: "verbatim" });
    return found.length === 0 ? [hostname] : [...new Set(found.map(({ address }) => address))];
  } catch {
    // Connecting to the name itself then says why it cannot be found, in the words of the runtime.
    return [hostname];
  }
}
