import assert from "node:assert/strict";
import { LimitedClients } from "../../../src/observe/limited_clients.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("one line a minute for each token and reason, and the numbers of the last hour", () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const limited = new LimitedClients({
    clock,
    log: ({ client, reason, unlogged }) => void lines.push(`${client} ${reason} ${unlogged}`),
  });
  for (let time = 0; time < 5; time++) limited.refused("amy", "rpm");
  limited.refused("amy", "budget");
  limited.refused("bob", "rpm");
  assert.deepEqual(lines, ["amy rpm 0", "amy budget 0", "bob rpm 0"]);
  assert.deepEqual(limited.summary(), [
    { client: "amy", reason: "rpm", lastHour: 5 },
    { client: "amy", reason: "budget", lastHour: 1 },
    { client: "bob", reason: "rpm", lastHour: 1 },
  ]);
  clock.advance(60_000);
  limited.refused("amy", "rpm");
  assert.equal(lines.at(-1), "amy rpm 4");
  clock.advance(59 * 60_000);
  assert.deepEqual(limited.summary(), [{ client: "amy", reason: "rpm", lastHour: 1 }]);
  clock.advance(60 * 60_000);
  assert.deepEqual(limited.summary(), []);
});

Deno.test("what is counted apart is bounded, and room comes back", () => {
  const clock = new FakeClock();
  const limited = new LimitedClients({ clock, log: () => {} });
  for (let client = 0; client < 2_000; client++) limited.refused(`client-${client}`, "tpm");
  assert.equal(limited.summary().length, 500);
  clock.advance(61 * 60_000);
  limited.refused("late", "tpm");
  assert.deepEqual(limited.summary(), [{ client: "late", reason: "tpm", lastHour: 1 }]);
});
