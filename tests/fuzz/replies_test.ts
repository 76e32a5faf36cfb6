/**
 * Almost valid replies from an upstream, as clients get them through the router.
 *
 * Whatever the upstream sends, the client gets one well-formed reply or a connection that ends before its reply does;
 * the next request on its connection and the requests of others get their own answers; Node's client reads the same.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { Malformed, type StrictReply, type StrictRequest, takeReply } from "../support/strict_messages.ts";
import { StrictUpstream, type StrictWire } from "../support/strict_upstream.ts";
import { within } from "../support/within.ts";
import { again, campaign } from "./campaign.ts";
import { bytesOf } from "./random.ts";
import { readByNode, type Recording } from "./replay_server.ts";
import { shrink } from "./shrink.ts";
import { POISON, type ReplyCase, replyCase } from "./reply_cases.ts";

const LANES = 32;
/** Far above the router's own limits, so that a busy machine is not a fault. */
const CASE_SECONDS = 90;
const MAX_REPORTED = 10;
const MAX_SHRUNK = 3;

interface Finding {
  readonly caseNumber: number;
  readonly what: string;
}

/** The result of one case at the client. */
interface Answer {
  readonly each: ReplyCase;
  /** Bytes received until the reply was complete or the connection ended. */
  readonly bytes: Buffer;
  /** Null: the connection ended before it was complete. */
  readonly reply: StrictReply | null;
}

Deno.test("whatever an upstream replies, each client gets one well-formed reply, its own", async (t) => {
  const { seeds, cases } = campaign();
  await using upstream = new ScriptedUpstream();
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "odd", timeout: 10 }],
    args: ["--log-level", "error", "--idle-timeout", "2", "--first-token-timeout", "2", "--gate-ms", "200"],
  });
  for (const seed of seeds) {
    await t.step(`seed ${seed}, ${cases.length} cases`, async () => {
      const all = cases.map((number) => replyCase(seed, number));
      upstream.prepare(all);
      const findings: Finding[] = [];
      const answers: Answer[] = [];
      const waiting = [...all];
      const lane = async () => {
        for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
          try {
            const what = () => `seed ${seed} case ${each?.number}`;
            answers.push(await within(CASE_SECONDS, what, ask(router, upstream, each)));
          } catch (error) {
            findings.push({ caseNumber: each.number, what: String(error) });
          }
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      findings.push(...upstream.faults.map((what) => ({ caseNumber: numberIn(what) ?? -1, what })));
      findings.push(...await secondOpinion(answers));
      const wholeCount = answers.filter(({ reply }) => reply !== null).length;
      console.log(`  seed ${seed}: ${cases.length} cases, ${wholeCount} answered to the end`);
      await report({ router, upstream }, seed, findings);
      if (cases.length >= 100) assert.ok(wholeCount > cases.length / 2, `${wholeCount} were whole`);
    });
  }
  assert.equal(
    (await fetch(`http://127.0.0.1:${router.port}/healthz`).then((r) => r.text())).length > 0,
    true,
  );
  assert.doesNotMatch(router.text, /\bERROR\b/);
});

/** An upstream that replies to each case as scripted, and to other requests correctly. */
class ScriptedUpstream extends StrictUpstream {
  #cases = new Map<number, ReplyCase>();
  /** By connection: the late bytes of the previous reply, and the cases served on it. */
  readonly #late = new Map<number, string>();
  readonly #served = new Map<number, number[]>();
  /** By the number of a valid request: the earlier cases on its connection. */
  readonly #before = new Map<number, readonly number[]>();

