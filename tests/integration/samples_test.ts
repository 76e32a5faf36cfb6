/**
 * Every recorded reply of a real provider, through the real router: whole, byte by byte and at random cuts.
 * The client gets the provider's bytes, and the record equals what the official SDKs read in them.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Router } from "../support/router.ts";
import {
  comparableCall,
  pseudoRandomCuts,
  readIndependently,
  readSamples,
  type Sample,
  SAMPLES,
} from "../support/samples.ts";
import { FakeUpstream, hang, head, type Script } from "../support/upstream.ts";

const samples = readSamples();

/** The router's path for a sample, without Azure deployments. */
function pathOf({ path }: Sample): string {
  const known =
    /\/(chat\/completions|completions|responses|messages|embeddings|images\/\w+|audio\/\w+)(\?.*)?$/;
  return known.exec(path)?.[0] ?? "/other";
}

/** Sends the sample in pieces that end at the cuts. */
function inPieces(sample: Sample, bytes: Uint8Array, cuts: readonly number[]): Script {
  return async (_request, wire) => {
    const fields = { "content-type": sample.content_type, "content-length": String(bytes.length) };
    await wire.write(head(sample.status, fields));
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      await wire.write(bytes.slice(from, to));
      from = to;
    }
  };
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test({
  name: "every sample of a real provider passes unchanged and is recorded as the SDKs read it",
  ignore: samples === null,
  fn: async (test) => {
    await using upstream = new FakeUpstream(hang);
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
    for (const sample of samples ?? []) {
      const bytes = Deno.readFileSync(new URL(sample.response, SAMPLES));
      const expected = await readIndependently(sample, bytes);
      const isStream = sample.content_type.includes("event-stream");
      const cuts: Record<string, number[]> = {
        whole: [],
        // A hundred thousand packets prove no more than a few thousand.
        "byte by byte": Array.from({ length: Math.min(bytes.length, 3000) }, (_, at) => at),
        "at random cuts": pseudoRandomCuts(bytes.length, 7),
      };
      for (const [manner, places] of Object.entries(cuts)) {
        await test.step(`${sample.name}, ${manner}`, async () => {
          upstream.script = inPieces(sample, bytes, places);
          const body = JSON.stringify({ model: "m", stream: isStream });
          const response = await router.fetch(pathOf(sample), {
            method: "POST",
            headers: { "content-type": "application/json" },
            body,
          });
          const received = new Uint8Array(await response.arrayBuffer());

          assert.equal(response.status, sample.status);
          assert.equal(sha256(received), sha256(bytes));
          const record = await router.recordOf(response);
          assert.equal(record.response, expected.text);
          if (expected.reasoning !== undefined) assert.equal(record.reasoning, expected.reasoning);
          const calls = JSON.parse(String(record.tool_calls ?? "[]"));
          assert.deepEqual(calls.map(comparableCall), (expected.toolCalls ?? []).map(comparableCall));
          if (expected.finishReason !== undefined) assert.equal(record.finish_reason, expected.finishReason);
          assert.equal(record.input_tokens ?? undefined, expected.inputTokens);
          if (expected.outputTokens !== undefined) assert.equal(record.output_tokens, expected.outputTokens);
          assert.equal(record.outcome, sample.status >= 400 ? "upstream_error" : "complete");
          assert.equal(record.request_bytes, body.length);
          assert.equal(record.response_bytes, bytes.length);
        });
      }
    }
  },
});
