/**
 * The address of a server: listens on it, and keeps the limits of connections.
 */
import { setImmediate } from "node:timers";
import { addressText, type Settings } from "../config/settings.ts";
import { messageOf } from "../core/errors.ts";
import { type AppDeps, createHandler } from "../http/app.ts";
import { refusal } from "../http/error_answer.ts";
import { getLog } from "../observe/log.ts";
import { denoProcessReadings, read } from "../observe/process_metrics.ts";
import { ConnectionLimits } from "../wire/connection_limits.ts";
import { HttpServer } from "../wire/server.ts";
import { systemClock } from "./clock.ts";
import { type OpenListener, openListener } from "./open_listener.ts";
import { StartError } from "./start_error.ts";

/** A client that does not take its reply is to be disconnected, and recorded, by the relay first. */
const STALL_MARGIN_MS = 10_000;
/** Connections that wait to be accepted; the system may allow fewer. */
const BACKLOG = 4096; // docs/tuning.md#heads-and-connections

/** @throws StartError */
export function listen(
  settings: Settings,
  deps: AppDeps,
): { readonly server: HttpServer; readonly address: Deno.NetAddr } {
  const log = getLog("server");
  let listener: OpenListener;
  try {
    requireSharing(settings);
    listener = openListener(settings.listen, { tcpBacklog: BACKLOG, isShared: settings.isPortShared });
  } catch (error) {
    throw cannotListen(settings, error);
  }
  const max = connectionLimit(settings.maxConnections);
  const server = new HttpServer(listener, {
    clock: systemClock,
    handle: createHandler(deps),
    afterTurn,
    limits: max === null
      ? null
      : new ConnectionLimits({ max, isShared: (address) => deps.trustedProxies.trusts(address) }),
    onTurnedAway: (count, reason) => {
      const words = reason === "full"
        ? "{count} connections were closed: there are as many as --max-connections allows"
        : "{count} connections were closed: one address has a quarter of all (--max-connections); name proxies with --trusted-proxy";
      log.warn(words, { count });
    },
    writeTimeoutMs: settings.clientTimeoutMs + STALL_MARGIN_MS,
    bodyTimeoutMs: settings.clientTimeoutMs + STALL_MARGIN_MS,
    refusal: (error) => {
      deps.observer.requestRefused(error.status, error.code);
      return refusal(error, deps.browserGuard.headersFor(null), null);
    },
    onUnexpected: (error) => log.error("a connection failed: {message}", { message: messageOf(error) }),
  });
  return { server, address: listener.addr };
}

/**
 * A timer lets the runtime look at the sockets, but may come before what it has found there; an immediate comes after that,
 * and before the next look.
 */
async function afterTurn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  await new Promise((resolve) => setImmediate(resolve));
}

/** Descriptors for everything but clients and upstreams: the database, the threads, alerts. */
const RESERVED_DESCRIPTORS = 64; // docs/tuning.md#server
const MIN_CONNECTIONS = 8;

/** The configured number of client connections, or fewer where the process may not open one to an upstream for each. */
function connectionLimit(configured: number | null): number | null {
  const descriptors = read(denoProcessReadings().maxFds);
  if (configured === null || descriptors === null) return configured;
  const affordable = Math.max(MIN_CONNECTIONS, Math.floor((descriptors - RESERVED_DESCRIPTORS) / 2));
  if (affordable >= configured) return configured;
  getLog("server").warn(
    "{descriptors} open files are allowed (ulimit -n): enough for {affordable} connections of clients, not for {told}",
    { descriptors, affordable, told: configured },
  );
  return affordable;
}

/**
 * Finds out whether the address can be listened on, before anything is made.
 * @throws StartError
 */
export function requireFreeAddress(settings: Settings): void {
  const { listen: { hostname, port }, isPortShared } = settings;
  try {
    requireSharing(settings);
    // A socket on a shared port would be given connections, which would break when it is closed.
    openListener({ hostname, port: isPortShared ? 0 : port }).close();
  } catch (error) {
    throw cannotListen(settings, error);
  }
}

/** Elsewhere the system has no such thing, or gives all connections to the process that came last. */
function requireSharing({ isPortShared }: Settings): void {
  if (!isPortShared || Deno.build.os === "linux") return;
  throw new StartError(
    "--reuse-port works on Linux only: give each server a port, and put a balancer in front",
  );
}

/** Why an address cannot be listened on, and what to do. */
function cannotListen({ listen: address, isPortShared }: Settings, error: unknown): StartError {
  if (error instanceof StartError) return error;
  const isInUse = error instanceof Deno.errors.AddrInUse;
  const reason = isInUse && isPortShared
    ? "the address is in use, by a program without --reuse-port or of another user"
    : isInUse
    ? "the address is in use"
    : messageOf(error);
  return new StartError(`Cannot listen on ${addressText(address)}: ${reason}; choose another with --addr`);
}
