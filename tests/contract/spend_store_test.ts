/**
 * What every SpendStore must do: a budget holds whatever servers die, and no charge is counted twice.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { LeaseAnswer, LeaseRequest, SpendRow, SpentDays } from "../../src/core/spend.ts";
import { dayIn } from "../../src/core/days.ts";
import { migrate } from "../../src/store/postgres/migration.ts";
import { readRemoteSpend } from "../../src/store/postgres/read/spending.ts";
import { chargeDeadLeases, mergeRemoteSpend } from "../../src/store/postgres/spend/dead_leases.ts";
import { RemoteLeases } from "../../src/store/postgres/spend/remote_leases.ts";
import { readSpend } from "../../src/store/spend/spend_reader.ts";
import type { WriterSession } from "../../src/store/write/session.ts";
import { isPostgresMissing, openPg, type Postgres } from "../support/postgres.ts";
import { overEveryWay, type PgWay } from "../support/postgres_records.ts";
import { makeSession, withDirectory } from "../unit/store/support.ts";

const DAY_MS = 86_400_000;
const dayOf = dayIn("UTC");
const today = dayOf(Date.now());
const daysAgo = (days: number): string => dayOf(Date.now() - days * DAY_MS);
const BUDGET = 1_000;

/** A database, and the servers that use it. */
interface Stage {
  renew(source: string, requests: readonly LeaseRequest[]): Promise<readonly LeaseAnswer[]>;
  /** Others take it for dead, and charge what it might have. */
  bury(source: string): Promise<void>;
  merge(): Promise<void>;
  addToken(name: string): Promise<number>;
  removeToken(id: number): Promise<void>;
  spend(tokenIds?: readonly number[], fromDay?: string): Promise<SpentDays>;
  /** Of all sources. */
  leased(tokenId: number): Promise<number>;
  countRows(tokenId: number): Promise<number>;
}

function row(costNano: number, changes: Partial<SpendRow> = {}): SpendRow {
  return { day: today, costNano, requests: 1, tokens: 10, estimatedNano: 0, overshootNano: 0, ...changes };
}

function asked(tokenId: number, changes: Partial<LeaseRequest> = {}): LeaseRequest {
  const numbers = { neededNano: 0, wantedNano: 0, budgetNano: BUDGET };
  return { tokenId, rows: [], ...numbers, fromDay: today, ...changes };
}

async function one(stage: Stage, source: string, request: LeaseRequest): Promise<LeaseAnswer> {
  const [answer, ...rest] = await stage.renew(source, [request]);
  assert.deepEqual(rest, []);
  assert.ok(answer);
  return answer;
}

async function spent(stage: Stage, tokenId: number, fromDay = ""): Promise<number> {
  return (await stage.spend([tokenId], fromDay)).reduce((sum, { costNano }) => sum + costNano, 0);
}

type Body = (stage: Stage) => Promise<void>;

