/**
 * Every recorded reply of a real provider, through the real router: whole, byte by byte and at random cuts.
 * The client gets the provider's bytes, and the record equals what the official SDKs read in them.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { GATE_MODES } from "../../src/core/gate_mode.ts";
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
          // Where nobody has counted, there is an estimate, which says that it is one.
          const isEstimated = record.tokens_are_estimated === 1;
          assert.equal(isEstimated ? undefined : record.input_tokens ?? undefined, expected.inputTokens);
          if (expected.outputTokens !== undefined) assert.equal(record.output_tokens, expected.outputTokens);
          assert.equal(record.outcome, sample.status >= 400 ? "upstream_error" : "complete");
          assert.equal(record.request_bytes, body.length);
          assert.equal(record.response_bytes, bytes.length);
        });
      }
    }
  },
});

/** What the router inserts while a stream is held. */
const KEEPALIVES = [":\n", 'event: ping\ndata: {"type": "ping"}\n\n'].map((text) => Buffer.from(text));

/** The received bytes without the keepalives that begin a line where the sample has something else. */
function withoutKeepalives(received: Buffer, sample: Uint8Array): Buffer {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  for (let at = 0; at < received.length;) {
    const keepalive = KEEPALIVES.find((each) =>
      received.subarray(at, at + each.length).equals(each) &&
      !Buffer.from(sample.subarray(keptBytes, keptBytes + each.length)).equals(each)
    );
    if (keepalive !== undefined) {
      at += keepalive.length;
      continue;
    }
    const lineEnd = received.indexOf("\n", at);
    const line = received.subarray(at, lineEnd < 0 ? received.length : lineEnd + 1);
    kept.push(line);
    keptBytes += line.length;
    at += line.length;
  }
  return Buffer.concat(kept);
}

Deno.test({
  name: "every sample of a real provider passes unchanged through every gate",
  ignore: samples === null,
  fn: async (test) => {
    await using upstream = new FakeUpstream(hang);
    // The head, and keepalives, go out before anything has been shown.
    const args = ["--gate-ms", "0", "--keepalive", "0.001"];
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }], args });
    for (const gate of GATE_MODES) {
      await test.step(gate, async () => {
        let keptAlive = 0;
        for (const sample of samples ?? []) {
          const bytes = Deno.readFileSync(new URL(sample.response, SAMPLES));
          const isStream = sample.content_type.includes("event-stream");
          upstream.script = inPieces(sample, bytes, pseudoRandomCuts(bytes.length, 11));
          const response = await router.fetch(pathOf(sample), {
            method: "POST",
            headers: { "content-type": "application/json", "x-oar-gate": gate },
            body: JSON.stringify({ model: "m", stream: isStream }),
          });
          const received = Buffer.from(await response.arrayBuffer());
          const relayed = isStream ? withoutKeepalives(received, bytes) : received;
          assert.equal(response.status, sample.status, sample.name);
          assert.equal(sha256(relayed), sha256(bytes), `${sample.name} with ${gate}`);
          if (relayed.length < received.length) keptAlive++;
        }
        assert.equal(keptAlive > 0, gate !== "none");
      });
    }
  },
});
