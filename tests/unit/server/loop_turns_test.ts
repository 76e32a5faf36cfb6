import assert from "node:assert/strict";
import { LoopTurns } from "../../../src/server/loop_turns.ts";

function next(turns: LoopTurns): Promise<void> {
  return new Promise((resolve) => turns.after(resolve));
}

/** A connection of which one end has bytes for the other. */
async function connectionWithBytes(): Promise<{ near: Deno.TcpConn; far: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  return { near, far };
}

Deno.test("LoopTurns ends a turn when the runtime has looked at the sockets", async () => {
  const turns = new LoopTurns();
  // The connection is made meanwhile.
  for (let turn = 0; turn < 20; turn++) await next(turns);
  const { near, far } = await connectionWithBytes();
  for (let round = 0; round < 20; round++) {
    let isRead = false;
    const read = far.read(new Uint8Array(8)).then(() => void (isRead = true));
    await near.write(new Uint8Array(1));
    await next(turns);
    await next(turns);
    assert.equal(isRead, true, `round ${round}`);
    await read;
  }
  near.close();
  far.close();
  turns.close();
});

Deno.test("LoopTurns calls back who waits when it is closed, and later callers, too", async () => {
  const turns = new LoopTurns();
  for (let turn = 0; turn < 20; turn++) await next(turns);
  const waiting = next(turns);
  turns.close();
  await waiting;
  await next(turns);
});

Deno.test("LoopTurns can be closed while it makes its connection", async () => {
  const turns = new LoopTurns();
  const first = next(turns);
  turns.close();
  await first;
  await next(turns);
  // Whatever was opened is closed: the sanitizers of the test would find it.
});