  constructor() {
    super((request, wire) => this.#answer(request, wire));
  }

  prepare(cases: readonly ReplyCase[]): void {
    this.#cases = new Map(cases.map((each) => [each.number, each]));
    this.faults.length = 0;
  }

  /** The cases on whose connection a valid request arrived. */
  casesBefore(goodNumber: number): string {
    return this.#before.get(goodNumber)?.slice(-3).join(", ") ?? "none: it never came";
  }

  async #answer({ target }: StrictRequest, wire: StrictWire): Promise<void> {
    const late = this.#late.get(wire.connectionId) ?? "";
    this.#late.delete(wire.connectionId);
    if (late !== "") await wire.write(bytesOf(late));
    const served = this.#served.get(wire.connectionId) ?? [];
    this.#served.set(wire.connectionId, served);
    const each = this.#cases.get(numberIn(target) ?? -1);
    if (each === undefined) {
      const number = Number(/good=(\d+)/.exec(target)?.[1] ?? -1);
      this.#before.set(number, [...served]);
      const body = markerOf(number);
      const head =
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
      return await wire.write(head + body);
    }
    served.push(each.number);
    if (each.late !== "") this.#late.set(wire.connectionId, each.late);
    for (const piece of each.pieces) await wire.write(bytesOf(piece));
    if (each.ends) wire.close();
  }
}

let goodCount = 0;

/** One case: its request, another one on the same connection, and one of another client. */
async function ask(router: Router, upstream: ScriptedUpstream, each: ReplyCase): Promise<Answer> {
  using client = await Client.connect(router.port);
  await client.send(requestOf(each));
  const answer = { each, ...await client.receive(each.method) };
  if (answer.reply?.body.includes(POISON) && !each.pieces.join("").includes(POISON)) {
    throw new Malformed("a body of somebody else");
  }
  if (answer.reply !== null && !answer.reply.isLast) await askGood(client, upstream);
  using other = await Client.connect(router.port);
  await askGood(other, upstream);
  return answer;
}

async function askGood(client: Client, upstream: ScriptedUpstream): Promise<void> {
  const number = ++goodCount;
  await client.send(`GET /v1/models?good=${number} HTTP/1.1\r\n${HEAD}\r\n`);
  try {
    const { reply, bytes } = await client.receive("GET");
    const got = reply?.body.toString("latin1") ?? bytes.toString("latin1");
    if (reply?.status !== 200 || got !== markerOf(number)) {
      throw new Malformed(`the next answer is ${reply?.status} ${JSON.stringify(got.slice(0, 300))}`);
    }
  } catch (error) {
    const where = `on a connection to the upstream after cases ${upstream.casesBefore(number)}`;
    throw new Malformed(`${error instanceof Error ? error.message : error}, ${where}`);
  }
}

const HEAD = `host: router.example\r\nauthorization: Bearer ${TEST_TOKEN}\r\n`;

