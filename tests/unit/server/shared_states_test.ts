/**
 * A server's breakers and the way to the other replicas, with the thread and PostgreSQL pretended.
 */
import assert from "node:assert/strict";
import type { HealthReport } from "../../../src/core/blame.ts";
import type { Clock, TimerId } from "../../../src/core/clock.ts";
import type { Upstream } from "../../../src/core/types.ts";
import { targetOf } from "../../../src/core/upstream_target.ts";
import { systemClock } from "../../../src/server/clock.ts";
import { makeHealth } from "../../../src/server/health.ts";
import type { Observers } from "../../../src/server/observers.ts";
import type { RemoteEvent } from "../../../src/server/remote_thread.ts";
import { shareStates } from "../../../src/server/shared_states.ts";
import type { Registry } from "../../../src/store/config/registry.ts";
import type { ForeignState, OwnState } from "../../../src/store/postgres/shared_states.ts";
import type { ConfigStore, RegistryListener, RegistrySnapshot } from "../../../src/store/store.ts";
import { UpstreamStateNotes } from "../../../src/store/write/upstream_state_notes.ts";
import { anInbound } from "../../support/failover_stage.ts";
import { anUpstream } from "../../support/upstream_value.ts";

const SECRET = "sk-of-a-client-0123456789";
const NO_CREDIT: HealthReport = { type: "no_credit", by: "router", isCertain: true };
const WAIT: HealthReport = { type: "throttled", by: "router", forMs: 60_000 };