const CASES: readonly (readonly [name: string, body: Body])[] = [
  ["a lease is what is wanted, as far as it fits", async (stage) => {
    const id = await stage.addToken("a");
    assert.deepEqual(await one(stage, "s1", asked(id, { wantedNano: 700 })), {
      tokenId: id,
      leaseNano: 700,
      spentNano: 0,
      othersLeaseNano: 0,
    });
    assert.deepEqual(await one(stage, "s2", asked(id, { wantedNano: 700 })), {
      tokenId: id,
      leaseNano: 300,
      spentNano: 0,
      othersLeaseNano: 700,
    });
    assert.equal((await one(stage, "s3", asked(id, { neededNano: 1, wantedNano: 1 }))).leaseNano, 0);
    assert.equal(await stage.leased(id), BUDGET);
  }],
  ["rows are sums, not changes, and those of all sources count from the first day", async (stage) => {
    const id = await stage.addToken("a");
    await one(stage, "s1", asked(id, { rows: [row(10), row(500, { day: daysAgo(1) })] }));
    await one(stage, "s1", asked(id, { rows: [row(30, { requests: 3, tokens: 33 })] }));
    const rows = [row(5, { estimatedNano: 4, overshootNano: 3 })];
    const answer = await one(stage, "s2", asked(id, { rows, wantedNano: 2_000 }));
    assert.deepEqual([answer.spentNano, answer.leaseNano], [35, BUDGET - 35]);
    const other = await one(stage, "s2", asked(id, { fromDay: daysAgo(1), wantedNano: 2_000 }));
    assert.deepEqual([other.spentNano, other.leaseNano], [535, BUDGET - 535]);
    assert.deepEqual(await stage.spend([id]), [
      { tokenId: id, ...row(500, { day: daysAgo(1) }) },
      { tokenId: id, ...row(35, { requests: 4, tokens: 43, estimatedNano: 4, overshootNano: 3 }) },
    ]);
    assert.deepEqual(await stage.spend([id], today), (await stage.spend()).slice(1));
    assert.deepEqual(await stage.spend([id + 1]), []);
  }],
  ["what is under way stays covered when the budget is lowered, and nothing more", async (stage) => {
    const id = await stage.addToken("a");
    await one(stage, "s1", asked(id, { wantedNano: 800 }));
    const lowered = { budgetNano: 100, neededNano: 300, wantedNano: 800 };
    assert.equal((await one(stage, "s1", asked(id, lowered))).leaseNano, 300);
    assert.equal((await one(stage, "s2", asked(id, { ...lowered, wantedNano: 300 }))).leaseNano, 0);
    // 250 of the 300 were spent, so that no more than 50 are held.
    assert.equal((await one(stage, "s1", asked(id, { ...lowered, rows: [row(250)] }))).leaseNano, 50);
    assert.equal((await one(stage, "s1", asked(id, { ...lowered, neededNano: 0 }))).leaseNano, 0);
  }],
  ["a request that cost more than was leased leaves nothing to others", async (stage) => {
    const id = await stage.addToken("a");
    await one(stage, "s1", asked(id, { wantedNano: 100 }));
    const answer = await one(stage, "s1", asked(id, { rows: [row(1_200)], neededNano: 5, wantedNano: 50 }));
    assert.deepEqual([answer.leaseNano, answer.spentNano], [0, 1_200]);
    assert.equal((await one(stage, "s2", asked(id, { neededNano: 1, wantedNano: 1 }))).leaseNano, 0);
  }],
  ["a token without a budget has rows and no lease", async (stage) => {
    const id = await stage.addToken("a");
    const request = asked(id, { rows: [row(7)], neededNano: 5, wantedNano: 50, budgetNano: null });
    assert.deepEqual(await one(stage, "s1", request), {
      tokenId: id,
      leaseNano: 0,
      spentNano: 7,
      othersLeaseNano: 0,
    });
    assert.equal(await stage.leased(id), 0);
  }],
  ["several tokens are renewed together, each by itself", async (stage) => {
    const ids = [await stage.addToken("a"), await stage.addToken("b"), await stage.addToken("c")];
    const answers = await stage.renew(
      "s1",
      ids.toReversed().map((id, n) => asked(id, { rows: [row(10 * n)], wantedNano: 100 + n })),
    );
    assert.deepEqual(
      answers.map(({ tokenId, leaseNano, spentNano }) => [tokenId, leaseNano, spentNano]),
      ids.toReversed().map((id, n) => [id, 100 + n, 10 * n]),
    );
    assert.deepEqual(await stage.renew("s1", []), []);
  }],
  ["the lease of a dead server is charged once, as an estimate, and nothing else is", async (stage) => {
    const id = await stage.addToken("a");
    await one(stage, "s1", asked(id, { rows: [row(40)], wantedNano: 200 }));
    await one(stage, "s2", asked(id, { wantedNano: 100 }));
    await stage.bury("s1");
    await stage.bury("s1");
    const [day] = await stage.spend([id]);
    assert.deepEqual(day, { tokenId: id, ...row(240, { estimatedNano: 200 }) });
    assert.equal(await stage.leased(id), 100);
    const answer = await one(stage, "s2", asked(id, { wantedNano: 5_000 }));
    assert.deepEqual([answer.spentNano, answer.leaseNano, answer.othersLeaseNano], [240, 760, 0]);
  }],
  ["a lease that was given back leaves nothing to be charged", async (stage) => {
    const id = await stage.addToken("a");
    await one(stage, "s1", asked(id, { wantedNano: 200 }));
    await one(stage, "s1", asked(id, { rows: [row(40)] }));
    assert.equal(await stage.leased(id), 0);
    await stage.bury("s1");
    assert.equal(await spent(stage, id), 40);
  }],
  ["a server that was only thought dead takes back what it was charged", async (stage) => {
    const id = await stage.addToken("a");
    await one(stage, "s1", asked(id, { rows: [row(40)], wantedNano: 200 }));
    await stage.bury("s1");
    assert.equal(await spent(stage, id), 240);
    // It had gone on, and has spent 90 of its lease meanwhile.
    const back = asked(id, { rows: [row(130)], neededNano: 20, wantedNano: 50 });
    const answer = await one(stage, "s1", back);
    assert.deepEqual([answer.spentNano, answer.leaseNano], [130, 50]);
    assert.equal(await spent(stage, id), 130);
    assert.equal(await stage.leased(id), 50);
    // Also where others have taken the rest of the budget.
    await stage.bury("s1");
    await one(stage, "s2", asked(id, { wantedNano: 5_000 }));
    assert.equal(await spent(stage, id) + await stage.leased(id), BUDGET);
    const late = await one(stage, "s1", asked(id, { rows: [row(150)], neededNano: 25, wantedNano: 50 }));
    assert.equal(late.leaseNano, 30);
    assert.equal(await spent(stage, id) + await stage.leased(id), BUDGET);
    // What it holds for requests under way stays covered, although the budget was lowered meanwhile.
    await stage.bury("s1");
    const lowered = { rows: [row(155)], neededNano: 20, wantedNano: 50, budgetNano: 100 };
    assert.equal((await one(stage, "s1", asked(id, lowered))).leaseNano, 20);
  }],
  ["old rows of dead servers become one, exactly", async (stage) => {
    const id = await stage.addToken("a");
    const old = daysAgo(10);
    for (const [source, cost] of [["s1", 100], ["s2", 20], ["s3", 3]] as const) {
      const changes = { estimatedNano: 1, overshootNano: 2 };
      await one(stage, source, asked(id, { rows: [row(cost, { day: old, ...changes }), row(cost)] }));
    }
    await stage.bury("s1");
    await stage.bury("s2");
    const before = await stage.spend();
    assert.equal(await stage.countRows(id), 6);
    await stage.merge();
    await stage.merge();
    assert.equal(await stage.countRows(id), 5);
    assert.deepEqual(await stage.spend(), before);
    await stage.bury("s3");
    await stage.merge();
    assert.equal(await stage.countRows(id), 4);
    assert.deepEqual(await stage.spend(), before);
    assert.equal(await spent(stage, id), 246);
  }],
  ["what belongs to tokens that are no more is forgotten", async (stage) => {
    const [gone, kept] = [await stage.addToken("a"), await stage.addToken("b")];
    for (const id of [gone, kept]) await one(stage, "s1", asked(id, { rows: [row(9)], wantedNano: 9 }));
    await stage.removeToken(gone);
    await one(stage, "s1", asked(gone, { rows: [row(10)], wantedNano: 9 }));
    await stage.merge();
    assert.deepEqual([await spent(stage, gone), await stage.leased(gone)], [0, 0]);
    assert.deepEqual([await spent(stage, kept), await stage.leased(kept)], [9, 9]);
  }],
  ["amounts of millions of dollars are exact", async (stage) => {
    const id = await stage.addToken("a");
    const costNano = 4_000_000_000_000_001;
    const budgetNano = 9_000_000_000_000_000;
    const answer = await one(stage, "s1", asked(id, { rows: [row(costNano)], wantedNano: 9e15, budgetNano }));
    assert.equal(answer.leaseNano, budgetNano - costNano);
  }],
  ["rows and leases never exceed the budget, whoever dies and comes back", async (stage) => {
    for (let seed = 1; seed <= 3; seed++) await randomSchedule(stage, seed);
  }],
];

