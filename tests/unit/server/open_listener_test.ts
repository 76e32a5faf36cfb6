/** Which sockets an address opens, without opening any but on 127.0.0.1. */
import assert from "node:assert/strict";
import { type OpenListener, openListener } from "../../../src/server/open_listener.ts";

/** A machine on which some addresses cannot be listened on. */
function machine(failures: Readonly<Record<string, Error>>) {
  const opened: string[] = [];
  const listen = ({ hostname = "", port }: Deno.TcpListenOptions): OpenListener => {
    opened.push(`${hostname} ${port}`);
    const failure = failures[hostname];
    if (failure !== undefined) throw failure;
    const addr = { transport: "tcp", hostname, port: port || 4321 } as const;
    return { addr, accept: () => new Promise(() => {}), close: () => {} };
  };
  return { opened, listen };
}

const inUse = new Deno.errors.AddrInUse("in use");

Deno.test("no host opens one socket for both families, where the system has such", () => {
  const { opened, listen } = machine({ "0.0.0.0": inUse });
  assert.deepEqual(openListener({ hostname: "", port: 0 }, { listen }).addr.hostname, "::");
  assert.deepEqual(opened, [":: 0", "0.0.0.0 4321"]);
});

Deno.test("no host opens IPv4 alone on a machine without IPv6", () => {
  for (
    const error of [
      new Error("Address family not supported (os error 97)"),
      new Deno.errors.AddrNotAvailable(),
    ]
  ) {
    const { listen } = machine({ "::": error });
    assert.equal(openListener({ hostname: "", port: 80 }, { listen }).addr.hostname, "0.0.0.0");
  }
});

Deno.test("a port that is taken, or not allowed, is said to be so", () => {
  for (const error of [inUse, new Deno.errors.PermissionDenied()]) {
    const { opened, listen } = machine({ "::": error });
    assert.throws(() => openListener({ hostname: "", port: 80 }, { listen }), error);
    assert.deepEqual(opened, [":: 80"]);
  }
});

Deno.test("a host opens that address alone", () => {
  for (const hostname of ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost"]) {
    const { opened, listen } = machine({});
    openListener({ hostname, port: 80 }, { listen });
    assert.deepEqual(opened, [`${hostname} 80`]);
  }
});

Deno.test("two sockets act as one: both are accepted from, failures are passed on, and both are closed", async () => {
  const made: Deno.TcpListener[] = [];
  const listen = (options: Deno.TcpListenOptions) => {
    // Both on this machine alone; the second port is another one.
    const listener = Deno.listen({ ...options, hostname: "127.0.0.1", port: 0 });
    made.push(listener);
    return listener;
  };
  const listener = openListener({ hostname: "", port: 0 }, { listen });
  const [first, second] = made;
  assert.ok(first !== undefined && second !== undefined);
  for (const { addr } of [second, first, second, second, first]) {
    const client = await Deno.connect({ hostname: "127.0.0.1", port: addr.port });
    const accepted = await listener.accept() as Deno.TcpConn;
    assert.equal(accepted.localAddr.port, addr.port);
    accepted.close();
    client.close();
  }
  const accepting = assert.rejects(listener.accept());
  listener.close();
  await accepting;
  assert.throws(() => first.close());
  assert.throws(() => second.close());
});

Deno.test("only a port that is said to be shared is opened as one", () => {
  const asked: Deno.TcpListenOptions[] = [];
  const listen = (options: Deno.TcpListenOptions) => {
    asked.push(options);
    return machine({}).listen(options);
  };
  for (const isShared of [true, false]) {
    openListener({ hostname: "127.0.0.1", port: 80 }, { listen, isShared });
  }
  assert.deepEqual(asked.map(({ reusePort }) => reusePort ?? false), [true, false]);
});
