/**
 * What replicas tell each other of upstreams, over a real PostgreSQL: two sessions, and two threads with the breakers of a
 * server behind them.
 */
import assert from "node:assert/strict";
import type { HealthReport } from "../../../src/core/blame.ts";
import type { Clock } from "../../../src/core/clock.ts";
import type { Upstream } from "../../../src/core/types.ts";
import { type HealthListener, UpstreamHealth } from "../../../src/proxy/attempt/upstream_health.ts";
import { systemClock } from "../../../src/server/clock.ts";
import { spawnRemoteWorker } from "../../../src/server/database_worker.ts";
import { type RemoteEvent, RemoteThread } from "../../../src/server/remote_thread.ts";
import { shareStates } from "../../../src/server/shared_states.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import { systemPgEnvironment } from "../../../src/store/postgres/environment.ts";
import { RemoteSession } from "../../../src/store/postgres/remote_session.ts";
import type { ForeignState, OwnState } from "../../../src/store/postgres/shared_states.ts";
import { parsePgUrl } from "../../../src/store/postgres/url.ts";
import type { RegistryListener, RegistrySnapshot } from "../../../src/store/store.ts";
import { anInbound } from "../../support/failover_stage.ts";
import {
  isPgBouncerMissing,
  isPostgresMissing,
  openPg,
  PgBouncer,
  Postgres,
} from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";
import { anUpstream } from "../../support/upstream_value.ts";

const KEEP = { keepDays: null, keepBodiesDays: null, maxBytes: null };
const HOUR_MS = 3_600_000;

function journalIn(folder: string, name: string): string {
  const journal = `${folder}/${name}.sqlite`;
  openDatabase(journal).close();
  return journal;
}

class Replica implements AsyncDisposable {
  readonly session: RemoteSession;
  readonly troubles: string[] = [];
  heard: readonly ForeignState[] | null = null;
  copies = 0;

  constructor(folder: string, { name, url, aheadMs = 0 }: {
    readonly name: string;
    readonly url: string;
    /** Of its wall clock. */
    readonly aheadMs?: number;
  }) {
    const clock: Clock = { ...systemClock, now: () => Date.now() + aheadMs };
    this.session = new RemoteSession({
      ...{ database: openPg(url), journal: journalIn(folder, name), instance: name, clock },
      ...{ spendDatabase: openPg(url), timeZone: "UTC" },
      ...{ version: "1.2.3", listen: ":0", retention: KEEP, gatherMs: 0, newId: () => crypto.randomUUID() },
      events: {
        copied: () => this.copies++,
        changed: () => {},
        shipped: () => {},
        rejected: () => {},
        trouble: (kind, message) => this.troubles.push(`${kind}: ${message}`),
        resumed: () => {},
        dropped: () => {},
        foreignStates: (states) => this.heard = states,
      },
    });
    this.session.start();
  }