/** A server as its memory has it. */
interface Server {
  spentNano: number;
  leaseNano: number;
}

/** Servers charge within what they were told, die and come back at random. */
async function randomSchedule(stage: Stage, seed: number): Promise<void> {
  const id = await stage.addToken(`token ${seed}`);
  const random = numbersFrom(seed);
  const servers = new Map<string, Server>();
  const ended: Server[] = [];
  const nameOf = (): string => `s${seed}-${random(4)}-${ended.length}`;
  for (let step = 0; step < 60; step++) {
    const name = [...servers.keys()][random(servers.size + 1)] ?? nameOf();
    const server = servers.get(name) ?? { spentNano: 0, leaseNano: 0 };
    servers.set(name, server);
    const cost = random(server.leaseNano + 1);
    server.spentNano += cost;
    server.leaseNano -= cost;
    const kind = random(10);
    if (kind === 0) {
      servers.delete(name);
      ended.push(server);
      await stage.bury(name);
    } else if (kind === 1) {
      await stage.bury(name);
    } else {
      const neededNano = random(server.leaseNano + 40);
      const request = { rows: [row(server.spentNano)], neededNano, wantedNano: neededNano + random(200) };
      const { leaseNano } = await one(stage, name, asked(id, request));
      assert.ok(leaseNano >= Math.min(neededNano, server.leaseNano), `seed ${seed}, step ${step}`);
      server.leaseNano = leaseNano;
    }
    const charged = [...ended, ...servers.values()].reduce((sum, each) => sum + each.spentNano, 0);
    const counted = await spent(stage, id) + await stage.leased(id);
    assert.ok(charged <= counted && counted <= BUDGET, `seed ${seed}, step ${step}: ${charged}, ${counted}`);
  }
  const living = [...servers];
  for (const [name, server] of living) {
    await one(stage, name, asked(id, { rows: [row(server.spentNano)] }));
  }
  // What the living have charged is exact, and the dead are charged all that they might have.
  const exact = living.reduce((sum, [, each]) => sum + each.spentNano, 0);
  const dead = ended.reduce((sum, each) => sum + each.spentNano + each.leaseNano, 0);
  assert.equal(await spent(stage, id), exact + dead, `seed ${seed}`);
  assert.equal(await stage.leased(id), 0);
}

