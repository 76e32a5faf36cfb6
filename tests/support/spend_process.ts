/**
 * A process that waits for a byte of input, then charges one token within its leases, and prints each charge once it counts: `PATH TOKEN BUDGET`. Ends
 * when the budget is used up, leaving its last lease behind.
 */
import { RunningMark } from "../../src/store/database/running_marks.ts";
import { WriterSession } from "../../src/store/write/session.ts";
import { KEEP_EVERYTHING } from "../../src/store/write/retention.ts";

const [path = "", token = "", budget = ""] = Deno.args;
const day = new Date().toISOString().slice(0, 10);
const instance = crypto.randomUUID();
const session = new WriterSession({
  ...{ path, durability: "normal", instance, pid: Deno.pid, timeZone: "UTC" },
  ...{ busyTimeoutMs: 20_000, retention: KEEP_EVERYTHING },
});
session.beat();
// By it others know at once that this process has died.
RunningMark.set(path, instance);

// All begin together.
Deno.stdout.writeSync(new TextEncoder().encode("0\n"));
Deno.stdin.readSync(new Uint8Array(1));
let costNano = 0;
for (;;) {
  const [answer] = session.renewSpend([{
    tokenId: Number(token),
    rows: [{ day, costNano, requests: 1, tokens: 1, estimatedNano: 0, overshootNano: 0 }],
    ...{ neededNano: 1, wantedNano: 7, budgetNano: Number(budget), fromDay: day },
  }]).answers;
  const lease = answer?.leaseNano ?? 0;
  if (lease === 0) break;
  costNano += lease;
  Deno.stdout.writeSync(new TextEncoder().encode(`${lease}\n`));
}
