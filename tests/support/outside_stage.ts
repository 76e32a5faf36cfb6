/**
 * A router in front of a strict upstream, and what must hold for every input: each request is answered,
 * nothing malformed is forwarded, the next request works, the log and the records stay readable, and no
 * secret leaks.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { adminTokenOf, callApi } from "./admin.ts";
import { LARGE_BYTES, OUTSIDE_VALUES, type OutsideValue } from "./outside_values.ts";
import { Router, type RouterOptions, runProgram, TEST_TOKEN } from "./router.ts";
import { type StrictReply, type StrictRequest, takeReply, valuesOf } from "./strict_messages.ts";
import { StrictUpstream } from "./strict_upstream.ts";
import { within } from "./within.ts";

const KEY = "sk-outside-CANARY-0123456789abcdef";
const SECONDS = 20;
const LANES = 16;
const INJECTED = "\r\nx-injected: 1\r\n";
/** Characters that control a terminal, reorder text or end a line. */
const DRIVES_TERMINAL = /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/u;
const LOG_LINE = /^\d{4}-\d\d-\d\dT[\d:.]+Z (?:DEBUG|INFO|WARNING) +[\w.]+: /;

/** A field that is set from outside. */
export interface OutsideField {
  readonly name: string;
  /** A whole request with this value in the field, as bytes, including `connection: close`. */
  readonly request: (bytes: string, place: number) => string;
  /** Null: GET. A strict reader must know the method to know whether the reply has a body. */
  readonly method?: string;
}

export class OutsideStage implements AsyncDisposable {
  /** Replies to requests whose target says `place=n`. */
  readonly replies = new Map<number, string>();
  readonly #sentOn: StrictRequest[] = [];
  #sentOnCount = 0;
  #seenLog = 0;

  private constructor(
    readonly router: Router,
    readonly upstream: StrictUpstream,
    readonly logFormat: "text" | "json",
  ) {
    upstream.script = async ({ target }, wire) => {
      const place = /[?&]place=(\d+)/.exec(target)?.[1];
      const reply = this.replies.get(Number(place ?? -1));
      await wire.write(Buffer.from(reply ?? GOOD_REPLY, "latin1"));
      // Its reply may not show where it ends.
      if (reply !== undefined) wire.close();
    };
  }

  static async start(logFormat: "text" | "json", options: RouterOptions = {}): Promise<OutsideStage> {
    let stage: OutsideStage | null = null;
    const upstream = new StrictUpstream(() => {}, (request) => stage?.noteSentOn(request));
    const router = await Router.start({
      upstreams: [{ endpoint: upstream.endpoint, sk: KEY, name: "strict", timeout: 5 }],
      ...options,
      args: ["--log-format", logFormat, "--log-level", "debug", ...options.args ?? []],
    });
    stage = new OutsideStage(router, upstream, logFormat);
    // Its first lines are plain text, in either log format.
    await (await router.chat()).body?.cancel();
    stage.#seenLog = router.text.length;
    return stage;
  }

  noteSentOn(request: StrictRequest): void {
    this.#sentOn.push(request);
    this.#sentOnCount++;
  }

