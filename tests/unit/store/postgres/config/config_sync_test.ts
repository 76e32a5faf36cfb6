import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { ConfigRows } from "../../../../../src/store/postgres/config/config_rows.ts";
import { ConfigSync } from "../../../../../src/store/postgres/config/config_sync.ts";
import type { LoadedConfig } from "../../../../../src/store/postgres/config/remote_config.ts";
import { FakeClock } from "../../../../support/fake_clock.ts";

const ROWS: ConfigRows = { openai_upstreams: [], config_kvs: [], upstream_checks: [], client_tokens: [] };

/** PostgreSQL as far as it is needed. */
class Pretended {
  readonly clock = new FakeClock();
  readonly put: number[] = [];
  readonly troubles: unknown[] = [];
  firsts = 0;
  loads = 0;
  versionsAsked = 0;
  versionNumber = 1;
  failure: Error | null = null;
  putFailure: Error | null = null;
  /** Waited for before a load ends. */
  gate: Promise<void> = Promise.resolve();
  notify: (text: string) => void = () => {};
  isListening = false;
  readonly sync: ConfigSync;

  constructor(start: Partial<Pick<Pretended, "failure" | "gate">> = {}) {
    Object.assign(this, start);
    this.sync = new ConfigSync({
      remote: {
        version: () => {
          this.versionsAsked++;
          return this.failure === null ? Promise.resolve(this.versionNumber) : Promise.reject(this.failure);
        },
        load: () => this.#load(),
      },
      database: {
        listen: (_, callback) => {
          this.isListening = true;
          this.notify = callback;
          return () => this.isListening = false;
        },
      },
      clock: this.clock,
      put: (rows) => {
        assert.equal(rows, ROWS);
        if (this.putFailure !== null) throw this.putFailure;
        this.put.push(this.loads);
      },
      onFirst: () => this.firsts++,
      onTrouble: (error) => this.troubles.push(error),
    });
  }

  async #load(): Promise<LoadedConfig> {
    const version = this.versionNumber;
    this.loads++;
    if (this.failure !== null) throw this.failure;
    await this.gate;
    return { version, rows: ROWS, lastIds: { openai_upstreams: 0, config_kvs: 0, client_tokens: 0 } };
  }

  async pass(ms: number): Promise<void> {
    await setImmediate();
    this.clock.advance(ms);
    await setImmediate();
  }
}

Deno.test("ConfigSync copies at the beginning, and then only what has another version", async () => {
  const pretended = new Pretended();
  await pretended.pass(0);
  for (let second = 0; second < 5; second++) await pretended.pass(500);
  assert.deepEqual([pretended.put.length, pretended.firsts], [1, 1]);
  pretended.versionNumber++;
  await pretended.pass(500);
  assert.deepEqual([pretended.put.length, pretended.firsts], [2, 1]);
  pretended.sync.close();
});

Deno.test("ConfigSync copies at a notification, at once", async () => {
  const pretended = new Pretended();
  await pretended.pass(0);
  pretended.versionNumber++;
  pretended.notify("2");
  await setImmediate();
  assert.equal(pretended.put.length, 2);
  pretended.sync.close();
});

Deno.test("ConfigSync copies once more what changed while it copied", async () => {
  const gate = Promise.withResolvers<void>();
  const pretended = new Pretended({ gate: gate.promise });
  pretended.versionNumber++;
  pretended.notify("2");
  pretended.notify("2");
  gate.resolve();
  await setImmediate();
  assert.deepEqual(pretended.put, [1, 2]);
  pretended.sync.close();
});

Deno.test("look() resolves with what was there when it was called", async () => {
  const gate = Promise.withResolvers<void>();
  const pretended = new Pretended({ gate: gate.promise });
  pretended.versionNumber++;
  const looked = pretended.sync.look();
  gate.resolve();
  await looked;
  assert.equal(pretended.put.length, 2);
  pretended.sync.close();
});

Deno.test("ConfigSync goes on while PostgreSQL is away, and when the copy cannot be written", async () => {
  const pretended = new Pretended({ failure: new Error("away") });
  await pretended.pass(0);
  await pretended.pass(500);
  await pretended.pass(500);
  assert.deepEqual([pretended.put.length, pretended.firsts], [0, 0]);
  assert.equal(pretended.troubles.length, 3);
  pretended.failure = null;
  pretended.putFailure = new Error("full");
  await pretended.pass(500);
  assert.equal(pretended.troubles.length, 4);
  pretended.putFailure = null;
  await pretended.pass(500);
  assert.deepEqual([pretended.put.length, pretended.firsts], [1, 1]);
  pretended.sync.close();
});

Deno.test("ConfigSync does nothing after its end", async () => {
  const gate = Promise.withResolvers<void>();
  const pretended = new Pretended({ gate: gate.promise });
  pretended.sync.close();
  gate.resolve();
  await pretended.pass(5_000);
  await pretended.sync.look();
  assert.deepEqual([pretended.put.length, pretended.loads, pretended.isListening], [0, 1, false]);
});

Deno.test("ConfigSync copies everything now and then, because the same version may stand for another change", async () => {
  const pretended = new Pretended();
  await pretended.pass(0);
  for (let second = 0; second < 25; second++) await pretended.pass(1_000);
  assert.deepEqual(pretended.put, [1, 2, 3]);
  assert.equal(pretended.firsts, 1);
  pretended.sync.close();
});

Deno.test("ConfigSync asks for the version as often when it copies everything", async () => {
  const pretended = new Pretended();
  await pretended.pass(0);
  for (let second = 0; second < 12; second++) await pretended.pass(1_000);
  assert.equal(pretended.versionsAsked, 12);
  pretended.sync.close();
});
