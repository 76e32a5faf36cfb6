/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A thread that tries what one of the database's may do and what not, and says how each went. */
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";

interface Asked {
  readonly database: string;
  readonly outside: string;
  readonly port: number;
}

self.onmessage = async ({ data }: MessageEvent<Asked>): Promise<void> => {
  const { database, outside, port } = data;
  const attempts: Readonly<Record<string, () => unknown>> = {
    "fetch": () => fetch(`http://127.0.0.1:${port}/`),
    "connect": () => Deno.connect({ hostname: "127.0.0.1", port }),
    "listen": () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
    "resolve a name": () => Deno.resolveDns("upstream.invalid", "A"),
    "start a process": () => new Deno.Command("true").outputSync(),
    "load native code": () => Deno.dlopen("libc.so.6", {}),
    "read a variable": () => Deno.env.get("HOME"),
    "read a file elsewhere": () => Deno.readTextFileSync(outside),
    "write a file elsewhere": () => Deno.writeTextFileSync(outside, "changed"),
    "open a database elsewhere": () => new DatabaseSync(`${outside}.sqlite`),
    "write the database": () => {
      using db = new DatabaseSync(resolve(database));
      db.exec("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t(a); INSERT INTO t VALUES(1)");
    },
    "read it again": () => {
      using db = new DatabaseSync(resolve(database), { readOnly: true });
      db.prepare("SELECT * FROM t").all();
    },
    "look at its journal": () => Deno.statSync(`${Deno.realPathSync(database)}-wal`),
    "make a file beside it": () => Deno.writeTextFileSync(`${Deno.realPathSync(database)}.beside`, "x"),
    "keep a database in memory": () => new DatabaseSync(":memory:").exec("CREATE TABLE t(a)"),
  };
  const went: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
      went[name] = "done";
    } catch (error) {
      went[name] = error instanceof Deno.errors.NotCapable ? "refused" : `failed: ${String(error)}`;
    }
  }
  self.postMessage(went);
};
