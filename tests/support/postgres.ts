/**
 * A PostgreSQL server of its own for a test: in a temporary folder, on 127.0.0.1 and a free port, with TLS. Tests that use it
 * are skipped where PostgreSQL is not installed, except in CI (`isPostgresMissing`).
 *
 * Roles: `postgres` (superuser), `app` (no password, owns the database `oar`), `secret` (password `se:cr@t/`), `tls_only` and
 * `plain_only` (let in only with, or without, TLS), `cert` (needs a client certificate for `app`).
 */
import { spawnSync } from "node:child_process";
import { PgDatabase, type PgDatabaseOptions } from "../../src/store/postgres/pool.ts";
import { systemPgEnvironment } from "../../src/store/postgres/environment.ts";
import { parsePgUrl } from "../../src/store/postgres/url.ts";
import { systemClock } from "../../src/server/clock.ts";
import { eventually } from "./router.ts";
import { freePort, give, PATHS, runAsServer, serverFolder, ServerProcess } from "./server_process.ts";
import { makeAuthority, type TlsAuthority } from "./tls_authority.ts";

/** Of the newest version; null: not installed. */
const binaries = findBinaries();
const isBuilding = Deno.env.get("CI") === "true";

/** In CI, the tools must be installed. */
export const isPostgresMissing = Deno.build.os !== "linux" || (binaries === null && !isBuilding);
export const isPgBouncerMissing = isPostgresMissing ||
  (spawnSync("pgbouncer", ["--version"], { env: PATHS }).status !== 0 && !isBuilding);

export const SECRET_PASSWORD = "se:cr@t/ é";

const ACCESS = `
local all all trust
local replication all trust
hostssl all cert 127.0.0.0/8 cert map=app
hostssl all tls_only 127.0.0.0/8 trust
hostnossl all plain_only 127.0.0.0/8 trust
host all tls_only,plain_only,cert 127.0.0.0/8 reject
host all secret 127.0.0.0/8 scram-sha-256
host all all 127.0.0.0/8 trust
host replication all 127.0.0.0/8 trust
`;

const SETUP = `
CREATE ROLE app LOGIN; CREATE ROLE tls_only LOGIN; CREATE ROLE plain_only LOGIN; CREATE ROLE cert LOGIN;
CREATE ROLE secret LOGIN PASSWORD '${SECRET_PASSWORD}';
CREATE DATABASE oar OWNER app;
`;

