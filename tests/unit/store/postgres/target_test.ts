import assert from "node:assert/strict";
import { reachOf } from "../../../../src/store/postgres/target.ts";

const hosts = (...names: string[]) => ({
  hosts: names.map((host) => ({ host, port: 5432, password: null })),
});

Deno.test("reachOf() lists what a thread must be allowed", () => {
  assert.deepEqual(reachOf(hosts("h", "127.0.0.1", "::1")), {
    net: ["h:5432", "127.0.0.1:5432", "[::1]:5432"],
    read: [],
    write: [],
  });
  const socket = ["/run/postgresql/.s.PGSQL.5432"];
  assert.deepEqual(reachOf(hosts("h", "/run/postgresql")), { net: true, read: socket, write: socket });
  assert.deepEqual(reachOf(hosts("fe80::1%eth0")), { net: true, read: [], write: [] });
});
