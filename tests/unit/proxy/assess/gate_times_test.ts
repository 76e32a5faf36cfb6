/**
 * The gate on a clock that the test drives: until when a stream is held, and what is done then.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { createCapture } from "../../../../src/capture/create.ts";
import type { GateMode } from "../../../../src/core/gate_mode.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { assess } from "../../../../src/proxy/assess/assess.ts";
import type { ReplyAssessment } from "../../../../src/proxy/assess/assessment.ts";
import { HeldBudget } from "../../../../src/proxy/assess/held_budget.ts";
import { RequestHolding } from "../../../../src/proxy/assess/holding.ts";
import { NO_SHAPING } from "../../../../src/core/upstream_options.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { ScriptedBody } from "../../../support/scripted_body.ts";
import { chatEvent } from "../../../support/upstream.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const ROLE = chatEvent({ role: "assistant", content: "" });
const WORD = chatEvent({ content: "word" });
const STOP = chatEvent({}, "stop");
const DONE = "data: [DONE]\n\n";
const ERROR = 'data: {"error":{"message":"overloaded"}}\n\n';
const TIMES = { gateMs: 5_000, firstTokenTimeoutMs: 60_000, idleTimeoutMs: 90_000 };

interface StageOptions {
  readonly mode?: GateMode;
  readonly isLast?: boolean;
  readonly times?: Partial<typeof TIMES>;
  readonly headers?: readonly (readonly [string, string])[];
  readonly isStream?: boolean;
  readonly budgetBytes?: number;
  /** Something of another attempt has gone out. */
  readonly hasSent?: boolean;
  /** The upstream's own limit; one second of it has passed. */
  readonly streamTimeoutMs?: number;
  readonly errorTexts?: readonly string[];
}

/** One reply on its way through the gate. */
class Stage {
  readonly clock = new FakeClock();
  readonly body = new ScriptedBody();
  readonly early: string[] = [];
  readonly budget: HeldBudget;
  readonly holding: RequestHolding;
  degraded = 0;
  reply: ReplyAssessment | null = null;

  constructor(options: StageOptions = {}) {
    const { mode = "content", isLast = false, isStream = true } = options;
    const isTyped = options.headers?.some(([name]) => name === "content-type") ?? false;
    const headers = [
      ...(isTyped ? [] : [["content-type", "text/event-stream"] as const]),
      ...options.headers ?? [],
    ];
    this.budget = new HeldBudget(options.budgetBytes ?? 1_000_000);
    this.holding = new RequestHolding(mode, this.budget, () => this.degraded++);
    const fields = new HeaderFields(headers.map(([name, value]) => [name, value]));
    const { streamTimeoutMs, errorTexts = [] } = options;
    const upstream = anUpstream(1, { shaping: { ...NO_SHAPING, errorTexts } });
    const assessment = assess(this.body, {
      head: { upstream, status: 200, headers: fields, contentLength: null },
      inbound: { method: "POST", kind: "chat", isStream },
      clock: this.clock,
      times: { ...TIMES, ...options.times },
      isLast,
      bodyStartTimeoutMs: 10_000,
      streamLimit: streamTimeoutMs === undefined
        ? null
        : { limitMs: streamTimeoutMs, untilMs: this.clock.monotonic() + streamTimeoutMs - 1_000 },
      mask: null,
      capture: (isEventStream) =>
        createCapture({
          kind: "chat",
          contentType: "text/event-stream",
          contentEncoding: fields.get("content-encoding"),
          isEventStream,
          status: 200,
        }),
      budget: this.budget,
      early: {
        hasSent: options.hasSent ?? false,
        send: (_head, bytes) => {
          this.early.push(Buffer.from(bytes).toString());
          return Promise.resolve();
        },
      },
      holding: this.holding,
      onContent: () => {},
    });
    void Promise.resolve(assessment).then((reply) => this.reply = reply);
  }

