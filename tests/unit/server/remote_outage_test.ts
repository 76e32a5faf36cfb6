import assert from "node:assert/strict";
import type { Alert } from "../../../src/notify/notifier.ts";
import { RemoteOutage } from "../../../src/server/remote_outage.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function stage(): { clock: FakeClock; outage: RemoteOutage; alerts: Alert[] } {
  const clock = new FakeClock();
  const alerts: Alert[] = [];
  const outage = new RemoteOutage({ clock, notifier: { raise: (alert) => void alerts.push(alert) } });
  return { clock, outage, alerts };
}

Deno.test("RemoteOutage says nothing of trouble that is over within five seconds", () => {
  const { clock, outage, alerts } = stage();
  outage.trouble("late");
  clock.advance(4_999);
  outage.resumed();
  clock.advance(60_000);
  assert.deepEqual(alerts, []);
});

Deno.test("RemoteOutage tells once of an outage, with its latest reason, and once of its end", () => {
  const { clock, outage, alerts } = stage();
  outage.trouble("late");
  clock.advance(3_000);
  outage.trouble("refused");
  clock.advance(2_000);
  outage.trouble("refused again");
  clock.advance(60_000);
  assert.deepEqual(alerts, [{ type: "postgres_down", reason: "refused" }]);
  outage.resumed();
  outage.resumed();
  assert.deepEqual(alerts.slice(1), [{ type: "postgres_resumed" }]);
});

Deno.test("RemoteOutage says nothing after it was stopped", () => {
  const { clock, outage, alerts } = stage();
  outage.trouble("late");
  outage.stop();
  clock.advance(60_000);
  assert.deepEqual(alerts, []);
});
