/** Which address of a name a connection goes to. */
import assert from "node:assert/strict";
import { Cancellation } from "../../../src/core/cancellation.ts";
import { dial, dialName } from "../../../src/wire/dial.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** Addresses whose connections the test settles. */
class Network {
  readonly clock = new FakeClock();
  readonly tried: string[] = [];
  readonly closed: string[] = [];
  readonly cancellation = new Cancellation();
  readonly #pending = new Map<string, PromiseWithResolvers<{ address: string; close(): void }>>();

  dial(...addresses: string[]): Promise<string> {
    const connect = (address: string) => {
      this.tried.push(address);
      const pending = Promise.withResolvers<{ address: string; close(): void }>();
      this.#pending.set(address, pending);
      return pending.promise;
    };
    return dial({ clock: this.clock, connect }, addresses, this.cancellation).then(({ address }) => address);
  }

  async refuse(address: string): Promise<void> {
    this.#pending.get(address)?.reject(new Error(`${address} refused`));
    await settled();
  }

  async accept(address: string): Promise<void> {
    this.#pending.get(address)?.resolve({ address, close: () => this.closed.push(address) });
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let at = 0; at < 20; at++) await Promise.resolve();
}

Deno.test("the first address is taken when it answers, and no other is tried", async () => {
  const net = new Network();
  const connected = net.dial("::1", "127.0.0.1");
  await net.accept("::1");
  assert.equal(await connected, "::1");
  net.clock.advance(60_000);
  assert.deepEqual(net.tried, ["::1"]);
  assert.equal(net.clock.pendingTimers, 0);
});

Deno.test("after an address that refuses, the next one is tried at once", async () => {
  const net = new Network();
  const connected = net.dial("a", "b", "c");
  await net.refuse("a");
  await net.refuse("b");
  await net.accept("c");
  assert.equal(await connected, "c");
  assert.equal(net.clock.pendingTimers, 0);
});

Deno.test("an address that is silent delays the next one by 250 ms, and may still win", async () => {
  const net = new Network();
  const connected = net.dial("a", "b");
  net.clock.advance(249);
  assert.deepEqual(net.tried, ["a"]);
  net.clock.advance(1);
  assert.deepEqual(net.tried, ["a", "b"]);
  await net.accept("a");
  assert.equal(await connected, "a");
  await net.accept("b");
  assert.deepEqual(net.closed, ["b"], "what came too late is closed");
});

Deno.test("the families take turns", async () => {
  const net = new Network();
  const connected = net.dial("::1", "::2", "::3", "1.1.1.1", "2.2.2.2");
  for (const address of ["::1", "1.1.1.1", "::2", "2.2.2.2"]) await net.refuse(address);
  await net.accept("::3");
  assert.equal(await connected, "::3");
  assert.deepEqual(net.tried, ["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]);
});

Deno.test("when all have failed, the error is that of the first one, whichever failed last", async () => {
  const net = new Network();
  const failed = assert.rejects(net.dial("a", "b"), { message: "a refused" });
  net.clock.advance(250);
  await net.refuse("b");
  await net.refuse("a");
  await failed;
  assert.equal(net.clock.pendingTimers, 0);
});

Deno.test("of a name with very many addresses, eight are tried", async () => {
  const net = new Network();
  const failed = assert.rejects(net.dial(...Array.from({ length: 100 }, (_, n) => `${n}`)));
  for (let n = 0; n < 100; n++) await net.refuse(`${n}`);
  await failed;
  assert.equal(net.tried.length, 8);
});

Deno.test("a dial that is given up tries nothing more, and closes what comes", async () => {
  const net = new Network();
  const failed = assert.rejects(net.dial("a", "b"), /given up/);
  net.cancellation.cancel();
  await failed;
  await net.accept("a");
  assert.deepEqual([net.tried, net.closed], [["a"], ["a"]]);
  assert.equal(net.clock.pendingTimers, 0);
  const again = assert.rejects(net.dial("c"), /given up/);
  await again;
  assert.deepEqual(net.tried, ["a"]);
});

Deno.test("a name is given up while it is still looked up, and nothing is connected to", async () => {
  const cancellation = new Cancellation();
  const deps = {
    clock: new FakeClock(),
    connect: () => assert.fail("there is no address"),
    lookup: () => new Promise<readonly string[]>(() => {}),
  };
  const failed = assert.rejects(dialName(deps, "upstream.test", cancellation), /given up/);
  cancellation.cancel();
  await failed;
});

Deno.test("a name that is found is connected to at its addresses", async () => {
  const net = new Network();
  const connected = dialName(
    {
      clock: net.clock,
      lookup: (name) => Promise.resolve([`${name} 1`, `${name} 2`]),
      connect: (address) =>
        address === "a 1"
          ? Promise.reject(new Error("refused"))
          : Promise.resolve({ address, close: () => {} }),
    },
    "a",
    net.cancellation,
  );
  assert.equal((await connected).address, "a 2");
});
