/**
 * What is said of a connection that failed.
 */
import assert from "node:assert/strict";
import { Cancellation } from "../../../../src/core/cancellation.ts";
import { NO_TOKENS } from "../../../../src/core/token_guard.ts";
import { send } from "../../../../src/proxy/attempt/transport.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { anInbound } from "../../../support/failover_stage.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

async function messageFor(...texts: string[]): Promise<string> {
  const error = texts.reduceRight<Error | undefined>((cause, text) => new Error(text, { cause }), undefined);
  const result = await send(
    { clock: new FakeClock(), client: { send: () => Promise.reject(error) } },
    { inbound: anInbound(), upstream: anUpstream() },
    { headersTimeoutMs: 1_000, cancellation: new Cancellation(), guard: NO_TOKENS },
  );
  assert.equal(result.type, "connect_error");
  return result.type === "connect_error" ? result.message : "";
}

Deno.test("the causes are said, without the address and without what stands before every one", async () => {
  const url = "http://a.example/v1/chat?key=secret-0123456789";
  for (
    const [texts, said] of [
      [["connection refused"], "connection refused"],
      [["fetch failed", `error sending request for url (${url}): refused`], "refused"],
      [["fetch failed", `error sending request from 127.0.0.1:5 for url (${url}) refused`], "refused"],
      [
        [`error sending request from a b for url (${url}) x`],
        "error sending request from a b for url the endpoint x",
      ],
      [["error sending request in vain"], "error sending request in vain"],
      [["fetch failed"], "connection failed"],
    ] as const
  ) assert.equal(await messageFor(...texts), said);
});
