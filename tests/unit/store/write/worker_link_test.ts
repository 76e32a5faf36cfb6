import assert from "node:assert/strict";
import { type LinkEvent, WorkerLink } from "../../../../src/store/write/worker_link.ts";

/** A thread that only keeps what it was sent. */
class SilentWorker extends EventTarget implements Worker {
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  readonly types: string[] = [];
  isTerminated = false;

  postMessage(message: { readonly type: string }): void {
    this.types.push(message.type);
  }
  terminate(): void {
    this.isTerminated = true;
  }
  say(data: unknown): void {
    this.onmessage?.(new MessageEvent("message", { data }));
  }
  crash(message: string): void {
    this.onerror?.(new ErrorEvent("error", { message, cancelable: true }));
  }
}

function makeLink(): { link: WorkerLink; workers: SilentWorker[]; events: LinkEvent[] } {
  const workers: SilentWorker[] = [];
  const events: LinkEvent[] = [];
  const link = new WorkerLink({
    spawnWorker: () => {
      const worker = new SilentWorker();
      workers.push(worker);
      return worker;
    },
    path: "/data/db.sqlite",
    durability: "normal",
    instance: "me",
  });
  link.listen((event) => events.push(event));
  return { link, workers, events };
}

Deno.test("WorkerLink starts another thread after a crash, with the next message that needs one", () => {
  const { link, workers, events } = makeLink();
  workers[0]?.crash("out of memory");
  assert.deepEqual(events, [{ type: "crashed", message: "out of memory" }]);
  assert.equal(workers[0]?.isTerminated, true);
  link.sendIfRunning({ type: "upstream_states", notes: [] });
  assert.equal(workers.length, 1);
  link.send({ type: "batch", batch: 1, records: [] });
  link.sendIfRunning({ type: "upstream_states", notes: [] });
  assert.deepEqual(workers.map(({ types }) => types), [["open"], ["open", "batch", "upstream_states"]]);
  workers[0]?.crash("again, too late");
  assert.equal(events.length, 1);
});

Deno.test("WorkerLink.closeDatabase() resolves when the thread has closed it, at once without a thread", async () => {
  const { link, workers } = makeLink();
  const closed = link.closeDatabase();
  link.sendIfRunning({ type: "upstream_states", notes: [] });
  assert.deepEqual(workers[0]?.types, ["open", "close"]);
  workers[0]?.say({ type: "closed" });
  await closed;
  link.terminate();
  await link.closeDatabase();
});