  /** Sends the field with every value, checks everything that must hold, and counts the statuses. */
  async check(field: OutsideField, isExpected: (status: number) => boolean): Promise<string> {
    const counts = new Map<number, number>();
    const waiting = [...OUTSIDE_VALUES.entries()];
    const lane = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [place, value] = next;
        const { status } = await this.#one(field, value, place);
        assert.ok(isExpected(status), `${value.name}: HTTP ${status}`);
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    // An unescaped line end begins another field, as expected.
    await this.#checkAfterwards(
      OUTSIDE_VALUES.some(({ bytes }) => field.request(bytes, 0).includes(INJECTED)),
    );
    return [...counts].sort(([a], [b]) => a - b).map(([status, count]) => `${count} x ${status}`).join(", ");
  }

  /** Every forwarded request has a record, and all of them can be read in every way. */
  async checkRecords(): Promise<string> {
    const { router } = this;
    const records = await router.recorded(this.#sentOnCount);
    const cli = (...args: string[]) => runProgram(["records", ...args], { cwd: router.directory });
    const ids = records.map(({ id }) => String(id));
    const waiting = sample(ids, 400);
    const lane = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        const response = await callApi(router, `/records/${id}`);
        const text = await response.text();
        assert.equal(response.status, 200, `record ${id}: ${text.slice(0, 200)}`);
        JSON.parse(text);
        this.#checkSecrets(text);
      }
    };
    await Promise.all(Array.from({ length: 4 }, lane));
    const last = ids.at(-1) ?? "";
    const commands = [["list", "--limit", "200"], ["show", ids[0] ?? ""], ["show", last], [
      "show",
      last,
      "--json",
    ]];
    for (const args of [...commands, ["export", "--format", "jsonl"]]) {
      const { code, stdout, stderr } = await cli(...args);
      assert.equal(code, 0, `${args}: ${stderr.slice(0, 300)}`);
      this.#checkText(stdout, args.join(" "));
    }
    for (const id of sample(ids, 50)) {
      const headers = { authorization: `Bearer ${adminTokenOf(router)}`, accept: "text/html" };
      const page = await fetch(`http://127.0.0.1:${router.port}/admin/records/${id}`, { headers });
      this.#checkSecrets(await page.text());
      assert.equal(page.status, 200, `page of record ${id}`);
    }
    return `${ids.length} records`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
  }

  async #one(field: OutsideField, value: OutsideValue, place: number): Promise<StrictReply> {
    const what = () => `${field.name}, ${value.name}`;
    const received = await within(
      SECONDS,
      what,
      exchange(this.router.port, field.request(value.bytes, place)),
    );
    const taken = takeReply(received, field.method ?? "GET");
    assert.ok(taken !== null, `${what()}: no whole reply: ${received.toString("latin1", 0, 300)}`);
    assert.equal(taken.size, received.length, `${what()}: bytes behind the reply`);
    const isAsked = `${field.request(value.bytes, place)}${this.replies.get(place)}`.includes(INJECTED);
    if (!isAsked) assert.deepEqual(valuesOf(taken.reply.fields, "x-injected"), [], what());
    this.#checkSecrets(received.toString("latin1"));
    return taken.reply;
  }

  async #checkAfterwards(isAsked: boolean): Promise<void> {
    const { router, upstream } = this;
    assert.deepEqual(upstream.faults.splice(0), []);
    for (const request of this.#sentOn.splice(0)) {
      const text = `${request.target} ${request.fields.flat().join(" ")}`;
      for (const secret of [TEST_TOKEN, adminTokenOf(router)]) {
        assert.ok(!text.includes(secret), text.slice(0, 500));
      }
      if (!isAsked) assert.deepEqual(valuesOf(request.fields, "x-injected"), []);
    }
    const next = await router.chat();
    assert.equal(next.status, 200, "the next request");
    await next.body?.cancel();
    const health = await fetch(`http://127.0.0.1:${router.port}/healthz`);
    await health.body?.cancel();
    assert.equal(health.status, 200, "/healthz");
    this.#checkLog();
  }

  #checkLog(): void {
    const end = this.router.text.lastIndexOf("\n") + 1;
    const lines = this.router.text.slice(this.#seenLog, end).split("\n").slice(0, -1);
    this.#seenLog = end;
    for (const line of lines) {
      assert.ok(line.length < LARGE_BYTES / 2, `a log line of ${line.length} characters`);
      this.#checkText(line, "the log");
      if (this.logFormat === "text") assert.match(line, LOG_LINE);
      else assert.match(JSON.parse(line).level, /^(?:debug|info|warning)$/, line.slice(0, 500));
    }
  }

  #checkText(text: string, where: string): void {
    const found = DRIVES_TERMINAL.exec(text);
    if (found !== null) {
      assert.fail(
        `${where}: ${JSON.stringify(text.slice(Math.max(0, found.index - 100), found.index + 20))}`,
      );
    }
    this.#checkSecrets(text);
  }

  #checkSecrets(text: string): void {
    for (const secret of [KEY, TEST_TOKEN, adminTokenOf(this.router)]) {
      const at = text.indexOf(secret);
      assert.ok(at < 0, `a secret in ${JSON.stringify(text.slice(Math.max(0, at - 200), at + 50))}`);
    }
  }
}

const GOOD_BODY = JSON.stringify({
  id: "c1",
  object: "chat.completion",
  model: "test-model",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
});
const GOOD_REPLY =
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${GOOD_BODY.length}\r\n\r\n${GOOD_BODY}`;

/** Sends these bytes and returns everything received until the router ends the connection. */
async function exchange(port: number, text: string): Promise<Buffer> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const bytes = Buffer.from(text, "latin1");
  const sending = (async () => {
    try {
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    } catch {
      // Refused before the whole request was sent.
    }
  })();
  const pieces: Buffer[] = [];
  const chunk = new Uint8Array(64 * 1024);
  for (;;) {
    const count = await connection.read(chunk).catch(() => null);
    if (count === null) break;
    pieces.push(Buffer.from(chunk.subarray(0, count)));
  }
  await sending;
  return Buffer.concat(pieces);
}

/** At most this many of them, spread evenly. */
function sample(ids: readonly string[], count: number): string[] {
  const step = Math.ceil(ids.length / count);
  return ids.filter((_, at) => at % step === 0);
}
