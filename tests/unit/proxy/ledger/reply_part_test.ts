/**
 * What is written of a reply under way from one second to the next.
 */
import assert from "node:assert/strict";
import { createCapture } from "../../../../src/capture/create.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { NO_PRICES } from "../../../../src/core/prices.ts";
import { SecretSet } from "../../../../src/core/secret_set.ts";
import type { RequestRecord, Upstream } from "../../../../src/core/types.ts";
import { ProgressRows } from "../../../../src/proxy/ledger/progress_rows.ts";
import { RequestLedger } from "../../../../src/proxy/ledger/request_ledger.ts";
import type { WriteResult } from "../../../../src/store/store.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const SECRET = "sk-secret-0123456789-abcdefghij";
const encoder = new TextEncoder();

/** A stream under way, and what was written of it. */
class Stage {
  readonly clock = new FakeClock();
  readonly written: RequestRecord[] = [];
  result: WriteResult = "committed";
  readonly ledger: RequestLedger;
  readonly #rows: ProgressRows;
  readonly #capture = createCapture({
    kind: "chat",
    contentType: "text/event-stream",
    isEventStream: true,
    status: 200,
  });

  constructor() {
    this.ledger = new RequestLedger(
      {
        ...{ id: "r", kind: "chat", model: "m", shownModel: "m", modelPlace: null, isStream: true },
        ...{ method: "POST", path: "/v1/chat/completions", query: "", headers: new HeaderFields([]) },
        ...{ body: null, clientIp: "192.0.2.1", clientName: null, clientToken: null },
        ...{ startedAtMs: this.clock.now(), startedMonoMs: this.clock.monotonic() },
      },
      {
        requestText: { text: '{"prompt":1}', isTruncated: false },
        ...{ authorization: null, secrets: new SecretSet([SECRET]), credentials: [] },
        prices: NO_PRICES,
      },
      this.clock,
    );
    const write = (record: RequestRecord) => {
      this.written.push(record);
      return Promise.resolve(this.result);
    };
    this.#rows = new ProgressRows(
      { queuedBytes: 0, isStalled: false, close: () => Promise.resolve(), write },
      this.clock,
    );
    this.ledger.chosen({ id: 7 } as Upstream, this.#capture);
    this.#rows.add(this.ledger);
  }

  say(content: string, choice = 0): void {
    this.event({ choices: [{ index: choice, delta: { content } }] });
  }

  event(data: unknown): void {
    const bytes = encoder.encode(`data: ${JSON.stringify(data)}\n\n`);
    this.#capture.push(bytes);
    this.ledger.noteProgress(bytes.length);
  }

  /** The next second: returns what is written then. */
  async second(): Promise<RequestRecord> {
    const before = this.written.length;
    for (let ms = 0; ms < 1_500 && this.written.length === before; ms += 10) this.clock.advance(10);
    await Promise.resolve();
    const record = this.written[before];
    assert.ok(record, "nothing was written");
    assert.equal(this.written.length, before + 1);
    return record;
  }

  stop(): void {
    this.#rows.stop();
  }
}

/** What the rows hold after all writes, as the database joins them. */
function joined(written: readonly RequestRecord[]): string {
  let text = "";
  for (const { part, response } of written) text = part === undefined ? response : text + response;
  return text;
}

async function run(body: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = new Stage();
  await body(stage);
  stage.stop();
}

Deno.test("a row carries only what came since, and the request only once", async () => {
  await run(async (stage) => {
    stage.say("one ");
    const first = await stage.second();
    assert.deepEqual([first.response, first.body, first.part], ["one ", '{"prompt":1}', undefined]);
    for (let second = 1; second <= 50; second++) {
      for (let event = 0; event < 25; event++) stage.say(`${second}.${event} `);
      stage.event({ choices: [{ index: 0, delta: { reasoning_content: `(${second})` } }] });
      const record = await stage.second();
      assert.deepEqual([record.part, record.body, record.reasoning], [second, "", `(${second})`]);
      assert.ok(record.response.startsWith(`${second}.0 `) && record.response.endsWith(`${second}.24 `));
    }
    assert.equal(joined(stage.written), stage.ledger.snapshot().response);
  });
});

