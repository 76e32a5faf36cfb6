import assert from "node:assert/strict";
import type { UpstreamStateNote } from "../../../../src/store/store.ts";
import type { ToWorker } from "../../../../src/store/write/messages.ts";
import { UpstreamStateNotes } from "../../../../src/store/write/upstream_state_notes.ts";
import type { LinkEvent } from "../../../../src/store/write/worker_link.ts";

function makeNote(upstreamId: number): UpstreamStateNote {
  return { upstreamId, state: "open", untilMs: 2_000, reason: "HTTP 503", changedAtMs: 1_000 };
}

/** A link without a thread. */
class FakeLink {
  readonly sent: ToWorker[] = [];
  emit: (event: LinkEvent) => void = () => {};

  listen(listener: (event: LinkEvent) => void): void {
    this.emit = listener;
  }
  sendIfRunning(message: ToWorker): void {
    this.sent.push(message);
  }
}

Deno.test("UpstreamStateNotes sends all notes after each change", () => {
  const link = new FakeLink();
  const notes = new UpstreamStateNotes(link);
  notes.note(makeNote(1));
  notes.note(makeNote(2));
  notes.clear((id) => id === 1);
  notes.clear((id) => id === 1);
  assert.deepEqual(link.sent, [
    { type: "upstream_states", notes: [makeNote(1)] },
    { type: "upstream_states", notes: [makeNote(1), makeNote(2)] },
    { type: "upstream_states", notes: [makeNote(2)] },
  ]);
});

Deno.test("UpstreamStateNotes sends the notes again when the database was opened, and nothing when there are none", () => {
  const link = new FakeLink();
  const notes = new UpstreamStateNotes(link);
  link.emit({ type: "opened" });
  assert.deepEqual(link.sent, []);
  notes.note(makeNote(1));
  link.sent.length = 0;
  link.emit({ type: "opened" });
  assert.deepEqual(link.sent, [{ type: "upstream_states", notes: [makeNote(1)] }]);
});

Deno.test("UpstreamStateNotes sends a check once, and all of them when the database was opened", () => {
  const link = new FakeLink();
  const notes = new UpstreamStateNotes(link);
  const checks = [{ upstreamId: 1, target: "a" }, { upstreamId: 2, target: "b" }];
  for (const check of checks) notes.check(check);
  assert.deepEqual(link.sent, checks.map((check) => ({ type: "upstream_checks", checks: [check] })));
  link.sent.length = 0;
  link.emit({ type: "opened" });
  assert.deepEqual(link.sent, [{ type: "upstream_checks", checks }]);
});