  /** Waits until it has heard just that: replica, model and cause. */
  async hears(...expected: string[]): Promise<void> {
    let last = "";
    await eventually(() => {
      last = JSON.stringify(
        (this.heard ?? []).map(({ source, model, cause }) => `${source} ${model} ${cause}`),
      );
      return Promise.resolve(this.heard !== null && last === JSON.stringify(expected) ? true : null);
    }, `${expected}`).catch((error) => {
      throw new Error(`${error.message}; last: ${last}; ${this.troubles.slice(-3)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close(5_000);
  }
}

function own(upstreamId: number, ...models: (string | null)[]): OwnState {
  const nowMs = Date.now();
  return {
    ...{
      upstreamId,
      state: "open",
      untilMs: nowMs + 30_000,
      reason: "HTTP 401",
      changedAtMs: nowMs,
      target: "t",
    },
    failures: { attempts: 20, failed: 7 },
    findings: models.map((model, n) => ({
      ...{
        model,
        cause: "refusal",
        opening: 17,
        untilMs: nowMs + 30_000 - n,
        reason: "HTTP 401",
        isTold: true,
      },
    })),
  };
}

Deno.test("replicas tell each other of upstreams", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  const folder = await Deno.makeTempDir();
  try {
    await t.step("two sessions, one of them with a clock that is an hour ahead", async () => {
      await using one = new Replica(folder, { name: "one", url: postgres.url() });
      await using two = new Replica(folder, { name: "two", url: postgres.url(), aheadMs: HOUR_MS });
      await tellStep(postgres, one, two);
      await removedStep(postgres, one, two);
      await foreignRowsStep(postgres, one, two);
      await awayStep(postgres, one, two);
      assert.deepEqual(two.troubles.filter((each) => each.startsWith("setup")), []);
    });
    await t.step({
      name: "through PgBouncer, and when one ends",
      ignore: isPgBouncerMissing,
      fn: async () => {
        await postgres.clear();
        await using bouncer = await PgBouncer.start(postgres);
        await using two = new Replica(folder, { name: "two", url: bouncer.url() });
        const one = new Replica(folder, { name: "one", url: bouncer.url() });
        one.session.states([own(1, null)]);
        await two.hears("one null refusal");
        await one.session.close(5_000);
        await two.hears();
        assert.equal(await postgres.psql("SELECT count(*) FROM oar.upstream_findings"), "0");
      },
    });
    await t.step(
      "two threads with breakers: a key that one finds refused is held back by the other",
      async () => {
        await postgres.clear();
        await breakersStep(postgres.url(), folder);
      },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function tellStep(postgres: Postgres, one: Replica, two: Replica): Promise<void> {
  one.session.states([own(1, null, "m", ""), own(2)]);
  await two.hears("one null refusal", "one m refusal", "one  refusal");
  const [heard] = two.heard ?? [];
  const leftMs = (heard?.untilMs ?? 0) - Date.now() - HOUR_MS;
  assert.ok(leftMs > 0 && leftMs <= 30_000, `${leftMs} ms are left`);
  assert.deepEqual([heard?.target, heard?.opening, heard?.isTold, heard?.reason], [
    "t",
    17,
    true,
    "HTTP 401",
  ]);
  // As people see it.
  assert.equal(
    await postgres.psql(
      `SELECT upstream_id, instance, state, reason, attempts, failed, until > now() AND until < now() + interval '31 s',
        changed_at <= now() AND changed_at > now() - interval '30 s' FROM oar.upstream_states ORDER BY upstream_id`,
    ),
    "1|one|open|HTTP 401|20|7|t|t\n2|one|open|HTTP 401|20|7|t|t",
  );
  two.session.states([own(1, "n")]);
  await one.hears("two n refusal");
  await two.hears("one null refusal", "one m refusal", "one  refusal");
  one.session.states([own(1, "m")]);
  await two.hears("one m refusal");
  one.session.states([]);
  await two.hears();
  two.session.states([]);
  await one.hears();
  assert.equal(await postgres.psql("SELECT count(*) FROM oar.upstream_states"), "0");
}

/** As another replica does that takes it for dead. */
async function removedStep(postgres: Postgres, one: Replica, two: Replica): Promise<void> {
  one.session.states([own(1, null)]);
  await two.hears("one null refusal");
  await postgres.psql("DELETE FROM oar.upstream_states WHERE instance = 'one'");
  assert.equal(await postgres.psql("SELECT count(*) FROM oar.upstream_findings"), "0");
  await eventually(async () => {
    return await postgres.psql("SELECT count(*) FROM oar.upstream_findings") === "1" ? true : null;
  }, "the row");
  await two.hears("one null refusal");
}

/** Of a dead replica, an older release, a newer one, and somebody with psql. */
async function foreignRowsStep(postgres: Postgres, one: Replica, two: Replica): Promise<void> {
  await postgres.psql(`
    INSERT INTO oar.instances(id, heartbeat_at) VALUES ('x', now() + interval '1 hour'), ('old', now()),
      ('silent', now() - interval '31 s');
    INSERT INTO oar.upstream_states(upstream_id, instance, state) VALUES (1, 'old', 'open'), (1, 'x', 'open'), (1, 'gone', 'open'), (1, 'silent', 'open');
    INSERT INTO oar.upstream_findings(upstream_id, instance, n, target, model, cause, opening, until) VALUES
      (1, 'gone', 0, 't', NULL, 'refusal', 1, now()),
      (1, 'silent', 0, 't', NULL, 'refusal', 1, now()),
      (1, 'x', 0, 't', NULL, 'refusal', 1, 'infinity'),
      (1, 'x', 1, 't', NULL, 'refusal', 1, '-infinity'),
      (1, 'x', 2, 't', repeat('m', 1000000), 'refusal', 1, now()),
      (1, 'x', 3, 't', NULL, 'something new', 1, now()),
      (1, 'x', 4, 't', 'good', 'no_credit', 9007199254740993, '294000-01-01')`);
  await two.hears("x good no_credit", "one null refusal");
  // The configuration is read by the same statement.
  await one.session.change((store) =>
    store.addUpstream({ sk: "sk-0123456789", endpoint: "https://a.example/v1" })
  );
  await postgres.psql("DELETE FROM oar.upstream_states WHERE instance IN ('old', 'x', 'gone', 'silent')");
  await two.hears("one null refusal");
}

async function awayStep(postgres: Postgres, one: Replica, two: Replica): Promise<void> {
  await postgres.kill9();
  one.session.states([own(1, "while it is away")]);
  one.session.states([own(1, "m")]);
  await eventually(() => Promise.resolve(two.troubles.length > 0 ? true : null), "the trouble");
  await postgres.start();
  await two.hears("one m refusal");
}

/** A server as far as its breakers: one upstream, and the thread. */
class Server implements AsyncDisposable {
  readonly upstream: Upstream = anUpstream(1);
  readonly thread: RemoteThread;
  readonly alerts: string[] = [];
  readonly #up = Promise.withResolvers<void>();
  /** It has looked at what others say. Without a limit: the runtime checks the types of a thread before it starts it. */
  readonly up = this.#up.promise;
  readonly #listeners: ((event: RemoteEvent) => void)[] = [];
  readonly #noted: (() => void)[] = [];
  readonly #registered: RegistryListener[] = [];
  readonly #health: UpstreamHealth;

  constructor(folder: string, { name, url }: { readonly name: string; readonly url: string }) {
    const journal = journalIn(folder, name);
    const target = parsePgUrl(url, systemPgEnvironment({}));
    const module = new URL("../../../src/server/remote_worker.ts", import.meta.url);
    const onChange: HealthListener = (_upstream, { news }) => {
      if (news !== null) this.alerts.push(news);
      for (const callback of this.#noted) callback();
    };
    this.#health = new UpstreamHealth(systemClock, onChange);
    this.thread = new RemoteThread({
      spawnWorker: () => spawnRemoteWorker(module, { journal, target }),
      opening: {
        timeZone: "UTC",
        ...{ target, journal, instance: name, version: "1.2.3", listen: ":0", retention: KEEP, gatherMs: 0 },
      },
      clock: systemClock,
      onEvent: (event) => {
        if (event.type === "foreign_states") this.#up.resolve();
        if (event.type === "crashed" || event.type === "trouble") this.#up.reject(new Error(event.message));
        for (const listener of this.#listeners) listener(event);
      },
    });
    const snapshot = { upstreams: [this.upstream] } as unknown as RegistrySnapshot;
    shareStates({
      health: {
        health: this.#health,
        own: (upstreamId) => this.#own(upstreamId),
        onNoted: (callback) => this.#noted.push(callback),
      },
      remote: { listen: (listener) => this.#listeners.push(listener), thread: this.thread },
      registry: {
        snapshot: () => snapshot,
        onChange: (callback) => {
          this.#registered.push(callback);
          return () => {};
        },
      },
      clock: systemClock,
    });
  }

  #own(upstreamId: number) {
    const { view, findings } = this.#health.own(upstreamId);
    if (view.state === "closed") return null;
    const note = { upstreamId, state: view.state, untilMs: null, reason: "", changedAtMs: Date.now() };
    return { ...note, findings };
  }

  report(report: HealthReport): void {
    this.#health.begin(this.upstream, anInbound()).end(report, "HTTP 402");
  }

  async is(availability: string): Promise<void> {
    await eventually(() => {
      const standing = this.#health.standing(this.upstream, anInbound());
      return Promise.resolve(standing.availability === availability ? true : null);
    }, availability);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thread.close(5_000);
  }
}

async function breakersStep(url: string, folder: string): Promise<void> {
  await using one = new Server(folder, { name: "a", url });
  await using two = new Server(folder, { name: "b", url });
  await Promise.all([one.up, two.up]);
  one.report({ type: "no_credit", by: "router", isCertain: true });
  await two.is("cooling");
  assert.deepEqual([one.alerts, two.alerts], [["no_credit"], []]);
  const reason = two.thread.foreignStates[0]?.reason;
  assert.equal(reason, "HTTP 402");
  // A last resort that works after all: nothing is told of the five seconds in which it counts as flapping.
  one.report({ type: "served" });
  await two.is("ready");
  assert.deepEqual(two.alerts, []);
}