for (const split of [1, 11, 12, 20, SECRET.length - 1]) {
  Deno.test(`a secret of which ${split} characters came in one second is in no row whole`, async () => {
    await run(async (stage) => {
      stage.say("x".repeat(2_000));
      await stage.second();
      stage.say(`the key is ${SECRET.slice(0, split)}`);
      await stage.second();
      stage.say(`${SECRET.slice(split)} and more`);
      await stage.second();
      stage.say(", and more");
      await stage.second();
      const text = joined(stage.written);
      assert.equal(text, stage.ledger.snapshot().response);
      assert.ok(!text.includes(SECRET) && text.endsWith(" and more, and more"), text.slice(2_000));
    });
  });
}

Deno.test("half a character waits for the other half", async () => {
  await run(async (stage) => {
    stage.say("a");
    await stage.second();
    for (const half of ["b\ud83d", "\ude00c\ud83d", "\ude00", "d"]) {
      stage.say(half);
      await stage.second();
    }
    assert.equal(joined(stage.written), "ab😀c😀d");
  });
});

Deno.test("a first row that ends in half a character is written once more", async () => {
  await run(async (stage) => {
    stage.say("a\ud83d");
    await stage.second();
    stage.say("\ude00b");
    assert.equal((await stage.second()).part, undefined);
    assert.equal(joined(stage.written), "a😀b");
  });
});

Deno.test("calls of tools are in each part since which they grew, whole, and the request is not", async () => {
  await run(async (stage) => {
    const call = (index: number, delta: object) =>
      stage.event({ choices: [{ index: 0, delta: { tool_calls: [{ index, ...delta }] } }] });
    stage.say("a");
    assert.notEqual((await stage.second()).body, "");
    call(0, { id: "c", function: { name: "f", arguments: "{" } });
    const first = await stage.second();
    assert.deepEqual([first.part, first.body, first.toolCalls.length], [1, "", 1]);
    call(0, { function: { arguments: '"a":1}' } });
    call(1, { id: "d", function: { name: "g", arguments: "{}" } });
    const second = await stage.second();
    assert.deepEqual([second.part, second.toolCalls], [2, stage.ledger.snapshot().toolCalls]);
    assert.deepEqual(second.toolCalls.map((each) => each.arguments), ['{"a":1}', "{}"]);
    stage.say("b");
    const text = await stage.second();
    assert.deepEqual([text.part, text.response, text.toolCalls], [3, "b", []]);
  });
});

Deno.test("several choices, which do not only grow at their ends, are written whole", async () => {
  await run(async (stage) => {
    stage.say("a");
    await stage.second();
    stage.say("b");
    assert.equal((await stage.second()).part, 1);
    stage.say("other", 1);
    const withChoice = await stage.second();
    assert.equal(withChoice.part, undefined);
    assert.equal(withChoice.response, stage.ledger.snapshot().response);
  });
});

Deno.test("after a write that was not committed, and after another attempt, the row is written whole", async () => {
  await run(async (stage) => {
    stage.say("a");
    stage.result = "dropped";
    await stage.second();
    stage.say("b");
    stage.result = "committed";
    assert.deepEqual([(await stage.second()).response, stage.written.at(-1)?.part], ["ab", undefined]);
    stage.say("c");
    assert.deepEqual([(await stage.second()).response, stage.written.at(-1)?.part], ["c", 1]);
    const entry = stage.ledger.beginAttempt({ id: 8, name: "u", sk: "k" } as Upstream);
    stage.ledger.endAttempt(entry, { errorClass: "hedge_lost", message: null, partial: null });
    stage.say("d");
    assert.deepEqual([(await stage.second()).response, stage.written.at(-1)?.part], ["abcd", undefined]);
  });
});
