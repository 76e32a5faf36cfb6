/**
 * Where a server listens, as a value and as text.
 */

/** Where a server listens. */
export interface ListenAddress {
  /** A name or an address without brackets; empty: every interface, both families. */
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
}

/** As people type it: `:8888`, `127.0.0.1:8888`, `[::1]:8888`. */
export function addressText({ hostname, port }: ListenAddress): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
