import { Hedging } from "../../../../src/proxy/attempt/hedging.ts";
import assert from "node:assert/strict";
import { createCapture } from "../../../../src/capture/create.ts";
import { Cancellation } from "../../../../src/core/cancellation.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { SecretSet } from "../../../../src/core/secret_set.ts";
import { NO_TOKENS } from "../../../../src/core/token_guard.ts";
import type { Inbound, Upstream } from "../../../../src/core/types.ts";
import { HeldBudget } from "../../../../src/proxy/assess/held_budget.ts";
import { failover } from "../../../../src/proxy/attempt/failover.ts";
import { UpstreamHealth } from "../../../../src/proxy/attempt/upstream_health.ts";
import { RequestLedger } from "../../../../src/proxy/ledger/request_ledger.ts";
import type { LendingSource } from "../../../../src/wire/byte_source.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

/** Records the limits that are set. */
class RecordingClock extends FakeClock {
  readonly limitsMs: number[] = [];

  override setTimer(callback: () => void, delayMs: number): object {
    this.limitsMs.push(delayMs);
    return super.setTimer(callback, delayMs);
  }
}

const inbound: Inbound = {
  id: "r",
  method: "POST",
  path: "/v1/chat/completions",
  query: "",
  kind: "chat",
  model: "m",
  shownModel: "m",
  modelPlace: null,
  isStream: true,
  headers: new HeaderFields(),
  body: new TextEncoder().encode('{"model":"m","stream":true}'),
  clientIp: "192.0.2.1",
  clientName: null,
  clientToken: null,
  startedAtMs: 0,
  startedMonoMs: 0,
};

/** A body that has arrived as a whole. */
function bodyOf(text: string): LendingSource {
  let rest: Uint8Array<ArrayBuffer> | null = new TextEncoder().encode(text);
  const take = () => {
    const bytes = rest;
    rest = null;
    return bytes;
  };
  return {
    get isDone() {
      return rest === null;
    },
    take,
    lend: take,
    read: () => Promise.resolve(take()),
    ready: () => Promise.resolve(),
    release: () => {},
    cancel: () => {},
  };
}

interface Scene {
  /** Answers 400 instead of refusing the connection. */
  readonly answering?: Upstream;
  /** Its breaker is open. */
  readonly failing?: Upstream;
}

/** How long each of the upstreams, which all fail, may take until its headers. */
async function limitsOf(
  candidates: readonly Upstream[],
  { answering, failing }: Scene = {},
): Promise<readonly number[]> {
  const clock = new RecordingClock();
  const health = new UpstreamHealth(clock, () => {});
  if (failing !== undefined) {
    for (let count = 0; count < 3; count++) {
      health.begin(failing, inbound).end({ type: "failed", at: "upstream", cause: "outage" }, "it failed");
    }
  }
  const facts = {
    requestText: { text: "", isTruncated: false },
    authorization: null,
    secrets: new SecretSet([]),
    credentials: [],
  };
  const choice = await failover({
    client: {
      send: ({ url }) =>
        answering !== undefined && url.startsWith(answering.endpoint)
          ? Promise.resolve({
            status: 400,
            headers: new HeaderFields(),
            contentLength: 2,
            body: bodyOf("{}"),
          })
          : Promise.reject(new Error("connection refused")),
    },
    clock,
    health,
    observer: { attemptEnded: () => {}, failedOver: () => {}, hedged: () => {} },
    times: { gateMs: 5_000, firstTokenTimeoutMs: 120_000, idleTimeoutMs: 120_000 },
    hedging: new Hedging({ delay: null, budgetPercent: 5 }),
    retry: { retryOn: "any", finalCodes: new Set(), retrySame: null, retryWaitMs: 5_000, maxAttempts: null },
    random: () => 0,
    createCapture: ({ headers, ...options }) =>
      createCapture({ ...options, contentType: headers.get("content-type") }),
    budget: new HeldBudget(1024),
  }, {
    ledger: new RequestLedger(inbound, facts, clock),
    candidates,
    stop: { cancellation: new Cancellation(), cause: null },
    hedge: null,
    guard: NO_TOKENS,
    early: { isBegun: false, hasSent: false, send: () => Promise.resolve() },
    holding: { mode: "content", keep: () => {}, degraded: () => {} },
  });
  assert.equal(choice.type, answering === undefined ? "failed" : "reply");
  // The text of an error has a limit of less than a second.
  return clock.limitsMs.filter((limitMs) => limitMs >= 1_000);
}

Deno.test("only the last upstream that a request may still try has the long limit until its headers", async () => {
  assert.deepEqual(await limitsOf([anUpstream(1), anUpstream(2), anUpstream(3)]), [5_000, 5_000, 120_000]);
  assert.deepEqual(await limitsOf([anUpstream(1)]), [120_000]);
});

Deno.test("an upstream that cannot be used for lack of a key leaves the one before it as the last", async () => {
  assert.deepEqual(await limitsOf([anUpstream(1), anUpstream(2, { sk: "asis" })]), [120_000]);
});

Deno.test("an answer in hand does not wait long for a last upstream that keeps failing", async () => {
  const [answering, failing] = [anUpstream(1), anUpstream(2, { endpoint: "https://b.example/v1" })];
  assert.deepEqual(await limitsOf([answering, failing], { answering, failing }), [5_000, 5_000]);
});
