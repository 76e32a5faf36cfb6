import assert from "node:assert/strict";
import { AlertNotifier, type AlertNotifierOptions } from "../../../src/notify/alerts.ts";
import { type AlertMessage, type Channel, ChannelError } from "../../../src/notify/channel.ts";
import type { Alert } from "../../../src/notify/notifier.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const DOWN: Alert = { type: "upstream_down", upstream: "a", reason: "connection refused" };

class RecordingChannel implements Channel {
  readonly sent: AlertMessage[] = [];
  constructor(readonly name: string) {}
  send(message: AlertMessage): Promise<void> {
    this.sent.push(message);
    return Promise.resolve();
  }
  get texts(): string[] {
    return this.sent.map((message) => message.text);
  }
}

/** Never answers, and ignores its signal. */
class HangingChannel implements Channel {
  readonly name = "hanging";
  send(): Promise<void> {
    return new Promise(() => {});
  }
}

function setUp(
  channels: readonly Channel[],
  options: Partial<AlertNotifierOptions> = {},
): { clock: FakeClock; notifier: AlertNotifier; results: string[] } {
  const clock = new FakeClock();
  const results: string[] = [];
  const notifier = new AlertNotifier({
    channels,
    clock,
    redact: (text) => text,
    onSent: (channel, result) => results.push(`${channel} ${result}`),
    ...options,
  });
  return { clock, notifier, results };
}

