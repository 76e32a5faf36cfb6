/**
 * What affinity costs a request: nothing to speak of where nothing ties it, and the search of a body where something may.
 *
 * Run with `deno bench -A scripts/bench/affinity_bench.ts`.
 */
import { classify } from "../../src/core/endpoint.ts";
import { OwnerMemory } from "../../src/core/owned_ids.ts";
import type { Inbound } from "../../src/core/types.ts";
import { Affinity, type AffinityMode } from "../../src/proxy/affinity/affinity.ts";
import { UpstreamCapacity } from "../../src/proxy/attempt/upstream_capacity.ts";

const upstreams = Array.from(
  { length: 4 },
  (_, index) => ({ id: index + 1, weight: 1, keys: ["k"] }),
) as never[];

function affinity(mode: AffinityMode): Affinity {
  return new Affinity({
    mode,
    owners: new OwnerMemory(() => null),
    capacity: new UpstreamCapacity({ monotonic: () => 0 }),
    clock: { now: Date.now },
  });
}

function request(path: string, body: unknown) {
  const text = JSON.stringify(body);
  const bytes = new TextEncoder().encode(text);
  const fields = classify(path, { contentType: "application/json", bytes, text });
  const inbound = {
    ...fields,
    method: "POST",
    path,
    query: "",
    headers: new Headers(),
  } as unknown as Inbound;
  return {
    bytes,
    text,
    tied: { inbound, json: fields.json, policy: "round_robin" as const, allowed: upstreams },
  };
}

const words = (bytes: number) => "lorem ipsum ".repeat(bytes / 12);
const chat = (bytes: number) => ({
  model: "m",
  stream: true,
  messages: [{ role: "system", content: words(bytes) }, { role: "user", content: "hi" }],
});
const input = Array.from(
  { length: 60 },
  (_, n) => ({ type: "reasoning", id: `rs_${n}`, encrypted_content: words(2_000) }),
);

const CASES = {
  "chat, 1 KB": request("/v1/chat/completions", chat(1_000)),
  "chat, 100 KB": request("/v1/chat/completions", chat(100_000)),
  "responses, 120 KB with 60 encrypted items": request("/v1/responses", { model: "m", input }),
  "chat, 4 MB": request("/v1/chat/completions", chat(4_000_000)),
};

for (const [name, { bytes, text, tied }] of Object.entries(CASES)) {
  const path = tied.inbound.path;
  Deno.bench({
    name: "classify()",
    group: name,
    fn: () => void classify(path, { contentType: "application/json", bytes, text }),
  });
  for (const mode of ["off", "on"] as const) {
    const each = affinity(mode);
    Deno.bench({ name: `tiesOf(), --affinity ${mode}`, group: name, fn: () => void each.tiesOf(tied) });
  }
}
