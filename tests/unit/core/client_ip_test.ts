/** Who the client is, behind trusted and untrusted proxies. */
import assert from "node:assert/strict";
import {
  type Cidr,
  networkOf,
  parseCidr,
  plainAddress,
  TrustedProxies,
} from "../../../src/core/client_ip.ts";

const cidrs = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text) ?? assert.fail(text));

const CASES: readonly {
  readonly says: string;
  readonly trusted: Cidr[];
  readonly peer: string;
  readonly header: string | null;
  readonly ip: string;
}[] = [
  { says: "no header", trusted: cidrs("10.0.0.0/8"), peer: "10.1.1.1", header: null, ip: "10.1.1.1" },
  { says: "nobody trusted", trusted: [], peer: "10.1.1.1", header: "1.2.3.4", ip: "10.1.1.1" },
  {
    says: "an untrusted peer",
    trusted: cidrs("10.0.0.0/8"),
    peer: "9.9.9.9",
    header: "1.2.3.4",
    ip: "9.9.9.9",
  },
  {
    says: "a trusted peer",
    trusted: cidrs("10.0.0.0/8"),
    peer: "10.1.1.1",
    header: "1.2.3.4",
    ip: "1.2.3.4",
  },
  {
    says: "a forged first entry",
    trusted: cidrs("10.0.0.0/8"),
    peer: "10.1.1.1",
    header: "6.6.6.6, 1.2.3.4",
    ip: "1.2.3.4",
  },
  {
    says: "a chain of trusted proxies",
    trusted: cidrs("10.0.0.0/8", "192.168.0.1"),
    peer: "10.1.1.1",
    header: "1.2.3.4, 192.168.0.1, 10.2.2.2",
    ip: "1.2.3.4",
  },
  { says: "junk", trusted: cidrs("10.0.0.0/8"), peer: "10.1.1.1", header: "<script>", ip: "10.1.1.1" },
  {
    says: "ports and brackets",
    trusted: cidrs("::1/128"),
    peer: "::1",
    header: "[2001:db8::7]:443",
    ip: "2001:db8::7",
  },
  {
    says: "IPv4 in IPv6",
    trusted: cidrs("127.0.0.1"),
    peer: "::ffff:127.0.0.1",
    header: "1.2.3.4:5",
    ip: "1.2.3.4",
  },
];

for (const { says, trusted, peer, header, ip } of CASES) {
  Deno.test(`clientIp() with ${says}`, () => {
    assert.equal(new TrustedProxies(trusted).clientIp(peer, header), ip);
  });
}

Deno.test("parseCidr() takes networks and addresses, and nothing else", () => {
  assert.deepEqual(parseCidr(" 10.0.0.0/8 "), { address: "10.0.0.0", prefix: 8 });
  assert.deepEqual(parseCidr("::1"), { address: "::1", prefix: 128 });
  for (const text of ["", "10.0.0.0/33", "10.0.0/8", "host/8", "1.2.3.4/8/9", "1.2.3.4/", "::1/129"]) {
    assert.equal(parseCidr(text), null, text);
  }
});

Deno.test("networkOf() returns an IPv4 address, or the first 64 bits of an IPv6 address", () => {
  const table: readonly [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:c000:201", "192.0.2.1"],
    ["2001:db8:0:1::5", "2001:db8:0:1::/64"],
    ["2001:0DB8:0000:0001:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"],
    ["2001:db8:0:1:0:0:192.0.2.1", "2001:db8:0:1::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["1::", "1:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["", ""],
    ["unknown", "unknown"],
  ];
  for (const [address, network] of table) assert.equal(networkOf(address), network, address);
});

Deno.test("plainAddress() writes an IPv4 address in IPv6 form as IPv4, and nothing else otherwise", () => {
  const table: readonly [string, string][] = [
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:c000:0201", "192.0.2.1"],
    ["::ffff:0.0.0.0", "0.0.0.0"],
    ["192.0.2.1", "192.0.2.1"],
    ["::1", "::1"],
    ["::", "::"],
    ["::192.0.2.1", "::192.0.2.1"],
    ["::ffff:0:192.0.2.1", "::ffff:0:192.0.2.1"],
    ["2001:db8::ffff:192.0.2.1", "2001:db8::ffff:192.0.2.1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["::ffff:nonsense", "::ffff:nonsense"],
    ["localhost", "localhost"],
    ["", ""],
  ];
  for (const [address, plain] of table) assert.equal(plainAddress(address), plain, address);
});

Deno.test("a trusted proxy that reports, or has, an IPv4 address in IPv6 form is the same proxy", () => {
  const proxies = new TrustedProxies(cidrs("10.0.0.0/8"));
  assert.ok(proxies.trusts("::ffff:10.1.1.1") && proxies.trusts("::ffff:a01:101"));
  assert.equal(proxies.clientIp("::ffff:10.1.1.1", "::ffff:c000:201"), "192.0.2.1");
  assert.deepEqual(parseCidr("::ffff:10.0.0.0/104"), { address: "10.0.0.0", prefix: 8 });
  assert.ok(new TrustedProxies(cidrs("::ffff:10.0.0.0/104", "::ffff:192.0.2.1")).trusts("192.0.2.1"));
});
