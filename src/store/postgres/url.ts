/**
 * The URL of a PostgreSQL database, as `--database` takes it.
 *
 * Owns its form, which is that of libpq as far as it is supported
 * (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS). Pure but for the files that the
 * URL names. An error never holds a part of the URL in which a password could be: one with an unescaped `@`, `/` or `?`
 * may be anywhere in it.
 */
import type { PgEnvironment } from "./environment.ts";
import { passwordOf } from "./password_file.ts";
import { type PgHost, type PgSsl, type PgSslMode, type PgTarget, SSL_MODES } from "./target.ts";

/** What is wrong with the URL, on one line, and what to do. */
export class PgUrlError extends Error {
  override readonly name = "PgUrlError";
}

const MAX_URL_LENGTH = 8 * 1024;
const MAX_HOSTS = 16;
const DEFAULT_PORT = 5432;
const SCHEMES = ["postgres://", "postgresql://"] as const;

const KNOWN = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "passfile",
  "application_name",
  "target_session_attrs",
  "channel_binding",
] as const;

type Parameters = ReadonlyMap<string, string>;

/**
 * Reads the URL, the password (from the URL, `PGPASSWORD`, or a password file) and the files of certificates.
 *
 * @param applicationName shown in `pg_stat_activity`, unless the URL says another
 * @throws PgUrlError
 */
export function parsePgUrl(
  text: string,
  env: PgEnvironment,
  applicationName = "openai-api-route",
): PgTarget {
  const parts = split(text.trim());
  const parameters = parametersOf(parts.query);
  checkFixed(parameters);
  const addresses = addressesOf(parts.hosts, parameters);
  const [urlUser, urlPassword] = credentialsOf(parts.credentials);
  const user = parameters.get("user") ?? urlUser ?? env.variable("PGUSER") ?? "";
  if (user === "") throw invalid("it names no user: postgres://USER@HOST/DATABASE");
  const database = parameters.get("dbname") ?? (decoded(parts.path) || user);
  const password = parameters.get("password") ?? urlPassword ?? (env.variable("PGPASSWORD") || null);
  const hosts = addresses.map((address): PgHost => ({
    ...address,
    password: password ?? passwordOf({ ...address, database, user }, passwordFile(parameters, env), env),
  }));
  for (const value of [user, database, password ?? "", ...addresses.map(({ host }) => host)]) {
    // The protocol ends texts with it, so that what follows would be taken for more.
    if (value.includes("\0")) throw invalid("it holds %00");
  }
  const ssl = sslOf(parameters, env);
  return {
    hosts,
    database,
    user,
    ssl,
    applicationName: parameters.get("application_name") ?? applicationName,
    shownText: shown({ user, database, addresses, query: shownParameters(parameters, ["sslmode"]) }),
    toolText: shown({ user, database, addresses, query: toolParameters(parameters, addresses.length) }),
  };
}

interface Parts {
  /** null: there is no `@`. */
  readonly credentials: string | null;
  readonly hosts: string;
  readonly path: string;
  readonly query: string;
}

function split(text: string): Parts {
  if (text.length > MAX_URL_LENGTH) throw invalid(`it is longer than ${MAX_URL_LENGTH} characters`);
  const scheme = SCHEMES.find((each) => text.slice(0, each.length).toLowerCase() === each);
  if (scheme === undefined) throw invalid("it must begin with postgres:// or postgresql://");
  const rest = text.slice(scheme.length);
  const mark = rest.indexOf("?");
  const before = mark < 0 ? rest : rest.slice(0, mark);
  const query = mark < 0 ? "" : rest.slice(mark + 1);
  const slash = before.indexOf("/");
  const authority = slash < 0 ? before : before.slice(0, slash);
  const path = slash < 0 ? "" : before.slice(slash + 1);
  const at = authority.indexOf("@");
  const isAmbiguous = authority.lastIndexOf("@") !== at || path.includes("@") ||
    (at < 0 && authority !== "" && query.includes("@"));
  if (isAmbiguous || path.includes("/")) {
    throw invalid(
      "special characters in the user name and the password must be escaped: @ is %40, / is %2F, ? is %3F, % is %25",
    );
  }
  return {
    credentials: at < 0 ? null : authority.slice(0, at),
    hosts: authority.slice(at + 1),
    path,
    query,
  };
}