  async send(...pieces: readonly (string | Uint8Array)[]): Promise<void> {
    this.body.send(...pieces);
    await turn();
  }

  async end(): Promise<void> {
    this.body.end();
    await turn();
  }

  async breakOff(): Promise<void> {
    this.body.breakOff();
    await turn();
  }

  async pass(ms: number): Promise<void> {
    await turn();
    this.clock.advance(ms);
    await turn();
  }

  get problem(): unknown {
    const problem = this.reply?.problem ?? null;
    if (problem === null) return this.reply === null ? "open" : null;
    return problem.type === "timeout" ? `${problem.phase} ${problem.limitMs}` : problem.message;
  }

  get held(): string {
    return this.reply?.type === "open" ? Buffer.concat(this.reply.held).toString() : "";
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

Deno.test("a role is held beyond --gate-ms, and the choice stays open until --first-token-timeout", async () => {
  const stage = new Stage();
  await stage.send(ROLE);
  await stage.pass(5_000);
  assert.deepEqual(stage.early, [""]);
  await stage.send(ROLE);
  await stage.pass(54_999);
  assert.equal(stage.problem, "open");
  await stage.pass(1);
  assert.equal(stage.problem, "first_token 60000");
});

Deno.test("a byte order mark goes out only at the start of what the client gets", async () => {
  for (const hasSent of [false, true]) {
    const stage = new Stage({ hasSent });
    await stage.send("\ufeff: ping\n\n");
    await stage.pass(5_000);
    assert.deepEqual(stage.early, [hasSent ? ": ping\n\n" : "\ufeff: ping\n\n"]);
  }
});

Deno.test("an error behind a role is still an error of the whole stream, however late", async () => {
  const stage = new Stage();
  await stage.send(ROLE);
  await stage.pass(30_000);
  await stage.send(ERROR);
  assert.equal(stage.problem, "the stream is an error: overloaded");
});

Deno.test("content after the role ends the choice, and everything held comes with it", async () => {
  const stage = new Stage();
  await stage.send(ROLE);
  await stage.pass(30_000);
  await stage.send(WORD);
  assert.equal(stage.problem, null);
  assert.equal(stage.held, ROLE + WORD);
});

Deno.test("a head alone is not waited for long while another upstream is left", async () => {
  const stage = new Stage();
  await stage.pass(9_999);
  assert.equal(stage.problem, "open");
  await stage.pass(1);
  assert.equal(stage.problem, "first_token 10000");
  const alive = new Stage();
  await alive.send(": here\n\n");
  await alive.pass(59_999);
  assert.equal(alive.problem, "open");
  const last = new Stage({ isLast: true });
  await last.pass(59_999);
  assert.equal(last.problem, "open");
  await last.pass(1);
  assert.equal(last.problem, "first_token 60000");
});

Deno.test("comments and empty events of the last upstream may come for as long as they come", async () => {
  for (const piece of [": processing\n\n", ROLE]) {
    const stage = new Stage({ isLast: true });
    for (let minutes = 0; minutes < 30; minutes++) {
      await stage.send(piece);
      await stage.pass(60_000);
    }
    assert.equal(stage.problem, "open");
    await stage.pass(30_000);
    assert.equal(stage.problem, "body 90000");
  }
});

Deno.test("comments of another upstream do not extend --first-token-timeout", async () => {
  const stage = new Stage();
  for (let count = 0; count < 6; count++) {
    assert.equal(stage.problem, "open");
    await stage.send(": processing\n\n");
    await stage.pass(10_000);
  }
  assert.equal(stage.problem, "first_token 60000");
});

Deno.test("comments pass as they come, but none before an event that is held", async () => {
  const stage = new Stage();
  await stage.send(": a\n\n");
  assert.deepEqual(stage.early, []);
  await stage.pass(5_000);
  await stage.send(": b\n", "\n: half of", " a line\n");
  await stage.send(ROLE, ": c\n\n");
  assert.equal(stage.early.join(""), ": a\n\n: b\n\n: half of a line\n");
  await stage.send(WORD);
  assert.equal(stage.held, `${ROLE}: c\n\n${WORD}`);
});

Deno.test("a line end that may go on is not sent, so that nothing comes between its two bytes", async () => {
  const stage = new Stage();
  await stage.pass(5_000);
  await stage.send(": a\r");
  assert.deepEqual(stage.early, [""]);
  await stage.send("\n\r\n");
  assert.equal(stage.early.join(""), ": a\r\n\r\n");
});

Deno.test("comments whose lines end in a carriage return alone pass one behind", async () => {
  const stage = new Stage();
  await stage.pass(5_000);
  for (const name of ["a", "b", "c"]) await stage.send(`: ${name}\r`);
  assert.equal(stage.early.join(""), ": a\r: b\r");
  await stage.send("event: ping\rdata: {}\r", "\r");
  assert.equal(stage.early.join(""), ": a\r: b\r: c\r");
  await stage.send(WORD);
  assert.equal(stage.early.join("") + stage.held, `: a\r: b\r: c\revent: ping\rdata: {}\r\r${WORD}`);
});

Deno.test("what is finished without a word is told from what is empty, encoded or not, marked or not", async () => {
  for (
    const [stream, isFinished] of [[ROLE + STOP + DONE, true], [ROLE + STOP, true], [ROLE, false]] as const
  ) {
    for (const coding of ["identity", "gzip"] as const) {
      const stage = new Stage({ headers: [["content-encoding", coding]] });
      await stage.send(coding === "gzip" ? gzipSync(stream) : stream);
      await stage.end();
      assert.equal(stage.problem, "the stream ended without content");
      const problem = stage.reply?.problem;
      assert.equal(problem?.type === "bad_stream" && problem.isFinished, isFinished, `${coding} ${stream}`);
    }
  }
});

Deno.test("the last event counts without the blank line after it", async () => {
  for (const mode of ["content", "whole"] as const) {
    const failed = new Stage({ mode });
    await failed.send(ROLE, ERROR.trimEnd());
    await failed.end();
    assert.equal(failed.problem, "the stream is an error: overloaded", mode);
    const finished = new Stage({ mode });
    await finished.send(ROLE, chatEvent({ content: "word" }, "stop").trimEnd());
    await finished.end();
    assert.equal(finished.problem, null, mode);
    assert.equal(finished.held, ROLE + chatEvent({ content: "word" }, "stop").trimEnd());
  }
});

Deno.test("nothing of an encoded stream goes out early, since another upstream's would be encoded otherwise", async () => {
  const stage = new Stage({ headers: [["content-encoding", "gzip"]] });
  await stage.send(new Uint8Array([0x1f, 0x8b, 0x08]));
  await stage.pass(59_999);
  assert.deepEqual([stage.early, stage.problem], [[], "open"]);
  const last = new Stage({ headers: [["content-encoding", "gzip"]], isLast: true });
  await last.send(new Uint8Array([0x1f, 0x8b, 0x08]));
  await last.pass(5_000);
  assert.deepEqual([last.early, last.problem], [[], null]);
});

Deno.test("events without content are held up to 2 MiB, then relayed", async () => {
  const stage = new Stage({ budgetBytes: 64 * 1024 * 1024 });
  const large = chatEvent({ role: "assistant", content: "", padding: "x".repeat(100_000) });
  for (let count = 0; count < 20; count++) await stage.send(large);
  assert.equal(stage.problem, "open");
  await stage.send(large);
  assert.equal(stage.problem, null);
});

Deno.test("whole: a stream is held to its end", async () => {
  const stage = new Stage({ mode: "whole" });
  await stage.send(ROLE, WORD);
  await stage.pass(5_000);
  assert.deepEqual([stage.early, stage.problem], [[""], "open"]);
  await stage.send(STOP, DONE);
  assert.equal(stage.problem, "open");
  await stage.end();
  assert.equal(stage.problem, null);
  assert.equal(stage.held, ROLE + WORD + STOP + DONE);
  assert.equal(stage.reply?.type === "open" && stage.reply.body.isDone, true);
  assert.equal(stage.body.isReleased, true);
});

Deno.test("whole: what follows the end marker is waited for, but not for long", async () => {
  const stage = new Stage({ mode: "whole" });
  await stage.send(WORD, STOP, DONE);
  await stage.pass(999);
  assert.equal(stage.problem, "open");
  await stage.pass(1);
  assert.equal(stage.problem, null);
  assert.equal(stage.held, WORD + STOP + DONE);
});

Deno.test("whole: a stream that breaks off behind its end marker is whole", async () => {
  const stage = new Stage({ mode: "whole" });
  await stage.send(WORD, STOP, DONE);
  await stage.breakOff();
  assert.equal(stage.problem, null);
  assert.equal(stage.reply?.type === "open" && stage.reply.body.isDone, true);
});

Deno.test("whole: an end without the marker is one when there was a finish reason, and only then", async () => {
  const finished = new Stage({ mode: "whole" });
  await finished.send(WORD, STOP);
  await finished.end();
  assert.equal(finished.problem, null);
  const cut = new Stage({ mode: "whole" });
  await cut.send(WORD);
  await cut.end();
  assert.equal(cut.problem, "the stream ended without its end marker");
});

Deno.test("whole: a cut, a stall and an error anywhere are failures", async () => {
  const cut = new Stage({ mode: "whole" });
  await cut.send(ROLE, WORD);
  await cut.breakOff();
  assert.equal(cut.problem, "the stream broke off before its end: connection reset");
  const wrong = new Stage({ mode: "whole" });
  await wrong.send(ROLE, WORD);
  await wrong.send(ERROR);
  assert.equal(wrong.problem, "the stream is an error: overloaded");
  for (const [first, isLast] of [[WORD, false], [WORD, true], [ROLE, true]] as const) {
    const stalled = new Stage({ mode: "whole", isLast });
    await stalled.send(first);
    await stalled.pass(89_999);
    assert.equal(stalled.problem, "open");
    await stalled.pass(1);
    assert.equal(stalled.problem, "body 90000");
  }
  const silent = new Stage({ mode: "whole", times: { idleTimeoutMs: 20_000 } });
  await silent.send(ROLE);
  await silent.pass(5_000);
  await silent.pass(15_000);
  assert.equal(silent.problem, "body 20000");
});

Deno.test("whole: without memory for it, a stream is relayed from its first content on, and counted", async () => {
  const stage = new Stage({ mode: "whole", budgetBytes: 1_000 });
  await stage.send(WORD);
  assert.equal(stage.problem, "open");
  for (let count = 0; count < 10; count++) await stage.send(WORD);
  assert.deepEqual([stage.problem, stage.degraded], [null, 1]);
});

Deno.test("whole: what is held counts until the end of the request, and no longer", async () => {
  const stage = new Stage({ mode: "whole", budgetBytes: 500 });
  await stage.send(WORD, STOP, DONE);
  await stage.end();
  assert.equal(stage.problem, null);
  const other = stage.budget.open();
  other.take(400);
  assert.equal(stage.budget.isExceeded, true);
  stage.holding.release();
  assert.equal(stage.budget.isExceeded, false);
});

Deno.test("none: nothing is held, not even an error", async () => {
  const stage = new Stage({ mode: "none" });
  await turn();
  assert.equal(stage.problem, null);
  assert.deepEqual(stage.early, []);
});

const JSON_TYPE = [["content-type", "application/json"]] as const;

/** A stage whose reply is a document. */
function documentStage(options: StageOptions): Stage {
  return new Stage({ isStream: false, ...options, headers: JSON_TYPE });
}

Deno.test("white space before a slow document goes on after --gate-ms, when nobody else is left to ask", async () => {
  const stage = documentStage({ isLast: true });
  await stage.send("\n");
  await stage.pass(4_999);
  assert.equal(stage.problem, "open");
  await stage.pass(1);
  assert.deepEqual([stage.reply?.type, stage.held], ["open", "\n"]);
  const late = documentStage({ isLast: true });
  await late.pass(30_000);
  await late.send("\r\n \t");
  assert.deepEqual([late.reply?.type, late.held], ["open", "\r\n \t"]);
});

Deno.test("a document is held otherwise: its beginning, another upstream, a stream that was asked for", async () => {
  const cases: readonly (readonly [string, StageOptions])[] = [
    ['\n{"choices":', { isLast: true }],
    ["\n", { isLast: false }],
    ["\n", { isLast: true, isStream: true }],
  ];
  for (const [text, options] of cases) {
    const stage = documentStage(options);
    await stage.send(text);
    await stage.pass(30_000);
    assert.equal(stage.problem, "open", JSON.stringify(options));
  }
});

Deno.test("an upstream's own limit takes the place of all others until the first content, also for the last", async () => {
  for (const isLast of [false, true]) {
    for (const mode of ["content", "whole"] as const) {
      // Longer than the others.
      const long = new Stage({ isLast, mode, streamTimeoutMs: 100_000, times: { idleTimeoutMs: 20_000 } });
      await long.pass(98_999);
      assert.equal(long.problem, "open");
      await long.pass(1);
      assert.equal(long.problem, "first_token 100000");
      // Shorter, and signs of life do not count.
      const short = new Stage({ isLast, mode, streamTimeoutMs: 3_000 });
      await short.pass(1_000);
      await short.send(": alive\n\n", ROLE);
      await short.pass(999);
      assert.equal(short.problem, "open");
      await short.pass(1);
      assert.equal(short.problem, "first_token 3000");
    }
  }
  const speaking = new Stage({ mode: "whole", streamTimeoutMs: 3_000 });
  await speaking.send(WORD);
  await speaking.pass(89_999);
  assert.equal(speaking.problem, "open", "after the first content the rules for all hold");
});

Deno.test("with error texts, a stream is held until there is enough text, its end, or --gate-ms after its first content", async () => {
  const errorTexts = ["no credit"];
  const filler = chatEvent({ content: "x".repeat(100) });
  const enough = new Stage({ errorTexts });
  await enough.send(filler);
  assert.equal(enough.problem, "open");
  await enough.send(filler);
  assert.deepEqual([enough.problem, enough.held], [null, filler + filler]);

  const slow = new Stage({ errorTexts });
  await slow.send(ROLE);
  await slow.pass(20_000);
  await slow.send(WORD);
  await slow.pass(4_999);
  assert.equal(slow.problem, "open");
  await slow.pass(1);
  assert.equal(slow.problem, null);

  const calling = new Stage({ errorTexts });
  await calling.send(
    chatEvent({ tool_calls: [{ index: 0, id: "c", function: { name: "f", arguments: "{}" } }] }),
  );
  assert.equal(calling.problem, null, "a tool call is no error text");

  for (const mode of ["content", "whole"] as const) {
    const failing = new Stage({ errorTexts, mode });
    await failing.send(chatEvent({ content: "Sorry: NO " }));
    await failing.send(chatEvent({ content: "CREDIT" }));
    assert.match(String(failing.problem), /by error_text: Sorry: NO CREDIT/);
    const ended = new Stage({ errorTexts: ["*credit"], mode });
    await ended.send(chatEvent({ content: "no credit" }));
    assert.equal(ended.problem, "open");
    await ended.send(STOP, DONE);
    if (mode === "whole") await ended.end();
    assert.match(String(ended.problem), /by error_text/);
  }

  const erring = new Stage({ errorTexts });
  await erring.send(WORD, ERROR);
  assert.match(
    String(erring.problem),
    /overloaded/,
    "an error while the text is held counts as before content",
  );
});
