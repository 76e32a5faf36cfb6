/**
 * Two replicas over one PostgreSQL while one of all of them dies, freezes, or changes its server: each request that was
 * answered has one record, and clients notice nothing.
 */
import assert from "node:assert/strict";
import { isPostgresMissing, openPg, Postgres } from "../support/postgres.ts";
import { plainUrl, prepareSchema, type Replica, startReplica } from "../support/replica.ts";
import { eventually } from "../support/router.ts";
import { SmallDisk } from "../support/small_disk.ts";
import {
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  LAST_CHUNK,
  type Script,
  STREAM_HEAD,
} from "../support/upstream.ts";

const WORKERS = 8;

/** Requests that go on until {@link stop}, to whichever replica lives. */
class Load {
  /** Ids of the requests whose replies came whole. */
  readonly answered = new Set<string>();
  readonly #replicas: Replica[];
  readonly #workers: Promise<void>[];
  /** Replies that were no success, by their text. */
  readonly failures: string[] = [];
  #isStopped = false;

  constructor(replicas: Replica[]) {
    this.#replicas = replicas;
    this.#workers = Array.from({ length: WORKERS }, (_, place) => this.#work(place));
  }

  /** Resolves when so many more replies have come. */
  async more(count: number): Promise<void> {
    const wanted = this.answered.size + count;
    await eventually(() => this.answered.size >= wanted || null, `${wanted} replies`);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#workers);
  }

  async #work(place: number): Promise<void> {
    for (let turn = place; !this.#isStopped; turn++) {
      const replica = this.#replicas[turn % this.#replicas.length];
      if (replica === undefined) return;
      try {
        const response = await replica.router.chat({ stream: turn % 3 === 0 });
        const id = response.headers.get("x-oar-request-id") ?? "";
        const text = await response.text();
        if (response.status === 200) this.answered.add(id);
        else this.failures.push(`${response.status} ${text}`);
      } catch {
        // Its replica was killed: the client does not know what became of it.
      }
    }
  }
}

/** Streams for those who ask for one. */
const answer: Script = async (request, wire) => {
  if (!new TextDecoder().decode(request.body).includes(`"stream":true`)) {
    return await chatReply("hello")(request, wire);
  }
  await wire.write(STREAM_HEAD);
  for (const event of chatEvents(["he", "llo"])) await wire.write(chunk(event));
  await wire.write(LAST_CHUNK);
};

/** Waits until each of these requests has its one record, which is complete. */
async function allRecorded(url: string, requestIds: ReadonlySet<string>): Promise<void> {
  const db = openPg(url);
  try {
    let missing: string[] = [];
    await eventually(async () => {
      const rows = await db.read<{ request_id: string; outcome: string }>(
        "SELECT request_id, outcome FROM oar.records WHERE outcome <> 'in_flight'",
        [],
      ).catch(() => []);
      const complete = rows.filter(({ outcome }) => outcome === "complete").map((row) => row.request_id);
      assert.equal(new Set(complete).size, complete.length, "a request has two records");
      const found = new Set(complete);
      missing = [...requestIds].filter((id) => !found.has(id));
      return missing.length === 0 ? true : null;
    }, "a record of each request").catch((error) => {
      throw new Error(`${error.message}: ${missing.length} of ${requestIds.size} are missing`);
    });
  } finally {
    await db.close();
  }
}

interface Stage {
  readonly replicas: Replica[];
  readonly load: Load;
}

/** @param fault what happens under load; afterwards everything must be there */
async function underLoad(
  postgres: Postgres,
  { url, fault, directory }: {
    readonly url: string;
    readonly fault: (stage: Stage) => Promise<void>;
    /** Of the first replica's journal; default: a new one. */
    readonly directory?: string;
  },
): Promise<void> {
  await using upstream = new FakeUpstream(answer);
  await (await prepareSchema(postgres, [upstream.endpoint])).close();
  const replicas = [
    await startReplica(url, directory === undefined ? {} : { directory }),
    await startReplica(url),
  ];
  const load = new Load(replicas);
  try {
    await load.more(20);
    await fault({ replicas, load });
    await load.more(20);
  } finally {
    await load.stop();
  }
  assert.deepEqual(load.failures, []);
  await allRecorded(url, load.answered);
  for (const replica of replicas) {
    await replica.router[Symbol.asyncDispose]();
    if (replica.directory !== directory) await Deno.remove(replica.directory, { recursive: true });
  }
}

Deno.test("replicas lose nothing while PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  const url = plainUrl(postgres);
  const faults: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
    "is killed, and comes back": async ({ load }) => {
      await postgres.kill9();
      await load.more(50);
      await postgres.start();
    },
    "is frozen, like behind a network that swallows everything": async ({ load }) => {
      await postgres.freeze();
      await load.more(50);
      await postgres.thaw();
    },
    "goes on, and one of them is killed and started again": async ({ replicas, load }) => {
      const [killed] = replicas;
      killed?.router.signal("SIGKILL");
      await killed?.router.exited();
      await load.more(50);
      replicas[0] = await startReplica(url, { directory: killed?.directory ?? "" });
    },
    "is away when one of them is started again": async ({ replicas, load }) => {
      await postgres.kill9();
      const [killed] = replicas;
      killed?.router.signal("SIGKILL");
      await killed?.router.exited();
      replicas[0] = await startReplica(url, { directory: killed?.directory ?? "" });
      await load.more(50);
      await postgres.start();
    },
  };
  for (const [name, fault] of Object.entries(faults)) {
    await t.step(name, async () => {
      await underLoad(postgres, { url, fault });
      await postgres.clear();
    });
  }
});

Deno.test("a replica loses nothing while its journal's disk is full", {
  ignore: isPostgresMissing,
}, async () => {
  await using disk = await SmallDisk.mount(8192);
  // This user may not mount.
  if (disk === null) return;
  await using postgres = await Postgres.start();
  await underLoad(postgres, {
    url: plainUrl(postgres),
    directory: disk.directory,
    fault: async ({ replicas: [full], load }) => {
      await disk.fill("filler", 0);
      await eventually(async () => {
        await load.more(1);
        return await full?.router.metric("record_queue_bytes") || null;
      }, "records that cannot be written");
      await load.more(20);
      await Deno.remove(`${disk.directory}/filler`);
    },
  });
});

Deno.test("replicas go over to a standby that is promoted", { ignore: isPostgresMissing }, async () => {
  await using postgres = await Postgres.start();
  await using standby = await postgres.standby();
  const url = `postgres://app@127.0.0.1:${postgres.port},127.0.0.1:${standby.port}/oar?sslmode=disable`;
  await underLoad(postgres, {
    url,
    fault: async ({ load }) => {
      await postgres.kill9();
      await load.more(20);
      await standby.promote();
    },
  });
});