function credentialsOf(text: string | null): [user: string | null, password: string | null] {
  if (text === null) return [null, null];
  const colon = text.indexOf(":");
  if (colon < 0) return [decoded(text) || null, null];
  return [decoded(text.slice(0, colon)) || null, decoded(text.slice(colon + 1)) || null];
}

function parametersOf(query: string): Parameters {
  const parameters = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    const known = KNOWN.find((each) => each === name);
    if (known === undefined) {
      const shownName = equals > 0 && /^[A-Za-z_]{1,40}$/.test(name) ? ` ${name}` : "";
      throw invalid(`the parameter${shownName} is not known; known are ${KNOWN.join(", ")}`);
    }
    if (equals < 0) throw invalid(`the parameter ${known} has no value`);
    if (parameters.has(known)) throw invalid(`the parameter ${known} is there twice`);
    parameters.set(known, decoded(pair.slice(equals + 1)));
  }
  return parameters;
}

/** Parameters of which only one value is what this program does anyway. */
function checkFixed(parameters: Parameters): void {
  const attributes = parameters.get("target_session_attrs") ?? "read-write";
  if (!["read-write", "primary", "any"].includes(attributes)) {
    throw invalid("target_session_attrs must be read-write: the program needs a server that takes writes");
  }
  const binding = parameters.get("channel_binding") ?? "prefer";
  if (!["prefer", "disable"].includes(binding)) {
    throw invalid("channel_binding=require is not supported; leave it out, and use sslmode=verify-full");
  }
}

type Address = Pick<PgHost, "host" | "port">;

function addressesOf(text: string, parameters: Parameters): Address[] {
  const named = parameters.get("host");
  if (named !== undefined && text !== "") throw invalid("it names hosts twice, before the path and by host=");
  const addresses = named === undefined ? hostList(text) : hostParameter(named, parameters.get("port"));
  if (addresses.length > MAX_HOSTS) throw invalid(`it names more than ${MAX_HOSTS} hosts`);
  return addresses;
}

function hostList(text: string): Address[] {
  return text.split(",").map((part) => {
    const [, bracketed, plain, port] =
      /^(?:\[([0-9A-Fa-f:.]{2,64}(?:%25[\w.-]{1,32})?)\]|([^\[\]:]{1,512}))(?::(\d{0,5}))?$/.exec(part) ?? [];
    const host = decoded(bracketed ?? plain ?? "");
    if (host === "") {
      throw invalid(
        "a host must be given as HOST or HOST:PORT, an IPv6 address as [ADDRESS], a Unix socket by ?host=/run/postgresql",
      );
    }
    return { host: checkedHost(host), port: portOf(port ?? "") };
  });
}

/** `host=h1,h2&port=1,2`, `host=/run/postgresql`. */
function hostParameter(hosts: string, ports = ""): Address[] {
  const list = hosts.split(",");
  const portList = ports.split(",");
  if (portList.length !== 1 && portList.length !== list.length) {
    throw invalid("port= must name one port, or as many as host= names hosts");
  }
  return list.map((host, index) => ({
    host: checkedHost(host),
    port: portOf(portList[portList.length === 1 ? 0 : index] ?? ""),
  }));
}

function checkedHost(host: string): string {
  if (/^\/[^\p{Cc}]{0,100}$/u.test(host)) return host;
  // Names with other characters are in nobody's DNS, and a part of a password may be among them.
  if (/^[\w.-]{1,253}$/.test(host) || /^[0-9A-Fa-f:.]{2,64}(?:%[\w.-]{1,32})?$/.test(host)) return host;
  throw invalid("a host's name holds characters that no name has");
}

