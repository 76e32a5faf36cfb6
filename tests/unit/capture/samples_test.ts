/**
 * The recorded replies of real providers, against independent readers. Skipped where the samples are absent.
 */
import assert from "node:assert/strict";
import { createCapture } from "../../../src/capture/create.ts";
import {
  comparableCall,
  kindOf,
  pseudoRandomCuts,
  readIndependently,
  readSamples,
  type Sample,
  SAMPLES,
} from "../../support/samples.ts";
import { replay, type Replayed } from "./replay.ts";

function capture(sample: Sample, bytes: Uint8Array, cuts: readonly number[] = []): Replayed {
  const options = {
    kind: kindOf(sample.path),
    contentType: sample.content_type,
    isEventStream: sample.content_type.includes("event-stream"),
    status: sample.status,
  };
  return replay(createCapture(options), bytes, { cuts });
}

const samples = readSamples();

Deno.test({
  name: "the samples of ../shared/samples are read as independent readers read them",
  ignore: samples === null,
  fn: async (test) => {
    for (const sample of samples ?? []) {
      await test.step(sample.name, async () => {
        const bytes = Deno.readFileSync(new URL(sample.response, SAMPLES));
        const expected = await readIndependently(sample, bytes);
        const whole = capture(sample, bytes);
        const { reply } = whole;
        assert.equal(reply.text, expected.text);
        if (expected.reasoning !== undefined) assert.equal(reply.reasoning, expected.reasoning);
        assert.deepEqual(reply.toolCalls.map(comparableCall), (expected.toolCalls ?? []).map(comparableCall));
        if (expected.model !== undefined) assert.equal(reply.model, expected.model);
        if (expected.finishReason !== undefined) assert.equal(reply.finishReason, expected.finishReason);
        assert.equal(reply.usage?.inputTokens ?? undefined, expected.inputTokens);
        if (expected.outputTokens !== undefined) {
          assert.equal(reply.usage?.outputTokens, expected.outputTokens);
        }
        assert.equal(reply.bytes, bytes.length);
        assert.equal(reply.isComplete, true);
        assert.equal(reply.isTruncated, false);
        assert.equal(reply.parseErrors, 0);

        assert.deepEqual(capture(sample, bytes, Array.from(bytes.keys())), whole, "byte by byte");
        for (let seed = 1; seed <= 5; seed++) {
          assert.deepEqual(
            capture(sample, bytes, pseudoRandomCuts(bytes.length, seed)),
            whole,
            `seed ${seed}`,
          );
        }
      });
    }
  },
});
