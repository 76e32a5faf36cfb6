/**
 * Connects to a host that may have several addresses: one after the other, the next as soon as one fails or takes long.
 *
 * Knows no sockets: looking up and connecting are handed in.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8305
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { Clock } from "../core/clock.ts";

export interface DialDeps<Connection extends { close(): void }> {
  readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
  readonly connect: (address: string) => Promise<Connection>;
}

/** The addresses of a name, at least one, in the order of preference. */
export type Lookup = (hostname: string) => Promise<readonly string[]>;

/**
 * Looks the name up, and connects to one of its addresses.
 *
 * @throws as {@link dial} does, and what looking up throws
 */
export async function dialName<Connection extends { close(): void }>(
  deps: DialDeps<Connection> & { readonly lookup: Lookup },
  hostname: string,
  cancellation: Cancellation,
): Promise<Connection> {
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const giveUp = () => reject(new Error("the connection was given up"));
  cancellation.onCancel(giveUp);
  let addresses: readonly string[];
  try {
    // A name server may be silent for longer than anybody waits.
    addresses = await Promise.race([deps.lookup(hostname), givenUp]);
  } finally {
    cancellation.offCancel(giveUp);
  }
  return await dial(deps, addresses, cancellation);
}

/** RFC 8305 section 5. */
const NEXT_ADDRESS_MS = 250;
/** More addresses of one name are not tried. */
const MAX_ADDRESSES = 8;

/**
 * The first connection that is established; those that come later are closed.
 *
 * @param addresses in the order of preference, at least one; the families take turns
 * @throws what connecting to the first address threw, when all have failed; an error when it was cancelled
 */
export function dial<Connection extends { close(): void }>(
  { clock, connect }: DialDeps<Connection>,
  addresses: readonly string[],
  cancellation: Cancellation,
): Promise<Connection> {
  const order = takingTurns(addresses).slice(0, MAX_ADDRESSES);
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  let started = 0;
  let failed = 0;
  let firstError: unknown;
  let isSettled = false;
  let timer: object | null = null;

  const settle = () => {
    isSettled = true;
    if (timer !== null) clock.clearTimer(timer);
    cancellation.offCancel(giveUp);
  };
  const giveUp = () => {
    settle();
    reject(new Error("the connection was given up"));
  };
  const onConnected = (connection: Connection) => {
    if (isSettled) return connection.close();
    settle();
    resolve(connection);
  };
  const onFailed = (error: unknown, isFirst: boolean) => {
    if (isFirst) firstError = error;
    if (isSettled) return;
    if (++failed < order.length) return startNext();
    settle();
    reject(firstError);
  };
  const startNext = () => {
    if (timer !== null) clock.clearTimer(timer);
    timer = null;
    const address = order[started];
    if (address === undefined) return;
    const isFirst = started++ === 0;
    if (started < order.length) timer = clock.setTimer(startNext, NEXT_ADDRESS_MS);
    connect(address).then(onConnected, (error) => onFailed(error, isFirst));
  };
  cancellation.onCancel(giveUp);
  if (!isSettled) startNext();
  return promise;
}

/** Alternately of the first one's family and of the other, so that a family without a route costs one delay. */
function takingTurns(addresses: readonly string[]): string[] {
  const isV6 = (address: string) => address.includes(":");
  const same = addresses.filter((address) => isV6(address) === isV6(addresses[0] ?? ""));
  const other = addresses.filter((address) => !same.includes(address));
  const order: string[] = [];
  for (let at = 0; at < Math.max(same.length, other.length); at++) {
    order.push(...same.slice(at, at + 1), ...other.slice(at, at + 1));
  }
  return order;
}