function requestOf({ number, method, path, isStream }: ReplyCase): string {
  const start = `${method} /v1/${path}?case=${number} HTTP/1.1\r\n${HEAD}`;
  if (method !== "POST") return `${start}\r\n`;
  const body = JSON.stringify({ model: "m", stream: isStream });
  return `${start}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function markerOf(number: number): string {
  return `{"marker":"good ${number}"}`;
}

function numberIn(target: string): number | null {
  const number = /case=(\d+)/.exec(target)?.[1];
  return number === undefined ? null : Number(number);
}

/** A strict client. */
class Client implements Disposable {
  #received: Buffer = Buffer.alloc(0);

  private constructor(private readonly connection: Deno.TcpConn) {}

  static async connect(port: number): Promise<Client> {
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(text: string): Promise<void> {
    const bytes = bytesOf(text);
    for (let at = 0; at < bytes.length;) at += await this.connection.write(bytes.subarray(at));
  }

  /** One reply with nothing after it. @throws Malformed */
  async receive(method: string): Promise<{ bytes: Buffer; reply: StrictReply | null }> {
    const chunk = new Uint8Array(64 * 1024);
    for (;;) {
      const bytes = this.#received;
      const taken = takeReply(bytes, method);
      if (taken !== null) {
        if (taken.size !== bytes.length) {
          const rest = bytes.toString("latin1", taken.size, taken.size + 200);
          throw new Malformed(`bytes behind the reply: ${JSON.stringify(rest)}`);
        }
        this.#received = Buffer.alloc(0);
        return { bytes, reply: taken.reply };
      }
      const count = await this.connection.read(chunk).catch(() => null);
      if (count === null) return { bytes, reply: null };
      this.#received = Buffer.concat([bytes, chunk.subarray(0, count)]);
    }
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }
}

/**
 * Compares how Node's client reads what clients got with how it reads what the upstream sent, where possible.
 */
async function secondOpinion(answers: readonly Answer[]): Promise<Finding[]> {
  const got: Recording[] = answers.map(({ each, bytes }) => ({ method: each.method, bytes }));
  const sent: Recording[] = answers.map(({ each }) => ({
    method: each.method,
    bytes: Buffer.from(each.pieces.join(""), "latin1"),
  }));
  let read: Awaited<ReturnType<typeof readByNode>>;
  try {
    read = await readByNode([...got, ...sent]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) || Deno.env.get("CI") === "true") throw error;
    console.log("skipped: node is not installed");
    return [];
  }
  const findings: Finding[] = [];
  answers.forEach(({ each, reply }, at) => {
    const caseNumber = each.number;
    if (reply === null) {
      if (read[at]?.isWhole) findings.push({ caseNumber, what: "Node takes a reply for whole that was cut" });
      return;
    }
    const opinions: [name: string, opinion: typeof read[number]][] = [["what came", read[at] ?? null]];
    const ofSent = read[answers.length + at] ?? null;
    const isRelayed = reply.fields.some(([name]) => name === "x-oar-upstream") && reply.status < 500;
    // Not comparable: an answer of the router itself, and a reply that Node refuses or finds truncated.
    if (isRelayed && ofSent?.isWhole) opinions.push(["what the upstream sent", ofSent]);
    // A 205 has no content (RFC 9110 section 15.3.6); the router drops what an upstream sends with it.
    for (const [name, opinion] of opinions) {
      const isSameBody = opinion?.body.equals(reply.body) ||
        (reply.status === 205 && reply.body.length === 0);
      if (opinion?.isWhole && opinion.status === reply.status && isSameBody) continue;
      const seen = opinion === null
        ? "refuses it"
        : `reads ${opinion.status} and ${opinion.body.length} bytes`;
      findings.push({
        caseNumber,
        what: `of ${name} Node ${seen}; the client got ${reply.status} and ${reply.body.length} bytes`,
      });
    }
  });
  return findings;
}

/** Fails on any finding; prints each with the bytes that the upstream sent. */
async function report(
  { router, upstream }: { readonly router: Router; readonly upstream: ScriptedUpstream },
  seed: number,
  findings: readonly Finding[],
): Promise<void> {
  const shown: string[] = [];
  for (const { caseNumber, what } of findings.slice(0, MAX_REPORTED)) {
    const each = replyCase(seed, caseNumber);
    const { method, path, isStream, pieces, ends, late } = each;
    const fails = async (text: string) => {
      const shorter = { ...each, pieces: [text] };
      upstream.prepare([shorter]);
      const asking = within(CASE_SECONDS, () => "it", ask(router, upstream, shorter));
      return await asking.then(() => false, () => true);
    };
    // A finding that needs other cases is not shrunk.
    const isShrunk = shown.length < MAX_SHRUNK && await fails(pieces.join(""));
    const text = isShrunk ? await shrink(pieces.join(""), fails) : pieces.join("").slice(0, 2000);
    shown.push(
      `case ${caseNumber}: ${what}\n    ${method} ${path}${isStream ? ", stream" : ""}, upstream` +
        `${isShrunk ? ", as much as is enough" : ""}: ${JSON.stringify(text)}${ends ? ", end" : ""}` +
        `${late === "" ? "" : `, late ${JSON.stringify(late.slice(0, 300))}`}\n    again: ${
          again(seed, caseNumber)
        }`,
    );
  }
  assert.equal(findings.length, 0, `${findings.length} findings\n${shown.join("\n")}`);
}
