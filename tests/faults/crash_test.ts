/**
 * SIGKILL at random moments under load: a reply that a client received completely is recorded completely, and
 * none twice.
 *
 * `OAR_KILLS` sets the number of kills (default 15), `OAR_SEED` the seed of the moments.
 */
import assert from "node:assert/strict";
import { FaultTable } from "../support/fault_table.ts";
import { rawChat, RawClient } from "../support/raw_client.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import {
  chatCompletion,
  chatEvents,
  chunk,
  FakeUpstream,
  LAST_CHUNK,
  reply,
  STREAM_HEAD,
} from "../support/upstream.ts";

const CLIENTS = 12;
const WORDS = 8;

/** A reply that its client received to its end. */
interface Whole {
  readonly requestId: string;
  readonly text: string;
}

/** Mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function numberFrom(variable: string, otherwise: number): number {
  return Number(Deno.env.get(variable) || otherwise);
}

function wordsOf(name: string): string[] {
  return Array.from({ length: WORDS }, (_, at) => `${name}-${at} `);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One client: sends requests until the router is gone; keeps the replies that it received completely. */
async function ask(router: Router, name: string, whole: Whole[]): Promise<number> {
  for (let turn = 0;; turn++) {
    const isStream = turn % 2 === 0;
    const words = wordsOf(`${name}-${turn}`);
    try {
      using client = await RawClient.connect(router.port);
      const messages = [{ role: "user", content: `name=${name}-${turn};` }];
      await client.send(rawChat(TEST_TOKEN, { stream: isStream, messages }));
      await client.readUntil(isStream ? "data: [DONE]\n\n" : '"total_tokens":12}}');
      const requestId = /x-oar-request-id: (\S+)/i.exec(client.text)?.[1] ?? "";
      whole.push({ requestId, text: words.join("") });
    } catch {
      return turn + 1;
    }
  }
}

Deno.test("SIGKILL at random moments under load", async (t) => {
  const kills = numberFrom("OAR_KILLS", 15);
  const seed = numberFrom("OAR_SEED", 20_261_123);
  const random = seeded(seed);
  const table = new FaultTable(`SIGKILL at ${kills} random moments (seed ${seed})`, t);
  await using upstream = new FakeUpstream(async (request, wire) => {
    const name = /name=([^;]+);/.exec(request.text)?.[1] ?? "";
    const words = wordsOf(name);
    // Long enough to get a row while they are in flight.
    const mostMs = /client[01]-/.test(name) ? 100 : 4;
    if (!request.text.includes('"stream":true')) {
      return await reply(200, JSON.stringify(chatCompletion(words.join(""))))(request, wire);
    }
    await wire.write(STREAM_HEAD);
    for (const event of chatEvents(words)) {
      await delay(random() * mostMs);
      await wire.write(chunk(event));
    }
    await wire.write(LAST_CHUNK);
  });
  const directory = await Deno.makeTempDir({ prefix: "oar-kill-" });
  try {
    await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
    await runProgram(["add", "--no-test", "--key", "sk-test-0123456789", "--endpoint", upstream.endpoint], {
      cwd: directory,
    });
    const whole: Whole[] = [];
    let sent = 0;
    for (let kill = 0; kill < kills; kill++) {
      await using router = await Router.start({ directory, args: ["--log-level", "error"] });
      const clients = Array.from(
        { length: CLIENTS },
        (_, at) => ask(router, `kill${kill}-client${at}`, whole),
      );
      // Even on a slow machine, there is something to lose.
      await eventually(() => whole.length > kill ? true : null, "a whole reply");
      await delay(random() * 400);
      router.signal("SIGKILL");
      await router.exited();
      sent += (await Promise.all(clients)).reduce((sum, count) => sum + count, 0);
    }

    await using router = await Router.start({ directory });
    // Right after its start, it turns the requests that dead routers left in flight into `crashed`.
    await router.chat({ messages: [{ role: "user", content: "name=last;" }] }).then((each) => each.text());
    const inFlight = "SELECT count(*) AS n FROM records WHERE outcome = 'in_flight'";
    await eventually(() => router.query(inFlight)[0]?.n === 0 ? true : null, "the rows to be closed");
    const rows = router.query("SELECT request_id, outcome, response FROM records");
    const records = new Map(rows.map((row) => [row.request_id, row]));
    const count = (outcome: string) => rows.filter((row) => row.outcome === outcome).length;
    const details = `${sent} sent, ${whole.length} received whole, ${rows.length} records: ` +
      `${count("complete")} complete, ${count("crashed")} crashed, ${count("client_gone")} client_gone`;

    await table.case("received whole, recorded whole", "all of them", () => {
      const missing = whole.filter(({ requestId, text }) => {
        const record = records.get(requestId);
        return record?.outcome !== "complete" || record.response !== text;
      });
      assert.ok(whole.length >= kills, "the load was too small to tell anything");
      return Promise.resolve(missing.length === 0 ? `all of them: ${details}` : `${missing.length} are not`);
    });
    await table.case("records twice", "0", () => {
      const ids = new Set(rows.map((row) => row.request_id));
      return Promise.resolve(String(rows.length - ids.size));
    });
    await table.case("records still in flight", "0", () => Promise.resolve(String(count("in_flight"))));
    await table.case("attempts without a record", "0", () => {
      const sql = "SELECT count(*) AS n FROM attempts WHERE record_id NOT IN (SELECT id FROM records)";
      return Promise.resolve(String(router.query(sql)[0]?.n));
    });
    await table.case("PRAGMA integrity_check", "ok", () => {
      return Promise.resolve(String(router.query("PRAGMA integrity_check")[0]?.integrity_check));
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  table.print();
});
