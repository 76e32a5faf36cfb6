/**
 * Opens the sockets of a listen address; no host means every interface and both families, as in Go
 * (https://pkg.go.dev/net#Listen).
 *
 * Knows no HTTP, and no setting but the address.
 */
import type { Settings } from "../config/settings.ts";
import type { AcceptedConnection, ConnectionListener } from "../wire/server.ts";

/** A listener, or two that act as one. */
export interface OpenListener extends ConnectionListener {
  /** The IPv6 one of two. */
  readonly addr: Deno.NetAddr;
}

export interface OpenOptions {
  /** Other processes that say so listen on the same port; the system gives each connection to one of them. */
  readonly isShared?: boolean;
  /** Connections that wait to be accepted; the system may allow fewer. */
  readonly tcpBacklog?: number;
  /** Default: `Deno.listen`. */
  readonly listen?: (options: Deno.TcpListenOptions) => OpenListener;
}

/** @throws what `Deno.listen` throws */
export function openListener(
  { hostname, port }: Settings["listen"],
  { tcpBacklog, isShared = false, listen = Deno.listen }: OpenOptions = {},
): OpenListener {
  const more = {
    ...(tcpBacklog === undefined ? {} : { tcpBacklog }),
    ...(isShared ? { reusePort: true } : {}),
  };
  const open = (host: string, at: number) => listen({ hostname: host, port: at, ...more });
  if (hostname !== "") return open(hostname, port);
  let both: OpenListener;
  try {
    both = open("::", port);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) throw error;
    // A machine without IPv6.
    return open("0.0.0.0", port);
  }
  try {
    // Where a socket for IPv6 takes no IPv4 connections, as on Windows; elsewhere, the address is in use by now, or, with
    // a shared port, IPv4 connections come to this one.
    return joined(both, open("0.0.0.0", both.addr.port));
  } catch {
    return both;
  }
}

/** Accepts from both, whichever comes first. */
function joined(first: OpenListener, second: OpenListener): OpenListener {
  const accepted: (() => AcceptedConnection)[] = [];
  const waiting: ((next: () => AcceptedConnection) => void)[] = [];
  let isClosed = false;
  const deliver = (next: () => AcceptedConnection) => {
    const taker = waiting.shift();
    if (taker === undefined) accepted.push(next);
    else taker(next);
  };
  /** Each listener is asked again only when what it gave was taken. */
  const ask = (listener: OpenListener): void => {
    if (isClosed) return;
    listener.accept().then(
      (connection) =>
        deliver(() => {
          ask(listener);
          return connection;
        }),
      (error) =>
        deliver(() => {
          ask(listener);
          throw error;
        }),
    );
  };
  for (const listener of [first, second]) ask(listener);
  return {
    addr: first.addr,
    accept: async () => {
      const next = accepted.shift() ??
        await new Promise<() => AcceptedConnection>((taker) => waiting.push(taker));
      return next();
    },
    close: () => {
      isClosed = true;
      first.close();
      second.close();
    },
  };
}