class Server {
  upstreams: readonly Upstream[] = [];
  /** Of the thread. */
  readonly told: (readonly OwnState[])[] = [];
  readonly alerts: string[] = [];
  /** Of the metrics. */
  readonly shown: string[] = [];
  readonly #registered: RegistryListener[] = [];
  readonly #listeners: ((event: RemoteEvent) => void)[] = [];
  #timers: (() => void)[] = [];
  readonly #clock: Clock = {
    ...systemClock,
    setTimer: (callback): TimerId => {
      this.#timers.push(callback);
      return {};
    },
    clearTimer: () => this.#timers = [],
  };
  readonly #registry: Pick<Registry, "snapshot" | "onChange"> = {
    snapshot: () => ({ upstreams: this.upstreams } as RegistrySnapshot),
    onChange: (callback) => {
      this.#registered.push(callback);
      return () => {};
    },
  };
  readonly health = this.#makeHealth();
  readonly sharing: { stop(): void };

  constructor(early: readonly ForeignState[] = []) {
    this.sharing = shareStates({
      health: this.health,
      remote: {
        listen: (listener) => this.#listeners.push(listener),
        thread: { foreignStates: early, states: (states) => this.told.push(states) },
      },
      registry: this.#registry,
      clock: this.#clock,
    });
  }

  #makeHealth() {
    const metrics = {
      upstreamState: (_name: string, state: string) => this.shown.push(state),
      upstreamsChanged: () => {},
      upstreamDegraded: () => {},
    };
    const notifier = { raise: ({ type }: { readonly type: string }) => this.alerts.push(type) };
    const made = makeHealth({ breakerMaxMs: 15_000 }, {
      observers: { metrics, notifier } as unknown as Observers,
      upstreamStates: new UpstreamStateNotes({ listen: () => {}, sendIfRunning: () => {} }),
      registry: this.#registry as Registry,
      config: { listUpstreamChecks: () => new Map() } as unknown as ConfigStore,
      secrets: () => [SECRET],
    });
    made.stop();
    return made;
  }

  configure(upstreams: readonly Upstream[], enabledAnew: readonly number[] = []): void {
    this.upstreams = upstreams;
    for (const callback of this.#registered) {
      callback({ ...this.#registry.snapshot(), tokens: [] }, new Set(enabledAnew));
    }
  }

  hear(...states: ForeignState[]): void {
    for (const listener of this.#listeners) listener({ type: "foreign_states", states });
  }

  report(upstream: Upstream, report: HealthReport, { model = "m", reason = "because" } = {}): void {
    this.health.health.begin(upstream, anInbound({ model })).end(report, reason);
  }

  is(upstream: Upstream): string {
    return this.health.health.standing(upstream, anInbound({ model: "m" })).availability;
  }

  /** What is told after what has happened so far; null: nothing new. */
  tell(): readonly OwnState[] | null {
    const before = this.told.length;
    for (const callback of this.#timers.splice(0)) callback();
    return this.told.length === before ? null : this.told.at(-1) ?? null;
  }
}

function heard(upstream: Upstream, more: Partial<ForeignState> = {}): ForeignState {
  return {
    ...{
      upstreamId: upstream.id,
      target: targetOf(upstream),
      source: "two",
      model: null,
      cause: "no_credit",
    },
    ...{ opening: 1, untilMs: Date.now() + 60_000, reason: "HTTP 402", isTold: true },
    ...more,
  };
}

Deno.test("what a server finds is told once for all that happens together, in the wall clock's time", () => {
  const server = new Server();
  const [one, two] = [anUpstream(1), anUpstream(2)];
  server.configure([one, two]);
  server.report(one, NO_CREDIT);
  server.report(two, WAIT);
  const told = server.tell() ?? [];
  assert.equal(server.told.length, 1);
  assert.deepEqual(told.map(({ upstreamId, state, target }) => [upstreamId, state, target]), [
    [1, "no_credit", targetOf(one)],
    [2, "open", targetOf(two)],
  ]);
  assert.deepEqual(
    told.flatMap(({ findings }) => findings.map(({ model, cause, reason }) => [model, cause, reason])),
    [[null, "no_credit", "because"], ["m", "throttled", "because"]],
  );
  for (const { untilMs } of told.flatMap(({ findings }) => findings)) {
    assert.ok(untilMs > Date.now() && untilMs < Date.now() + 3_600_000);
  }
  server.report(one, { type: "served" });
  assert.equal(server.tell()?.length, 1, "the flapping of five seconds is no state");
  assert.equal(server.tell(), null);
});

Deno.test("no secret is told, and not more than a few models of an upstream: those that wait for longest", () => {
  const server = new Server();
  const upstream = anUpstream(1);
  server.configure([upstream]);
  for (let n = 0; n < 40; n++) {
    server.report(upstream, { ...WAIT, forMs: 60_000 + 1_000 * n }, {
      model: `m${n}`,
      reason: `no ${SECRET}`,
    });
  }
  for (const model of [SECRET, `x ${SECRET}`, "m\0", "\ud800", "m".repeat(300)]) {
    server.report(upstream, { ...WAIT, forMs: 290_000 }, { model });
  }
  server.report(upstream, NO_CREDIT, { reason: "long ".repeat(1_000) });
  const told = server.tell() ?? [];
  const [state] = told;
  assert.deepEqual(state?.findings.slice(0, 3).map(({ model }) => model), [null, "m39", "m38"]);
  assert.equal(state?.findings.length, 32);
  assert.ok(!JSON.stringify(told).includes(SECRET));
  assert.ok(JSON.stringify(told).length < 20_000);
});

Deno.test("what another replica finds holds back here; it is shown, but neither alerted nor told on", () => {
  const server = new Server();
  const upstream = anUpstream(1);
  server.configure([upstream]);
  server.hear(heard(upstream));
  assert.equal(server.is(upstream), "cooling");
  assert.deepEqual([server.shown, server.alerts], [["no_credit"], []]);
  assert.deepEqual(server.health.heldBack(), { no_credit: 1 });
  assert.equal(server.health.health.view(1).reason, "another replica: HTTP 402");
  assert.deepEqual(server.tell(), []);
  server.hear();
  assert.equal(server.is(upstream), "ready");
  assert.deepEqual([server.shown, server.alerts], [["no_credit", "closed"], []]);
});

Deno.test("what was found with another key or endpoint does not count", () => {
  const server = new Server();
  const upstream = anUpstream(1);
  server.configure([upstream]);
  const former = heard({ ...upstream, sk: "sk-former-0123456789" });
  server.hear(former);
  assert.equal(server.is(upstream), "ready");
  server.hear(former, heard(upstream));
  assert.equal(server.is(upstream), "cooling");
  const changed = { ...upstream, endpoint: "https://other.example/v1" };
  server.configure([changed]);
  assert.equal(server.is(changed), "ready");
});

Deno.test("what was heard before an upstream, or the whole server, was there counts as well", () => {
  const upstream = anUpstream(1);
  const server = new Server([heard(upstream)]);
  assert.equal(server.is(upstream), "ready");
  server.configure([upstream]);
  assert.equal(server.is(upstream), "cooling");
});

Deno.test("what the operator enables is tried at once, although another replica still says otherwise", () => {
  const server = new Server();
  const upstream = anUpstream(1);
  server.configure([upstream]);
  server.hear(heard(upstream));
  server.configure([upstream], [1]);
  assert.equal(server.is(upstream), "ready");
  server.hear(heard(upstream), heard(upstream, { source: "three", cause: "outage" }));
  assert.equal(server.is(upstream), "ready");
  server.hear(heard(upstream, { opening: 2 }));
  assert.equal(server.is(upstream), "cooling");
});

Deno.test("nothing is told after the end", () => {
  const server = new Server();
  const upstream = anUpstream(1);
  server.configure([upstream]);
  server.report(upstream, NO_CREDIT);
  server.sharing.stop();
  assert.equal(server.tell(), null);
});
