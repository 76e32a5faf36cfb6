/**
 * Makes the client for the upstreams: over sockets, or over `fetch` where the environment names an outgoing proxy.
 */
import { PROXY_VARIABLES } from "../config/environment.ts";
import { FetchClient } from "../wire/fetch_client.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { type Connect, HttpClient, type Origin } from "../wire/client.ts";
import type { ByteConnection } from "../wire/connection.ts";
import { systemClock } from "./clock.ts";

const IDLE_CONNECTIONS_PER_UPSTREAM = 1024; // docs/tuning.md#heads-and-connections
const IDLE_CONNECTION_MS = 60_000;

export function upstreamClient(): UpstreamClient & { close(): void } {
  if (isBehindProxy()) return fetchClient();
  return new HttpClient({
    connect,
    clock: systemClock,
    maxIdlePerOrigin: IDLE_CONNECTIONS_PER_UPSTREAM,
    idleTimeoutMs: IDLE_CONNECTION_MS,
  });
}

function isBehindProxy(): boolean {
  return PROXY_VARIABLES.some((name) => Boolean(Deno.env.get(name)));
}

function fetchClient(): UpstreamClient & { close(): void } {
  const pool = Deno.createHttpClient({
    http1: true,
    http2: false,
    poolMaxIdlePerHost: IDLE_CONNECTIONS_PER_UPSTREAM,
    poolIdleTimeout: IDLE_CONNECTION_MS,
  });
  const client = new FetchClient((url, init) => fetch(url, { ...init, client: pool }));
  return { send: (request) => client.send(request), close: () => pool.close() };
}

/** Closes a connection that is established after the request was cancelled. */
const connect: Connect = async (origin, cancellation) => {
  const connecting = open(origin);
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const cancel = () => reject(new Error("the connection was given up"));
  cancellation.onCancel(cancel);
  try {
    return await Promise.race([connecting, givenUp]);
  } catch (error) {
    connecting.then((connection) => connection.close(), () => {});
    throw error;
  } finally {
    cancellation.offCancel(cancel);
  }
};

async function open(origin: Origin): Promise<ByteConnection> {
  try {
    return await openTo(origin, origin.hostname);
  } catch (error) {
    // Older runtimes try only the first address of a name; of this one it is often ::1, where nothing listens.
    if (
      origin.isTls || origin.hostname !== "localhost" || !(error instanceof Deno.errors.ConnectionRefused)
    ) throw error;
    return await openTo(origin, "127.0.0.1");
  }
}

async function openTo({ isTls, port }: Origin, hostname: string): Promise<ByteConnection> {
  if (isTls) return await Deno.connectTls({ hostname, port, alpnProtocols: ["http/1.1"] });
  const connection = await Deno.connect({ hostname, port });
  connection.setNoDelay(true);
  return connection;
}
