/**
 * The router's own `GET /models` to one upstream, over the transport of every request.
 *
 * Owns what such a request says. No token of the router is ever in it.
 */
import { Cancellation } from "../../core/cancellation.ts";
import type { Clock } from "../../core/clock.ts";
import { HeaderFields, type HeaderView } from "../../core/header_fields.ts";
import { NO_TOKENS, type TokenGuard } from "../../core/token_guard.ts";
import type { Inbound, Upstream } from "../../core/types.ts";
import { send, type SendResult, type TransportDeps } from "../attempt/transport.ts";

/** Of one page; more is not read. */
export const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** Sent as the key to an upstream that only forwards the client's own. */
const NO_KEY = "openai-api-route-doctor";

export interface ModelsCall {
  readonly upstream: Upstream;
  /** Until the headers have come. */
  readonly limitMs: number;
  /** Default: none. */
  readonly query?: string;
  /** With the client's own credential; default: without one. */
  readonly headers?: HeaderView;
  /** Keeps the router's tokens out of those headers. */
  readonly guard?: TokenGuard;
  /** Ends it at any time. */
  readonly cancellation?: Cancellation;
}

/** Never throws. */
export function sendModelsRequest(deps: TransportDeps, call: ModelsCall): Promise<SendResult> {
  const { upstream, limitMs, query = "", headers = ownHeaders(), guard = NO_TOKENS } = call;
  return send(deps, { inbound: modelsRequest(deps.clock, { query, headers }), upstream }, {
    headersTimeoutMs: limitMs,
    cancellation: call.cancellation ?? new Cancellation(),
    guard,
  });
}

/** As Anthropic wants it, which others ignore. */
function ownHeaders(): HeaderFields {
  return new HeaderFields([
    ["accept", "application/json"],
    ["anthropic-version", "2023-06-01"],
    ["authorization", `Bearer ${NO_KEY}`],
    ["user-agent", "openai-api-route"],
  ]);
}

function modelsRequest(
  clock: Clock,
  { query, headers }: { readonly query: string; readonly headers: HeaderView },
): Inbound {
  return {
    id: "models",
    method: "GET",
    path: "/v1/models",
    query,
    kind: "other",
    model: null,
    shownModel: null,
    modelPlace: null,
    isStream: false,
    headers,
    body: null,
    clientIp: "",
    clientName: null,
    clientToken: null,
    startedAtMs: clock.now(),
    startedMonoMs: clock.monotonic(),
  };
}
