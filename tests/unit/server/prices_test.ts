/** A file of prices that changes while a server runs. */
import assert from "node:assert/strict";
import type { CostSubject } from "../../../src/core/prices.ts";
import { makePrices, type ServerPrices } from "../../../src/server/prices.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const SUBJECT: CostSubject = {
  ...{ model: "house-model", responseModel: null, kind: "chat", atMs: 0 },
  upstream: { endpoint: "https://reseller.example/v1", billing: { usage: null, priceFactor: 1 } },
};

function costOf({ prices }: ServerPrices): number | null {
  const usage = { inputTokens: 1_000, outputTokens: 0, cachedTokens: null, reasoningTokens: null };
  return prices.costOf(usage, SUBJECT);
}

Deno.test("a file that has changed is read again, and one that is broken changes nothing", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/prices.json`;
  const clock = new FakeClock();
  const write = (price: string) => Deno.writeTextFileSync(path, `{"house-*":{"input":${price},"output":0}}`);
  try {
    write("1");
    const server = makePrices({ costs: { pricesPath: path, usage: "auto", timeZone: "UTC" } }, clock);
    assert.equal(costOf(server), 1_000_000);
    write("22");
    assert.equal(costOf(server), 1_000_000, "nobody has looked yet");
    clock.advance(30_000);
    assert.equal(costOf(server), 22_000_000);
    write("-333");
    clock.advance(30_000);
    assert.equal(costOf(server), 22_000_000, "those from before go on to count");
    Deno.removeSync(path);
    clock.advance(30_000);
    assert.equal(costOf(server), 22_000_000);
    write("4444");
    clock.advance(30_000);
    assert.equal(costOf(server), 4_444_000_000);
    server.stop();
    write("5");
    clock.advance(60_000);
    assert.equal(costOf(server), 4_444_000_000);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a server does not start with a file that cannot be used", () => {
  const costs = { pricesPath: "/nonexistent/prices.json", usage: "auto", timeZone: "UTC" } as const;
  assert.throws(() => makePrices({ costs }, new FakeClock()), {
    name: "StartError",
    message: "--prices /nonexistent/prices.json: there is no such file",
  });
});
