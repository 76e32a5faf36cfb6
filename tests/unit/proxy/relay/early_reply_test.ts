import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import type { EndpointKind } from "../../../../src/core/types.ts";
import type { UpstreamHead } from "../../../../src/proxy/assess/assessment.ts";
import { EarlyReply, keepaliveOf } from "../../../../src/proxy/relay/early_reply.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const HEAD: UpstreamHead = {
  upstream: anUpstream(),
  status: 200,
  headers: new HeaderFields([["content-type", "text/event-stream"]]),
  contentLength: null,
};

const PING = 'event: ping\ndata: {"type": "ping"}\n\n';

class Stage {
  readonly clock = new FakeClock();
  /** Each write of its own; `cut` last. */
  readonly written: string[] = [];
  heads = 0;
  hasLeft = false;
  /** Resolves the writes; null: they are accepted at once. */
  accept: (() => void)[] | null = null;
  isBroken = false;
  readonly early: EarlyReply;

  constructor({ kind = "chat", isStream = true, everyMs = 15_000 }: {
    kind?: EndpointKind;
    isStream?: boolean;
    everyMs?: number;
  } = {}) {
    const client = {
      begin: () => void this.heads++,
      write: (bytes: Uint8Array) => {
        if (this.isBroken) return Promise.reject(new Error("gone"));
        this.written.push(Buffer.from(bytes).toString());
        return this.accept === null
          ? Promise.resolve()
          : new Promise<void>((resolve) => this.accept?.push(resolve));
      },
      cut: () => void this.written.push("cut"),
    };
    const owner = {
      beginEarly: () => ({ status: 200, headers: [] }),
      beginWaiting: () => ({ status: 200, headers: [] }),
      clientLeft: () => void (this.hasLeft = true),
    };
    const keepalive = keepaliveOf({ kind, isStream }, everyMs);
    this.early = new EarlyReply(client, owner, { clock: this.clock, keepalive });
  }

  async send(text: string): Promise<void> {
    await this.early.send(HEAD, Uint8Array.from(Buffer.from(text)));
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

Deno.test("a keepalive goes out with the head, and at every interval after what was sent last", async () => {
  const stage = new Stage();
  await stage.pass(60_000);
  assert.deepEqual(stage.written, [], "nothing is sent before an upstream has given a head");
  await stage.send("");
  assert.deepEqual([stage.heads, stage.written], [1, [":\n"]]);
  await stage.pass(14_999);
  assert.equal(stage.written.length, 1);
  await stage.pass(1);
  await stage.pass(15_000);
  assert.deepEqual(stage.written, [":\n", ":\n", ":\n"]);
  await stage.pass(10_000);
  await stage.send(": still here\n\n");
  await stage.pass(14_999);
  assert.equal(stage.written.length, 4);
  await stage.pass(1);
  assert.deepEqual(stage.written.slice(3), [": still here\n\n", ":\n"]);
  assert.equal(stage.heads, 1);
});

Deno.test("a client that waits for an upstream gets the head with the first keepalive", async () => {
  const stage = new Stage();
  stage.early.waiting();
  await stage.pass(14_999);
  assert.deepEqual([stage.heads, stage.written, stage.early.isBegun], [0, [], false]);
  await stage.pass(1);
  assert.deepEqual([stage.heads, stage.written, stage.early.isBegun], [1, [":\n"], true]);
  stage.early.waited();
  await stage.pass(15_000);
  await stage.send("");
  assert.deepEqual([stage.heads, stage.written], [1, [":\n", ":\n"]]);
});

Deno.test("after a short wait, nothing has been sent, and nothing is", async () => {
  const stage = new Stage();
  stage.early.waiting();
  await stage.pass(10_000);
  stage.early.waited();
  await stage.pass(60_000);
  assert.deepEqual([stage.heads, stage.written, stage.early.isBegun], [0, [], false]);
  const silent = new Stage({ everyMs: 0 });
  silent.early.waiting();
  await silent.pass(60_000);
  assert.equal(silent.heads, 0);
});

Deno.test("the head goes out with the upstream's own bytes when there are some", async () => {
  const stage = new Stage();
  await stage.send(": hello\n\n");
  assert.deepEqual([stage.heads, stage.written, stage.early.hasSent], [1, [": hello\n\n"], true]);
});

Deno.test("the next upstream, which has nothing to send, sends nothing more", async () => {
  const stage = new Stage();
  await stage.send("");
  await stage.send("");
  assert.deepEqual([stage.heads, stage.written], [1, [":\n"]]);
});

Deno.test("clients of the messages API get pings", async () => {
  const stage = new Stage({ kind: "messages" });
  await stage.send("");
  await stage.pass(15_000);
  assert.deepEqual(stage.written, [PING, PING]);
});

for (
  const [name, options] of [["not asked for a stream", { isStream: false }], ["--keepalive 0", {
    everyMs: 0,
  }]] as const
) {
  Deno.test(`no keepalive: ${name}`, async () => {
    const stage = new Stage(options);
    await stage.send("");
    await stage.pass(600_000);
    assert.deepEqual([stage.heads, stage.written, stage.early.hasSent], [1, [""], false]);
  });
}

Deno.test("no keepalive is added while the client has not taken what was sent", async () => {
  const stage = new Stage();
  stage.accept = [];
  void stage.send("");
  await turn();
  await stage.pass(60_000);
  assert.deepEqual(stage.written, [":\n"]);
  stage.accept.shift()?.();
  await turn();
  await stage.pass(15_000);
  assert.deepEqual(stage.written, [":\n", ":\n"]);
  stage.accept.shift()?.();
  await turn();
  // The timer runs when something else is sent.
  void stage.send(": hello\n\n");
  await turn();
  await stage.pass(60_000);
  stage.accept.shift()?.();
  await turn();
  assert.deepEqual(stage.written, [":\n", ":\n", ": hello\n\n"]);
});

Deno.test("two attempts that send at once do not mix their bytes", async () => {
  const stage = new Stage();
  stage.accept = [];
  const sent = [stage.send(": one\n\n"), stage.send(": two\n\n")];
  await turn();
  assert.deepEqual(stage.written, [": one\n\n"]);
  stage.accept.shift()?.();
  await turn();
  stage.accept.shift()?.();
  await Promise.all(sent);
  assert.deepEqual(stage.written, [": one\n\n", ": two\n\n"]);
});

Deno.test("after the choice nothing more is sent, and the relay waits for what was", async () => {
  const stage = new Stage();
  stage.accept = [];
  void stage.send("");
  await turn();
  let isFinished = false;
  void stage.early.finish().then(() => isFinished = true);
  await turn();
  assert.equal(isFinished, false);
  stage.accept.shift()?.();
  await turn();
  assert.equal(isFinished, true);
  await stage.send(": of the upstream that lost\n\n");
  await stage.pass(60_000);
  assert.deepEqual(stage.written, [":\n"]);
  assert.equal(stage.clock.pendingTimers, 0);
});

Deno.test("an error is the last event, and the body is cut off after it", async () => {
  const stage = new Stage();
  await stage.send("");
  await stage.early.fail(Uint8Array.from(Buffer.from("data: {}\n\n")));
  await stage.pass(60_000);
  assert.deepEqual(stage.written, [":\n", "data: {}\n\n", "cut"]);
});

Deno.test("a client that cannot be written to has left", async () => {
  const stage = new Stage();
  await stage.send("");
  stage.isBroken = true;
  await stage.pass(15_000);
  assert.equal(stage.hasLeft, true);
});
