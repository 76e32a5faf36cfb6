import assert from "node:assert/strict";
import { addressGroup, isLoopback } from "../../../src/core/address_group.ts";
import { ConnectionLimits } from "../../../src/wire/connection_limits.ts";

Deno.test("addressGroup() takes the addresses of one IPv6 network for one, and IPv4 addresses for themselves", () => {
  const table: [address: string, group: string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:2::1", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8::3:4:5:6", "2001:db8:0:0::/64"],
    ["2001:db8::2:3:4:5:6", "2001:db8:0:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["", ""],
  ];
  for (const [address, group] of table) assert.equal(addressGroup(address), group, address);
});

Deno.test("isLoopback() knows this machine's own addresses", () => {
  for (const address of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(isLoopback(address), true);
  }
  for (const address of ["128.0.0.1", "127.evil.example", "::2", "2001:db8::1", ""]) {
    assert.equal(isLoopback(address), false, address);
  }
});

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