/** Lets every promise that can settle without time or I/O settle. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

function failed(message: string, model = "gpt-4o"): Alert {
  return { type: "request_failed", ip: "1.2.3.4", model, status: 502, message, requestId: "01J" };
}

Deno.test("raise() sends the first alert of a cause at once to every channel", async () => {
  const [a, b] = [new RecordingChannel("a"), new RecordingChannel("b")];
  const { clock, notifier, results } = setUp([a, b], { newId: () => "id-1" });
  notifier.raise(DOWN);
  assert.deepEqual(a.sent, [], "raise() itself does no work of a channel");
  await settle();
  const message = {
    id: "id-1",
    text: "Upstream a is down: connection refused",
    alert: DOWN,
    atMs: clock.now(),
  };
  assert.deepEqual(a.sent, [message]);
  assert.deepEqual(b.sent, [message]);
  assert.deepEqual(results.sort(), ["a ok", "b ok"]);
  await notifier.close(1000);
});

Deno.test("repeats of a cause arrive as one digest a minute, with their count and the last message", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  for (let i = 1; i <= 4; i++) notifier.raise(failed(`no answer after ${i} s`));
  await settle();
  assert.deepEqual(channel.texts, ["IP: 1.2.3.4 request gpt-4o error 502 with no answer after 1 s"]);

  clock.advance(59_999);
  await settle();
  assert.equal(channel.sent.length, 1);
  clock.advance(1);
  await settle();
  assert.deepEqual(channel.texts.slice(1), [
    "3 more, the last: IP: 1.2.3.4 request gpt-4o error 502 with no answer after 4 s",
  ]);
  assert.deepEqual(channel.sent[1]?.alert, {
    type: "digest",
    repeats: [{ count: 3, last: failed("no answer after 4 s") }],
  });
  await notifier.close(1000);
});

Deno.test("a cause that was quiet for a minute is sent at once again, and no timer remains", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  notifier.raise(DOWN);
  notifier.raise(DOWN);
  clock.advance(60_000);
  clock.advance(60_000);
  await settle();
  assert.equal(clock.pendingTimers, 0);
  notifier.raise(DOWN);
  await settle();
  assert.equal(channel.sent.length, 3);
  assert.equal(channel.sent[2]?.text, channel.sent[0]?.text);
  await notifier.close(1000);
});

Deno.test("a cause raised late in another's minute still waits a whole minute for its digest", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  notifier.raise(DOWN);
  clock.advance(59_000);
  notifier.raise(failed("x"));
  clock.advance(2_000);
  notifier.raise(failed("x"));
  await settle();
  assert.equal(channel.sent.length, 2);
  await notifier.close(1000);
});

Deno.test("a channel that hangs delays neither raise() nor another channel, and its queue is bounded", async () => {
  const good = new RecordingChannel("good");
  const { clock, notifier, results } = setUp([new HangingChannel(), good]);
  const causes = Array.from({ length: 144 }, (_, n): Alert => ({ ...DOWN, upstream: `upstream ${n}` }));
  for (const cause of causes) {
    notifier.raise(cause);
    await settle();
  }
  assert.equal(good.sent.length, 144);
  assert.equal(results.filter((result) => result === "hanging dropped").length, 144 - 101);

  const closed = notifier.close(5000);
  clock.advance(5000);
  await closed;
  assert.equal(results.filter((result) => result === "hanging dropped").length, 143);
  assert.equal(results.filter((result) => result === "hanging error").length, 1);
  assert.equal(clock.pendingTimers, 0);
});

Deno.test("a channel that fails reports an error that is safe to log, and goes on with the next alert", async () => {
  const errors: (Error | null)[] = [];
  let sends = 0;
  const channel: Channel = {
    name: "a",
    send: () => {
      sends++;
      if (sends === 1) return Promise.reject(new ChannelError("a", "it answered 500", { type: "soon" }));
      if (sends === 2) return Promise.reject(new TypeError("http://user:password@host/ failed"));
      return Promise.resolve();
    },
  };
  const { notifier } = setUp([channel], { onSent: (_channel, _result, error) => errors.push(error) });
  for (const message of ["x", "y", "z"]) notifier.raise(failed(message));
  await settle();
  assert.deepEqual(errors.map((error) => error?.message), [
    "Cannot send alert to a: it answered 500",
    "Cannot send alert",
    undefined,
  ]);
  await notifier.close(1000);
});

Deno.test("secrets are masked in the text and in every field of an alert and of a digest", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel], { redact: (text) => text.replaceAll("hunter22", "…") });
  const secret = "hunter22";
  const alert: Alert = {
    type: "request_failed",
    ip: secret,
    model: secret,
    status: 502,
    message: `key ${secret} is wrong`,
    requestId: "01J",
  };
  for (let i = 0; i < 2; i++) {
    notifier.raise(alert);
    notifier.raise({ type: "upstream_down", upstream: secret, reason: secret });
    notifier.raise({ type: "upstream_recovered", upstream: secret });
    notifier.raise({ type: "records_dropped", reason: secret });
  }
  clock.advance(60_000);
  await settle();
  assert.equal(channel.sent.length, 5);
  assert.ok(!JSON.stringify(channel.sent).includes(secret));
  await notifier.close(1000);
});

Deno.test("an alert that cannot be redacted is dropped, and raise() does not throw", async () => {
  const channel = new RecordingChannel("a");
  const { notifier, results } = setUp([channel], {
    redact: () => {
      throw new Error("no secrets at hand");
    },
  });
  notifier.raise(DOWN);
  await settle();
  assert.deepEqual(channel.sent, []);
  assert.deepEqual(results, ["a dropped"]);
  await notifier.close(1000);
});

Deno.test("the number of distinct causes is bounded", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  for (let i = 0; i < 3000; i++) {
    notifier.raise({ type: "upstream_recovered", upstream: `upstream ${i}` });
    if (i % 5 === 0) await settle();
  }
  clock.advance(60_000);
  await settle();
  assert.equal(channel.sent.length, 1002);
  assert.match(channel.texts[1001] ?? "", /^1999 more, the last: Upstream upstream 2999 has recovered$/);
  await notifier.close(1000);
});

Deno.test("close() sends the digest that is due, then takes no more alerts", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  notifier.raise(DOWN);
  notifier.raise(DOWN);
  await notifier.close(1000);
  notifier.raise({ type: "records_resumed" });
  await settle();
  assert.equal(channel.sent.length, 2);
  assert.match(channel.texts[1] ?? "", /^1 more, the last: /);
  assert.equal(clock.pendingTimers, 0);
});

Deno.test("without channels raise() does nothing and sets no timer", async () => {
  const { clock, notifier } = setUp([]);
  notifier.raise(DOWN);
  assert.equal(clock.pendingTimers, 0);
  await notifier.close(1000);
});

/** A text of letters only, different for each number. */
function word(n: number): string {
  return `w${n.toString(26).replaceAll(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)] ?? "")}`;
}

Deno.test("clients cannot raise more than ten immediate alerts, then one in six minutes, whatever their causes", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  for (let n = 0; n < 3000; n++) {
    notifier.raise(failed(`boom ${word(n)}`, `model-${word(n)}`));
    await settle();
  }
  assert.equal(channel.sent.length, 10);
  notifier.raise(DOWN);
  notifier.raise({ type: "records_dropped", reason: "disk_full" });
  await settle();
  assert.match(channel.texts.slice(10).join(), /is down.*Records are being lost/);
  clock.advance(60_000);
  await settle();
  assert.equal(channel.sent.length, 13);
  assert.equal(channel.texts[12]?.split("\n").length, 21);
  clock.advance(300_000);
  notifier.raise(failed("afterwards"));
  await settle();
  const immediate = () => channel.texts.filter((text) => text.startsWith("IP: ")).length;
  assert.equal(immediate(), 11);
  notifier.raise(failed("and one more"));
  await settle();
  assert.equal(immediate(), 11);
  await notifier.close(1000);
});

