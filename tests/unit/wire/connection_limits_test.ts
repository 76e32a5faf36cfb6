import assert from "node:assert/strict";
import { ConnectionLimits } from "../../../src/wire/connection_limits.ts";

Deno.test("one holder of addresses has a quarter of the connections; proxies and this machine may have all", () => {
  const limits = new ConnectionLimits({ max: 40, isShared: (address) => address === "10.0.0.1" });
  const taken = (address: (at: number) => string, count: number) =>
    Array.from({ length: count }, (_, at) => limits.take(address(at))).filter((place) => place === null)
      .length;
  assert.equal(taken(() => "192.0.2.1", 20), 10);
  assert.equal(limits.take("192.0.2.1"), "share");
  assert.equal(taken((at) => `2001:db8::${at.toString(16)}`, 20), 10);
  assert.equal(taken(() => "127.0.0.1", 5), 5);
  assert.equal(taken(() => "10.0.0.1", 30), 15);
  assert.equal(limits.take("192.0.2.9"), "full");
  for (let at = 0; at < 10; at++) limits.leave(`2001:db8::${at}`);
  assert.equal(limits.take("192.0.2.1"), "share");
  assert.equal(taken((at) => `192.0.2.${at + 2}`, 20), 10);
});