/** A linear congruential generator (https://en.wikipedia.org/wiki/Linear_congruential_generator): below the limit. */
function numbersFrom(seed: number): (limit: number) => number {
  let state = seed * 7_919;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * Math.max(1, limit));
  };
}

async function onSqlite(body: Body): Promise<void> {
  await withDirectory(async (path) => {
    const sessions = new Map<string, WriterSession>();
    const session = (source: string): WriterSession => {
      const found = sessions.get(source);
      if (found !== undefined) return found;
      const made = makeSession(path, undefined, source);
      made.beat();
      sessions.set(source, made);
      return made;
    };
    session("other");
    const db = new DatabaseSync(path);
    const one = (sql: string, ...values: (string | number)[]): number =>
      Number(Object.values(db.prepare(sql).get(...values) ?? {})[0] ?? 0);
    try {
      await body({
        renew: (source, requests) => Promise.resolve(session(source).renewSpend(requests).answers),
        bury: (source) => {
          db.prepare("UPDATE instances SET heartbeat_at = '2020-01-01 00:00:00+00:00' WHERE id = ?").run(
            source,
          );
          session("other").beat();
          return Promise.resolve();
        },
        merge: () => Promise.resolve(session("other").mergeSpend()),
        addToken: (name) =>
          Promise.resolve(one("INSERT INTO client_tokens(name) VALUES (?) RETURNING id", name)),
        removeToken: (id) => {
          db.prepare("DELETE FROM client_tokens WHERE id = ?").run(id);
          return Promise.resolve();
        },
        spend: (tokenIds, fromDay = "") =>
          Promise.resolve(readSpend(db, { fromDay, ...(tokenIds === undefined ? {} : { tokenIds }) })),
        leased: (id) => Promise.resolve(one("SELECT sum(nano) FROM token_leases WHERE token_id = ?", id)),
        countRows: (id) => Promise.resolve(one("SELECT count(*) FROM token_spend WHERE token_id = ?", id)),
      });
    } finally {
      db.close();
      for (const each of sessions.values()) each.close();
    }
  });
}

async function onPostgres(postgres: Postgres, [, url]: PgWay, body: Body): Promise<void> {
  await postgres.clear();
  const db = openPg(url);
  const renewing = openPg(url);
  const one = async (sql: string, ...values: (string | number)[]): Promise<number> => {
    const [row] = await db.write((query) => query<{ value: number | null }>(sql, values));
    return row?.value ?? 0;
  };
  try {
    await migrate(db);
    await body({
      renew: async (source, requests) => {
        await one(
          "INSERT INTO oar.instances(id, heartbeat_at) VALUES ($1, now()) ON CONFLICT DO NOTHING",
          source,
        );
        return await new RemoteLeases(renewing, source).renew(requests);
      },
      bury: async (source) => {
        await one("DELETE FROM oar.instances WHERE id = $1", source);
        // They wait for a while.
        await one("UPDATE oar.token_leases SET renewed_ms = renewed_ms - 60000 WHERE source = $1", source);
        await chargeDeadLeases(db, { source: "other", dayOf });
      },
      merge: () => mergeRemoteSpend(db),
      addToken: (name) => one("INSERT INTO oar.client_tokens(name) VALUES ($1) RETURNING id AS value", name),
      removeToken: async (id) => {
        await one("DELETE FROM oar.client_tokens WHERE id = $1", id);
      },
      spend: (tokenIds, fromDay = "") =>
        readRemoteSpend(db, { fromDay, ...(tokenIds === undefined ? {} : { tokenIds }) }),
      leased: (id) => one("SELECT sum(nano)::bigint AS value FROM oar.token_leases WHERE token_id = $1", id),
      countRows: (id) => one("SELECT count(*) AS value FROM oar.token_spend WHERE token_id = $1", id),
    });
  } finally {
    await Promise.all([db.close(), renewing.close()]);
  }
}

for (const [name, body] of CASES) Deno.test(`spending in SQLite: ${name}`, () => onSqlite(body));

Deno.test({
  name: "spending in PostgreSQL",
  ignore: isPostgresMissing,
  fn: (t) =>
    overEveryWay(async (postgres, way) => {
      for (const [name, body] of CASES) {
        await t.step(`${way[0]}: ${name}`, () => onPostgres(postgres, way, body));
      }
    }),
});
