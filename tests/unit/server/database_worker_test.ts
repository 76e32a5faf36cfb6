import assert from "node:assert/strict";
import { spawnDatabaseWorker } from "../../../src/server/database_worker.ts";

const DENIED = [
  "fetch",
  "connect",
  "listen",
  "resolve a name",
  "start a process",
  "load native code",
  "read a variable",
  "read a file elsewhere",
  "write a file elsewhere",
  "open a database elsewhere",
];

async function probe(
  database: string,
  asked: { outside: string; port: number },
): Promise<Record<string, string>> {
  const worker = spawnDatabaseWorker(new URL("permission_probe.ts", import.meta.url), database);
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, string>>();
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  try {
    worker.postMessage({ database, ...asked });
    return await promise;
  } finally {
    worker.terminate();
  }
}

Deno.test("a thread of the database has its folder, by whatever name, and nothing else", async (t) => {
  const root = await Deno.makeTempDir();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  void (async () => {
    for await (const connection of listener) {
      connections++;
      connection.close();
    }
  })().catch(() => {});
  try {
    for (const folder of ["plain", "real", "links"]) {
      await Deno.mkdir(`${root}/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(`${root}/outside`, "secret");
    for (const file of ["plain/db", "real/db", "plain/a, b$"]) {
      await Deno.create(`${root}/${file}`).then((each) => each.close());
    }
    await Deno.symlink(`${root}/real/db`, `${root}/links/db`);
    await Deno.symlink(`${root}/real`, `${root}/folder`);
    for (
      const database of [
        `${root}/plain/db`,
        `${root}/plain/a, b$`,
        `${root}/links/db`,
        `${root}/folder/db`,
        `${root}/links/../plain/db`,
      ]
    ) {
      await t.step(database.replace(root, ""), async () => {
        const asked = { outside: `${root}/outside`, port: listener.addr.port };
        for (const [what, went] of Object.entries(await probe(database, asked))) {
          assert.equal(went, DENIED.includes(what) ? "refused" : "done", what);
        }
      });
    }
    assert.equal(connections, 0);
    assert.equal(await Deno.readTextFile(`${root}/outside`), "secret");
  } finally {
    listener.close();
    await Deno.remove(root, { recursive: true });
  }
});
