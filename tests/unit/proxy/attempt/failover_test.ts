/**
 * How long upstreams may take until their headers.
 */
import assert from "node:assert/strict";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import type { Upstream } from "../../../../src/core/types.ts";
import type { FailoverDeps } from "../../../../src/proxy/attempt/failover_request.ts";
import type { LendingSource } from "../../../../src/wire/byte_source.ts";
import { FailoverStage } from "../../../support/failover_stage.ts";
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
  readonly maxAttempts?: number;
}

/** How long each of the upstreams, which all fail, may take until its headers. */
async function limitsOf(
  candidates: readonly Upstream[],
  { answering, failing, maxAttempts }: Scene = {},
): Promise<readonly number[]> {
  const clock = new RecordingClock();
  const client: FailoverDeps["client"] = {
    send: ({ url }) => {
      if (answering === undefined || !url.startsWith(answering.endpoint)) {
        return Promise.reject(new Error("connection refused"));
      }
      const headers = new HeaderFields();
      return Promise.resolve({ status: 400, headers, contentLength: 2, body: bodyOf("{}") });
    },
  };
  const stage = new FailoverStage({ deps: { clock, client }, retry: { maxAttempts: maxAttempts ?? null } });
  if (failing !== undefined) stage.holdBack(failing);
  const choice = await stage.run(candidates);
  assert.equal(choice.type, answering === undefined ? "failed" : "reply");
  // The text of an error has a limit of less than a second.
  return clock.limitsMs.filter((limitMs) => limitMs >= 1_000);
}

Deno.test("only the last upstream that a request may still try has the long limit until its headers", async () => {
  assert.deepEqual(await limitsOf([anUpstream(1), anUpstream(2), anUpstream(3)]), [5_000, 5_000, 120_000]);
  assert.deepEqual(await limitsOf([anUpstream(1)]), [120_000]);
  const last = { maxAttempts: 2 };
  assert.deepEqual(await limitsOf([anUpstream(1), anUpstream(2), anUpstream(3)], last), [5_000, 120_000]);
});

Deno.test("an upstream that cannot be used for lack of a key leaves the one before it as the last", async () => {
  assert.deepEqual(await limitsOf([anUpstream(1), anUpstream(2, { sk: "asis" })]), [120_000]);
});

Deno.test("an answer in hand does not wait long for a last upstream that keeps failing", async () => {
  const [answering, failing] = [anUpstream(1), anUpstream(2, { endpoint: "https://b.example/v1" })];
  assert.deepEqual(await limitsOf([answering, failing], { answering, failing }), [5_000, 5_000]);
});
