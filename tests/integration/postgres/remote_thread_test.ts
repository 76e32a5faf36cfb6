/**
 * The thread that talks to PostgreSQL, with the permissions that it has in a server.
 */
import assert from "node:assert/strict";
import { ControlError } from "../../../src/control/errors.ts";
import { systemClock } from "../../../src/server/clock.ts";
import { spawnRemoteWorker } from "../../../src/server/database_worker.ts";
import { type RemoteEvent, RemoteThread } from "../../../src/server/remote_thread.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import { systemPgEnvironment } from "../../../src/store/postgres/environment.ts";
import { parsePgUrl } from "../../../src/store/postgres/url.ts";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";
import { makeRecord, makeSession, withDirectory } from "../../unit/store/support.ts";

const MODULE = new URL("../../../src/server/remote_worker.ts", import.meta.url);

interface Stage {
  readonly path: string;
  readonly thread: RemoteThread;
  readonly events: RemoteEvent[];
  /** Waits for an event of that type. */
  seen(type: RemoteEvent["type"]): Promise<void>;
  names(): (string | null)[];
}

async function withThread(url: string, body: (stage: Stage) => Promise<void>): Promise<void> {
  await withDirectory(async (path) => {
    openDatabase(path).close();
    const target = parsePgUrl(url, systemPgEnvironment({}));
    const events: RemoteEvent[] = [];
    const thread = new RemoteThread({
      spawnWorker: () => spawnRemoteWorker(MODULE, { journal: path, target }),
      opening: {
        timeZone: "UTC",
        target,
        journal: path,
        instance: "one",
        version: "1.2.3",
        listen: ":0",
        retention: { keepDays: null, keepBodiesDays: null, maxBytes: null },
        gatherMs: 0,
      },
      clock: systemClock,
      onEvent: (event) => events.push(event),
    });
    try {
      await body({
        path,
        thread,
        events,
        seen: async (type) => {
          await eventually(() => Promise.resolve(events.some((event) => event.type === type) || null), type)
            .catch((error) => {
              throw new Error(`${error.message}; ${JSON.stringify(events.slice(0, 3))}`);
            });
        },
        names: () => {
          const database = openDatabase(path, { access: "read" });
          try {
            return database.config.listUpstreams().map(({ name }) => name);
          } finally {
            database.close();
          }
        },
      });
    } finally {
      await thread.close(5_000);
    }
  });
}

Deno.test("the thread that talks to PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  for (
    const [name, url] of [
      ["plain", postgres.url({ query: "sslmode=disable" })],
      [
        "with TLS",
        postgres.url({
          host: "localhost",
          query: `sslmode=verify-full&sslrootcert=${postgres.authority.root}`,
        }),
      ],
      ["by a Unix socket", `postgres://app@/oar?host=${postgres.socketFolder}&port=${postgres.port}`],
    ] as const
  ) {
    await t.step(name, async () => {
      await postgres.clear();
      await withThread(url, async ({ path, thread, events, seen, names }) => {
        await seen("copied");
        const added = await thread.ask("addUpstream", {
          key: "sk-of-a-0123456789",
          endpoint: "https://a.example/v1",
          name: "a",
        });
        assert.equal(added.name, "a");
        assert.deepEqual(names(), ["a"]);
        await assert.rejects(thread.ask("removeUpstream", 99), (error) => error instanceof ControlError);

        const session = makeSession(path);
        session.write([makeRecord({ requestId: "r1", createdAtMs: Date.now() })]);
        thread.wake();
        await seen("shipped");
        assert.equal(await postgres.psql("SELECT request_id FROM oar.records"), "r1");
        session.close();

        await thread.detach();
        thread.attach();
        await thread.ask("removeUpstream", 1);
        assert.deepEqual(names(), []);
        await seen("backlog");
        assert.deepEqual(events.filter(({ type }) => type === "trouble" || type === "crashed"), []);
      });
      assert.equal(await postgres.psql("SELECT count(*) FROM oar.instances"), "0");
    });
  }
});
