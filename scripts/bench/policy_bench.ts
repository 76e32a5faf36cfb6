/**
 * Micro-benchmarks of the decisions that each request needs: `deno task bench:micro`.
 */
import { availability, CLOSED, transition } from "../../src/core/breaker.ts";
import { classify } from "../../src/core/endpoint.ts";
import { matchesGlob } from "../../src/core/policy.ts";
import { maskFor } from "../../src/proxy/relay/masking.ts";
import { requestBody } from "./payloads.ts";

const encoder = new TextEncoder();
const LARGE_BODY = encoder.encode(requestBody({ bytes: 100_000 }));

Deno.bench("classify: a chat request of 100 KB", () => {
  classify("/v1/chat/completions", { contentType: "application/json", bytes: LARGE_BODY });
});

Deno.bench("policy: a glob", () => {
  matchesGlob("gpt-4*-2024-*", "gpt-4o-mini-2024-07-18");
});

const MOMENT = { nowMs: 1, startedMs: 0, maxOutageMs: 15_000 };
Deno.bench("breaker: a try and its success", () => {
  const tried = transition(CLOSED, { type: "try" }, MOMENT);
  availability(transition(tried, { type: "success" }, MOMENT), 2);
});

const MASKED = { sk: "sk-bench-0123456789", endpoint: "https://a.example/v1" };
const ERROR_BODY = encoder.encode(`{"error":{"message":"${"it does not work right now ".repeat(20)}"}}`);
Deno.bench("masking: a key that is looked for in an error of 500 B", () => {
  maskFor(MASKED)?.maskWithin(ERROR_BODY);
});