function portOf(text: string): number {
  if (text === "") return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw invalid("a port must be a number from 1 to 65535");
  return port;
}

function passwordFile(parameters: Parameters, env: PgEnvironment): string | null {
  const named = parameters.get("passfile") || env.variable("PGPASSFILE");
  if (named) return named;
  return inHome(env, ".pgpass");
}

function inHome(env: PgEnvironment, name: string): string | null {
  const home = env.variable("HOME") ?? env.variable("USERPROFILE");
  return home ? `${home}/${name}` : null;
}

/** With the defaults of libpq, except that `verify-full` without `sslrootcert` trusts the built-in authorities. */
function sslOf(parameters: Parameters, env: PgEnvironment): PgSsl {
  const asked = parameters.get("sslmode") ?? "prefer";
  const mode = SSL_MODES.find((each) => each === asked);
  if (mode === undefined) throw invalid(`sslmode must be one of ${SSL_MODES.join(", ")}`);
  const rootFile = parameters.get("sslrootcert") ?? null;
  if (rootFile === "system" && mode !== "verify-full") {
    throw invalid("sslrootcert=system needs sslmode=verify-full");
  }
  const ownRoot = inHome(env, ".postgresql/root.crt");
  const rootCert = rootFile === "system"
    ? null
    : rootFile !== null
    ? pem("sslrootcert", rootFile, env)
    : ownRoot === null
    ? null
    : env.readText(ownRoot);
  const cert = optionalPem("sslcert", parameters, env);
  const key = optionalPem("sslkey", parameters, env);
  if ((cert === null) !== (key === null)) {
    throw invalid("sslcert and sslkey belong together; give both or none");
  }
  return { mode: effectiveMode(mode, rootCert), rootCert, cert, key };
}

/** libpq: "if a root CA file exists, the behavior of sslmode=require will be the same as that of verify-ca". */
function effectiveMode(mode: PgSslMode, rootCert: string | null): PgSslMode {
  return mode === "require" && rootCert !== null ? "verify-ca" : mode;
}

function optionalPem(name: "sslcert" | "sslkey", parameters: Parameters, env: PgEnvironment): string | null {
  const path = parameters.get(name);
  return path === undefined ? null : pem(name, path, env);
}

function pem(name: string, path: string, env: PgEnvironment): string {
  let text: string | null;
  try {
    text = env.readText(path);
  } catch (error) {
    throw new PgUrlError(`Cannot use the database's URL: the file of ${name}= cannot be read`, {
      cause: error,
    });
  }
  if (text === null) throw invalid(`the file of ${name}= does not exist`);
  if (!text.includes("-----BEGIN ")) throw invalid(`the file of ${name}= holds nothing in PEM form`);
  return text;
}

function shown({ user, database, addresses, query }: {
  user: string;
  database: string;
  addresses: readonly Address[];
  query: string;
}): string {
  const list = addresses.map(({ host, port }) =>
    host.startsWith("/")
      ? `${encodeURIComponent(host)}:${port}`
      : host.includes(":")
      ? `[${host}]:${port}`
      : `${host}:${port}`
  );
  return `postgres://${encodeURIComponent(user)}@${list.join(",")}/${encodeURIComponent(database)}` +
    (query === "" ? "" : `?${query}`);
}

/** As {@link shown} takes them. */
function shownParameters(parameters: Parameters, names: readonly typeof KNOWN[number][]): string {
  return names.flatMap((name) => {
    const value = parameters.get(name);
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`];
  }).join("&");
}

function toolParameters(parameters: Parameters, hostCount: number): string {
  const given = shownParameters(parameters, ["sslmode", "sslrootcert", "sslcert", "sslkey", "passfile"]);
  // They take the first host that answers, also a standby.
  return hostCount === 1 ? given : `${given}${given === "" ? "" : "&"}target_session_attrs=read-write`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("a % must be followed by two hexadecimal digits; % itself is %25");
  }
}

function invalid(problem: string): PgUrlError {
  return new PgUrlError(`Cannot use the database's URL: ${problem}`);
}
