import assert from "node:assert/strict";
import { type RemoteEvent, RemoteThread } from "../../../src/server/remote_thread.ts";
import type { FromRemote, ToRemote } from "../../../src/store/postgres/remote_messages.ts";
import type { ForeignState, OwnState } from "../../../src/store/postgres/shared_states.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** The thread, as far as messages. */
class PretendedWorker {
  readonly received: ToRemote[] = [];
  onmessage: (event: { readonly data: FromRemote }) => void = () => {};
  onerror: (event: { readonly message: string; preventDefault(): void }) => void = () => {};

  postMessage(message: ToRemote): void {
    this.received.push(message);
    if (message.type === "close") this.onmessage({ data: { type: "closed" } });
  }

  terminate(): void {}

  get states(): (readonly OwnState[])[] {
    return this.received.flatMap((message) => message.type === "states" ? [message.states] : []);
  }
}

Deno.test("what a replica has found is said again to a thread that is started anew, and what it heard is kept", async () => {
  const clock = new FakeClock();
  const workers: PretendedWorker[] = [];
  const events: RemoteEvent["type"][] = [];
  const thread = new RemoteThread({
    spawnWorker: () => {
      const worker = new PretendedWorker();
      workers.push(worker);
      return worker as unknown as Worker;
    },
    opening: {} as ConstructorParameters<typeof RemoteThread>[0]["opening"],
    clock,
    onEvent: ({ type }) => events.push(type),
  });
  const state = { upstreamId: 1 } as OwnState;
  const heard = { upstreamId: 1, source: "two" } as ForeignState;
  assert.deepEqual(thread.foreignStates, []);
  thread.states([]);
  thread.states([state]);
  workers[0]?.onmessage({ data: { type: "foreign_states", states: [heard] } });
  workers[0]?.onerror({ message: "out of memory", preventDefault: () => {} });
  thread.states([state, state]);
  clock.advance(1_000);
  assert.deepEqual(workers.map(({ states }) => states), [[[], [state]], [[state, state]]]);
  assert.deepEqual(workers.map(({ received }) => received[0]?.type), ["open", "open"]);
  assert.deepEqual([thread.foreignStates, events], [[heard], ["foreign_states", "crashed"]]);
  await thread.close(0);
});
