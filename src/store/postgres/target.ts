/**
 * Where a PostgreSQL database is and how to be let in, as plain data: it can be sent to another thread.
 */

export interface PgHost {
  /** A name or an address; the folder of a Unix socket begins with `/`. */
  readonly host: string;
  readonly port: number;
  /** Secret; null: the server must not ask for one. */
  readonly password: string | null;
}

export const SSL_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;

/** As libpq has it: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export type PgSslMode = typeof SSL_MODES[number];

/** Texts of PEM files, so that the thread that connects need not read files. */
export interface PgSsl {
  readonly mode: PgSslMode;
  /** The authorities to trust; null: the built-in ones. */
  readonly rootCert: string | null;
  readonly cert: string | null;
  /** Secret. */
  readonly key: string | null;
}

export interface PgTarget {
  /** At least one; they are tried in this order, the first one that takes writes is used. */
  readonly hosts: readonly PgHost[];
  readonly database: string;
  readonly user: string;
  readonly ssl: PgSsl;
  readonly applicationName: string;
  /** The URL without anything secret, for people. */
  readonly shownText: string;
  /** The same with what PostgreSQL's own programs need besides: files of certificates, and the server that takes writes. */
  readonly toolText: string;
}

/** What a thread must be allowed, to connect and nothing else, in the form of `Deno.PermissionOptionsObject`. */
export interface PgReach {
  readonly net: string[] | true;
  readonly read: string[];
  readonly write: string[];
}

/** Runtimes differ in how a single Unix socket is allowed; `true` with its path works in all of them. */
export function reachOf({ hosts }: Pick<PgTarget, "hosts">): PgReach {
  const sockets = hosts.filter(({ host }) => host.startsWith("/"))
    .map(({ host, port }) => `${host}/.s.PGSQL.${port}`);
  const isListable = sockets.length === 0 && hosts.every(({ host }) => !host.includes("%"));
  const net = isListable
    ? hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`)
    : true;
  return { net, read: sockets, write: sockets };
}
