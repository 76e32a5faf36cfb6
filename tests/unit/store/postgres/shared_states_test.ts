import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { PgError } from "../../../../src/store/postgres/errors.ts";
import type { PgQuery, PgStore } from "../../../../src/store/postgres/query.ts";
import {
  type ForeignState,
  MAX_REASON_LENGTH,
  type OwnState,
  SharedStates,
} from "../../../../src/store/postgres/shared_states.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const AHEAD_MS = 3_600_000;

function own(upstreamId: number, more: Partial<OwnState> = {}): OwnState {
  return {
    ...{ upstreamId, state: "open", untilMs: null, reason: "HTTP 401", changedAtMs: 0, target: "t" },
    findings: [],
    ...more,
  };
}

/** PostgreSQL, whose clock goes an hour ahead, as far as it is needed. */
class Pretended {
  readonly clock = new FakeClock();
  /** Ids of the upstreams in each transaction. */
  readonly writes: unknown[][] = [];
  readonly statements: [text: string, values: readonly unknown[]][] = [];
  readonly heard: (readonly ForeignState[])[] = [];
  readonly troubles: unknown[] = [];
  readonly row = { version: 7, own: 0, others: null as string | null };
  failure: Error | null = null;
  /** Waited for before a transaction ends. */
  gate: Promise<void> = Promise.resolve();
  readonly states: SharedStates;

  constructor() {
    const database: Pick<PgStore, "read" | "write"> = {
      read: <Row>() => this.#read<Row>(),
      write: async (body) => {
        if (this.failure !== null) throw this.failure;
        const statements: [string, readonly unknown[]][] = [];
        const query: PgQuery = (text, values = []) => {
          statements.push([text, values]);
          return Promise.resolve([]);
        };
        const result = await body(query);
        await this.gate;
        this.statements.splice(0, Infinity, ...statements);
        const ids = statements.find(([text]) => text.includes("INTO oar.upstream_states"))?.[1][1];
        this.writes.push(Array.isArray(ids) ? ids : []);
        this.row.own = this.writes.at(-1)?.length ?? 0;
        return result;
      },
    };
    this.states = new SharedStates({
      ...{ database, clock: this.clock, instance: "me" },
      onForeign: (states) => this.heard.push(states),
      onTrouble: (error) => this.troubles.push(error),
    });
  }

  #read<Row>(): Promise<Row[]> {
    if (this.failure !== null) return Promise.reject(this.failure);
    return Promise.resolve([{ ...this.row, now_ms: this.clock.now() + AHEAD_MS } as Row]);
  }

  async look(): Promise<number> {
    const version = await this.states.look();
    await setImmediate();
    return version;
  }

  async put(...states: OwnState[]): Promise<void> {
    this.states.put(states);
    await setImmediate();
  }

  says(...rows: unknown[]): void {
    this.row.others = JSON.stringify(rows);
  }
}

Deno.test("look() gives the version, and writes nothing where there is nothing to say", async () => {
  const pretended = new Pretended();
  await pretended.put();
  assert.equal(await pretended.look(), 7);
  await pretended.look();
  assert.deepEqual([pretended.writes, pretended.heard], [[], [[]]]);
});

Deno.test("what changes is written at once, but not more often than twice a second", async () => {
  const pretended = new Pretended();
  await pretended.put(own(1));
  assert.deepEqual(pretended.writes, [], "the tables may not be there yet");
  await pretended.look();
  assert.deepEqual(pretended.writes, [[1]]);
  await pretended.look();
  await pretended.put(own(1), own(2));
  await pretended.put(own(2));
  await pretended.put(own(3));
  assert.deepEqual(pretended.writes, [[1], [1, 2]]);
  await pretended.look();
  await pretended.look();
  assert.deepEqual(pretended.writes, [[1], [1, 2], [3]]);
  await pretended.put();
  assert.deepEqual(pretended.writes.at(-1), []);
});

Deno.test("what changes while it is written is written next", async () => {
  const pretended = new Pretended();
  await pretended.look();
  const gate = Promise.withResolvers<void>();
  pretended.gate = gate.promise;
  await pretended.put(own(1));
  await pretended.put(own(2));
  await pretended.look();
  gate.resolve();
  await setImmediate();
  await pretended.look();
  assert.deepEqual(pretended.writes, [[1], [2]]);
});