export class Postgres implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly authority: TlsAuthority;
  #process: ServerProcess | null = null;

  private constructor(folder: string, authority: TlsAuthority) {
    this.folder = folder;
    this.port = freePort();
    this.authority = authority;
  }

  /** Made anew, which takes about two seconds. */
  static async start(): Promise<Postgres> {
    const folder = await serverFolder();
    const postgres = new Postgres(folder, await makeAuthority(folder));
    try {
      await runAsServer([
        tool("initdb"),
        "-D",
        postgres.#data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "-N",
      ]);
      await postgres.#write("pg_hba.conf", ACCESS);
      await postgres.#write("pg_ident.conf", "app app cert\n");
      await postgres.start();
      // One statement each: a database cannot be made in a transaction.
      for (const statement of SETUP.split(";")) await postgres.psql(statement, { database: "postgres" });
      return postgres;
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  get #data(): string {
    return `${this.folder}/data`;
  }

  /** Of a Unix socket. */
  get socketFolder(): string {
    return this.folder;
  }

  /** Starts it (again) on the same port. */
  async start({ isTls = true } = {}): Promise<void> {
    const { root, server } = this.authority;
    const settings = {
      listen_addresses: "127.0.0.1",
      port: this.port,
      unix_socket_directories: this.folder,
      fsync: "off",
      shared_buffers: "32MB",
      max_connections: 60,
      wal_level: "replica",
      ssl: isTls ? "on" : "off",
      ssl_cert_file: server.cert,
      ssl_key_file: server.key,
      ssl_ca_file: root,
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    this.#process = await ServerProcess.start(
      [tool("postgres"), "-D", this.#data, ...options],
      { log: `${this.folder}/log`, stop: "QUIT" },
    );
    await eventually(async () => {
      try {
        return await this.psql("SELECT 1", { database: "postgres" });
      } catch {
        return null;
      }
    }, "PostgreSQL");
  }

  /** Runs statements by psql, as superuser; gives what it prints: columns separated by `|`. */
  async psql(sql: string, { database = "oar", user = "postgres" } = {}): Promise<string> {
    const connection = ["-h", this.folder, "-p", String(this.port), "-U", user, "-d", database];
    const output = await runAsServer([tool("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", ...connection], sql);
    return output.trimEnd();
  }

  url({ user = "app", host = "127.0.0.1", query = "" } = {}): string {
    return `postgres://${user}@${host}:${this.port}/oar${query === "" ? "" : `?${query}`}`;
  }

  /** A database without tables; the one of before is gone. */
  async clear(): Promise<void> {
    await this.psql("DROP SCHEMA IF EXISTS oar CASCADE");
  }

  /** Like a network that swallows everything: connections stay, and nothing answers. */
  async freeze(): Promise<void> {
    await this.#process?.signalAll("SIGSTOP");
  }

  async thaw(): Promise<void> {
    await this.#process?.signalAll("SIGCONT");
  }

  /** As by a power cut; {@link start} brings it back. */
  async kill9(): Promise<void> {
    await this.#process?.kill9();
    this.#process = null;
  }

  /** Ends at once; {@link start} brings it back. */
  async halt(): Promise<void> {
    await this.thaw();
    await this.#process?.stop();
    this.#process = null;
  }

  /** A standby that streams from this one. */
  async standby(): Promise<Postgres> {
    const folder = await serverFolder();
    const standby = new Postgres(folder, this.authority);
    await runAsServer(
      [tool("pg_basebackup"), "-h", this.folder, "-p", String(this.port), "-U", "postgres"]
        .concat("-D", standby.#data, "-R", "-X", "stream", "-c", "fast", "-N"),
    );
    await standby.start();
    return standby;
  }

  /** Makes a standby take writes. */
  async promote(): Promise<void> {
    await this.psql("SELECT pg_promote(true)", { database: "postgres" });
  }

  async stop(): Promise<void> {
    await this.halt();
    await Deno.remove(this.folder, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.#data}/${name}`, text);
  }
}

/** PgBouncer in front of a server, in transaction mode. */
export class PgBouncer implements AsyncDisposable {
  readonly port = freePort();
  readonly #folder: string;
  readonly #process: ServerProcess;

  private constructor(folder: string, port: number, process: ServerProcess) {
    this.#folder = folder;
    this.port = port;
    this.#process = process;
  }

  static async start(postgres: Postgres): Promise<PgBouncer> {
    const folder = await serverFolder();
    const port = freePort();
    await Deno.writeTextFile(`${folder}/users`, '"app" ""\n"postgres" ""\n');
    await Deno.writeTextFile(
      `${folder}/pgbouncer.ini`,
      `[databases]
oar = host=127.0.0.1 port=${postgres.port} dbname=oar
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${folder}/users
admin_users = postgres
pool_mode = transaction
default_pool_size = 2
server_login_retry = 1
`,
    );
    await give(`${folder}/users`);
    await give(`${folder}/pgbouncer.ini`);
    const process = await ServerProcess.start(
      ["pgbouncer", "-q", `${folder}/pgbouncer.ini`],
      { log: `${folder}/log`, stop: "TERM" },
    );
    await eventually(async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        return null;
      }
    }, "PgBouncer");
    return new PgBouncer(folder, port, process);
  }

  url(query = ""): string {
    return `postgres://app@127.0.0.1:${this.port}/oar${query === "" ? "" : `?${query}`}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** The database behind a URL, as the program opens it; close it. */
export function openPg(url: string, options: Partial<PgDatabaseOptions> = {}): PgDatabase {
  return new PgDatabase(parsePgUrl(url, systemPgEnvironment({})), { clock: systemClock, ...options });
}

function tool(name: string): string {
  if (binaries === null) throw new Error("PostgreSQL is not installed: apt-get install postgresql");
  return `${binaries}/${name}`;
}

function findBinaries(): string | null {
  const folders = [...versionFolders(), ...(Deno.env.get("PATH") ?? "").split(":")];
  return folders.find((folder) => {
    try {
      return Deno.statSync(`${folder}/initdb`).isFile && Deno.statSync(`${folder}/postgres`).isFile;
    } catch {
      return false;
    }
  }) ?? null;
}

/** Debian's, newest first. */
function versionFolders(): string[] {
  const root = "/usr/lib/postgresql";
  try {
    return [...Deno.readDirSync(root)].map(({ name }) => Number(name)).filter(Number.isFinite)
      .sort((a, b) => b - a).map((version) => `${root}/${version}/bin`);
  } catch {
    return [];
  }
}
