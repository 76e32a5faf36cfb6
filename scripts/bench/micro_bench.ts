/**
 * Micro-benchmarks of the code that runs per request and per event: `deno task bench:micro`.
 */
import { TokenGuard } from "../../src/core/token_guard.ts";
import { createCapture } from "../../src/capture/create.ts";
import { classify } from "../../src/core/endpoint.ts";
import { allowedUpstreams, candidates } from "../../src/core/policy.ts";
import { anUpstream } from "../../tests/support/upstream_value.ts";
import type { EndpointKind, Upstream } from "../../src/core/types.ts";
import { clientHeaders } from "../../src/proxy/relay/reply_headers.ts";
import { upstreamHeaders, upstreamUrl } from "../../src/proxy/attempt/upstream_request.ts";

const encoder = new TextEncoder();

function chatStream(events: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let index = 0; index < events; index++) {
    const event = {
      id: "chatcmpl-bench",
      object: "chat.completion.chunk",
      created: 1_700_000_000,
      model: "bench-model",
      choices: [{ index: 0, delta: { content: ` word${index}` }, finish_reason: null }],
    };
    chunks.push(encoder.encode(`data: ${JSON.stringify(event)}\n\n`));
  }
  return [...chunks, encoder.encode("data: [DONE]\n\n")];
}

const STREAM = chatStream(300);
const WHOLE = new Uint8Array(STREAM.flatMap((chunk) => [...chunk]));

function capture(chunks: readonly Uint8Array[], kind: EndpointKind): void {
  const reader = createCapture({ kind, contentType: "text/event-stream", isEventStream: true, status: 200 });
  for (const chunk of chunks) reader.push(chunk);
  reader.finish(true);
}

Deno.bench("capture: 300 chat events, one chunk each", () => capture(STREAM, "chat"));
Deno.bench("capture: 300 chat events in one chunk", () => capture([WHOLE], "chat"));
Deno.bench("capture: 300 events of an unknown kind", () => capture(STREAM, "other"));

const BODY = encoder.encode(
  JSON.stringify({ model: "bench-model", messages: [{ role: "user", content: "x".repeat(950) }] }),
);
Deno.bench("classify: a chat request of 1 KB", () => {
  classify("/v1/chat/completions", { contentType: "application/json", bytes: BODY });
});

const UPSTREAMS: Upstream[] = [1, 2, 3, 4].map((id) => anUpstream(id, { allow: id === 2 ? ["gpt-*"] : [] }));

Deno.bench("policy: candidates of four upstreams", () => {
  candidates(allowedUpstreams(UPSTREAMS, { model: "gpt-4o", method: "POST", path: "/v1/chat/completions" }), {
    policy: "order",
    standing: () => ({ availability: "ready", latencyMs: 100 }),
    random: Math.random,
    turn: 0,
  });
});

const GUARD = new TokenGuard(["sk-oar-0123456789-abcdefghij", "admin-oar-0123456789-abcdefghij"]);
const REQUEST_HEADERS = new Headers({
  accept: "application/json",
  authorization: "Bearer token",
  "content-type": "application/json",
  "user-agent": "OpenAI/JS",
  "x-stainless-lang": "js",
  "x-stainless-os": "Linux",
});
const [FIRST] = UPSTREAMS;
Deno.bench("headers: to the upstream, and back", () => {
  if (FIRST === undefined) return;
  upstreamHeaders({ headers: REQUEST_HEADERS }, FIRST, GUARD);
  upstreamUrl(FIRST.endpoint, "/v1/chat/completions", "");
  clientHeaders(REQUEST_HEADERS, { requestId: "01H", upstreamName: FIRST.name, attempts: 1 });
});