Deno.test("times are written as distances from now", async () => {
  const pretended = new Pretended();
  await pretended.look();
  const nowMs = pretended.clock.now();
  const finding = {
    model: "m\0",
    cause: "throttled",
    opening: 5,
    untilMs: nowMs + 9_000,
    reason: "\ud800",
    isTold: true,
  } as const;
  await pretended.put(own(1, {
    untilMs: nowMs + 30_000,
    changedAtMs: nowMs - 1_000,
    reason: "a\0b",
    failures: { attempts: 9, failed: 4 },
    keys: [{ n: 2, key: "sk-…wxyz", state: "refused", untilMs: 7, reason: "HTTP 401" }],
    findings: [finding, { ...finding, model: null }],
  }));
  assert.deepEqual(pretended.statements.map(([, values]) => values), [
    ["me"],
    ["me", [1], ["open"], [30_000], ["a\ufffdb"], [-1_000], [9], [4], [
      '[{"n":2,"key":"sk-…wxyz","state":"refused","until":7,"reason":"HTTP 401"}]',
    ]],
    [
      "me",
      [1, 1],
      [0, 1],
      ["t", "t"],
      ["m\ufffd", null],
      ["throttled", "throttled"],
      [5, 5],
      [9_000, 9_000],
      ["\ufffd", "\ufffd"],
      [true, true],
    ],
  ]);
});

Deno.test("what others say is told when it changes, in this machine's time", async () => {
  const pretended = new Pretended();
  const nowMs = pretended.clock.now();
  const row = [1, "two", "t", null, "refusal", 5, nowMs + AHEAD_MS + 30_000, "HTTP 401", true];
  pretended.says(row);
  await pretended.look();
  await pretended.look();
  const expected: ForeignState = {
    ...{ upstreamId: 1, source: "two", target: "t", model: null, cause: "refusal", opening: 5 },
    ...{ untilMs: nowMs + 30_000, reason: "HTTP 401", isTold: true },
  };
  assert.deepEqual(pretended.heard, [[expected]]);
  pretended.row.others = null;
  await pretended.look();
  assert.deepEqual(pretended.heard, [[expected], []]);
});

Deno.test("rows that cannot be understood are ignored", async () => {
  const pretended = new Pretended();
  const good = [1, "two", "t", "m", "refusal", 5, 0, null, null];
  const spoilt = good.map((_value, at) => good.map((each, place) => place === at ? {} : each));
  pretended.says(
    good,
    ...spoilt.slice(0, -2),
    null,
    "text",
    good.with(4, "of a newer release"),
    good.with(3, "m".repeat(257)),
  );
  await pretended.look();
  assert.deepEqual(pretended.heard[0]?.map(({ model, reason }) => [model, reason]), [["m", ""]]);
  assert.ok(MAX_REASON_LENGTH > 0);
});

Deno.test("what others removed is written again: a replica that was frozen for long counted as dead", async () => {
  const pretended = new Pretended();
  await pretended.look();
  await pretended.put(own(1));
  await pretended.look();
  pretended.row.own = 0;
  await pretended.look();
  assert.deepEqual(pretended.writes, [[1], [1]]);
  await pretended.look();
  await pretended.look();
  assert.equal(pretended.writes.length, 2);
});

Deno.test("while PostgreSQL is away nothing is lost and nothing is told; afterwards the latest is written", async () => {
  const pretended = new Pretended();
  const away = new PgError("away", { kind: "retry", code: null, isConnectionLost: true });
  await pretended.look();
  pretended.failure = away;
  await pretended.put(own(1));
  await pretended.put(own(2));
  await assert.rejects(pretended.look(), away);
  assert.deepEqual([pretended.writes, pretended.heard, pretended.troubles], [[], [[]], []]);
  pretended.failure = null;
  await pretended.look();
  assert.deepEqual([pretended.writes, pretended.heard], [[[2]], [[]]]);
});

Deno.test("that a row cannot be written is told, unless PostgreSQL is away", async () => {
  const pretended = new Pretended();
  await pretended.look();
  pretended.failure = new PgError("no right", { kind: "setup", code: "42501", isConnectionLost: false });
  await pretended.put(own(1));
  assert.deepEqual(pretended.troubles, [pretended.failure]);
});

Deno.test("nothing is written or told after the end", async () => {
  const pretended = new Pretended();
  await pretended.look();
  const looking = pretended.look();
  pretended.says([1, "two", "t", null, "refusal", 5, 0, ""]);
  pretended.states.close();
  await looking;
  await pretended.put(own(1));
  await pretended.look();
  assert.deepEqual([pretended.writes, pretended.heard], [[], [[]]]);
});