Deno.test("failures of models never served share one cause; a served model has its own", async () => {
  const channel = new RecordingChannel("a");
  const { notifier } = setUp([channel]);
  const ask = (model: string) => notifier.raise(failed(`model ${model} has failed`, model));
  notifier.served("gpt-five");
  for (const model of ["evil-one", "evil-two", "gpt-five", "evil-three", "gpt-five"]) ask(model);
  await settle();
  assert.deepEqual(channel.sent.map(({ alert }) => "model" in alert ? alert.model : null), [
    "evil-one",
    "gpt-five",
  ]);
  for (let n = 0; n < 1000; n++) notifier.served(word(n));
  ask("gpt-five");
  await settle();
  assert.equal(channel.sent.length, 2, "its name was forgotten for newer ones");
  await notifier.close(1000);
});

Deno.test("urgent messages go first in a queue, and find room in a full one", async () => {
  const texts: string[] = [];
  let release = () => {};
  const channel: Channel = {
    name: "slow",
    send: (message) => {
      texts.push(message.text);
      return new Promise((resolve) => release = resolve);
    },
  };
  const { clock, notifier, results } = setUp([channel]);
  // One is being sent; the others wait, with a digest for each of the minutes.
  for (let minute = 0; minute < 600; minute++) {
    for (let n = 0; n < 12; n++) notifier.raise(failed(`${word(minute)} ${word(n)}`));
    await settle();
    clock.advance(60_000);
  }
  assert.ok(results.includes("slow dropped"), "the queue is full");
  const dropped = results.length;
  const urgent: Alert[] = [
    DOWN,
    { type: "records_dropped", reason: "disk_full" },
    { type: "upstream_recovered", upstream: "a" },
  ];
  for (const alert of urgent) notifier.raise(alert);
  assert.equal(results.length, dropped + 3, "each has taken the place of another one");
  for (let n = 0; n < 4; n++) {
    release();
    await settle();
  }
  assert.deepEqual(texts.slice(1, 4), [
    "Upstream a is down: connection refused",
    "Records are being lost, requests go on: the database cannot take them (disk_full)",
    "Upstream a has recovered",
  ]);
  assert.match(texts[4] ?? "", /^IP: /);
  const closed = notifier.close(1000);
  clock.advance(1000);
  await closed;
});

Deno.test("a message holds a bounded part of any text, and redaction sees little more", async () => {
  const channel = new RecordingChannel("a");
  let longest = 0;
  const redact = (text: string) => {
    longest = Math.max(longest, text.length);
    return text;
  };
  const { notifier } = setUp([channel], { redact });
  const long = "x".repeat(1_000_000);
  notifier.raise({
    type: "request_failed",
    ip: long,
    model: long,
    status: 502,
    message: long,
    requestId: "01J",
  });
  notifier.raise({ type: "upstream_down", upstream: long, reason: long });
  await settle();
  assert.equal(channel.sent.length, 2);
  for (const message of channel.sent) assert.ok(JSON.stringify(message).length < 8_000);
  assert.ok(longest < 4_000, String(longest));
});

Deno.test("while requests go on failing, digests about them become rarer; changes of states do not wait", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  const minutes: number[] = [];
  for (let minute = 1; minute <= 62; minute++) {
    const before = channel.sent.length;
    for (let n = 0; n < 3; n++) notifier.raise(failed("the same again"));
    await settle();
    clock.advance(60_000);
    await settle();
    if (channel.texts.slice(before).some((text) => text.includes("more, the last: IP"))) minutes.push(minute);
  }
  assert.deepEqual(minutes, [1, 3, 7, 15, 30, 45, 60]);
  notifier.raise(DOWN);
  notifier.raise(DOWN);
  await settle();
  assert.equal(channel.texts.at(-1), "Upstream a is down: connection refused");
  clock.advance(60_000);
  await settle();
  assert.equal(channel.texts.at(-1), "1 more, the last: Upstream a is down: connection refused");
  // What was held back is told in the end, and after a quiet time, a minute is enough again.
  for (let minute = 0; minute < 40; minute++) clock.advance(60_000);
  await settle();
  const before = channel.sent.length;
  for (let n = 0; n < 3; n++) notifier.raise(failed("another time"));
  clock.advance(60_000);
  await settle();
  assert.equal(channel.sent.length, before + 2);
  assert.equal(clock.pendingTimers, 1);
  await notifier.close(1000);
});

Deno.test("the data of a digest is bounded as its text is", async () => {
  const channel = new RecordingChannel("a");
  const { clock, notifier } = setUp([channel]);
  for (let n = 0; n < 190; n++) notifier.raise(failed(`boom ${word(n)} ${"x".repeat(3000)}`));
  clock.advance(60_000);
  await settle();
  const digest = channel.sent.at(-1);
  assert.ok(digest?.alert.type === "digest");
  assert.equal(digest.alert.repeats.length, 100);
  await notifier.close(1000);
});
