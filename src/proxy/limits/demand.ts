/**
 * What a request may use and cost before anybody has answered it: what its token's limits are debited with.
 *
 * Pure. What it did use: charge.ts.
 */
import { mediaTypeOf } from "../../core/body_form.ts";
import type { JsonBody } from "../../core/json_body.ts";
import { isLookUp } from "../../core/look_up.ts";
import { modelAt } from "../../core/model_alias.ts";
import type { OutputSizes } from "../../core/output_sizes.ts";
import type { Prices } from "../../core/prices.ts";
import { jsonSize, requestSize } from "../../core/token_estimate.ts";
import type { EndpointKind, Inbound, Upstream } from "../../core/types.ts";

/** Output of a model whose replies are not known yet. */
const DEFAULT_OUTPUT_TOKENS = 4_096;
/** Sound of 128 kbit/s: ten tokens are a second of it. Pictures have fewer a byte. */
const UPLOADED_BYTES_A_TOKEN = 1_600;

/** A request that is to be admitted. */
export interface ClientDemand {
  readonly inbound: Inbound;
  /** Its body without content codings. */
  readonly plain: Uint8Array<ArrayBuffer> | null;
  /** What was found in that; null or absent: it is not JSON, or nobody has looked. */
  readonly json?: JsonBody | null;
  /** Whom it may be sent to. */
  readonly candidates: readonly Upstream[];
  /** It is answered with an error, and goes to no upstream. */
  readonly isForNobody?: boolean;
  /** It was counted as a request already. */
  readonly isCounted?: boolean;
}

export interface TokenDemand {
  readonly input: number;
  readonly output: number;
}

const NO_TOKENS: TokenDemand = { input: 0, output: 0 };
const WITHOUT_OUTPUT: ReadonlySet<EndpointKind> = new Set<EndpointKind>(["embeddings", "moderations"]);
const WITHOUT_COST: ReadonlySet<EndpointKind> = new Set<EndpointKind>(["models", "files"]);

/** Whether it asks no model for anything: a look-up, an upload, a cancellation. */
export function isFree({ method, kind, body }: Pick<Inbound, "method" | "kind" | "body">): boolean {
  return isLookUp(method) || body === null || WITHOUT_COST.has(kind);
}

/** Tokens of the request and of its replies. */
export function tokenDemand(
  { inbound, plain, json = null, isForNobody }: ClientDemand,
  sizes: OutputSizes,
): TokenDemand {
  if (isForNobody === true || isFree(inbound)) return NO_TOKENS;
  const { headers, body, kind, model } = inbound;
  const { input, outputLimit, choices } = json === null
    ? requestSize({ headers, body, decodedBody: plain })
    : jsonSize(json);
  const isUpload = mediaTypeOf(headers.get("content-type")).startsWith("multipart/");
  const learned = (model === null ? null : sizes.p95(model)) ?? DEFAULT_OUTPUT_TOKENS;
  return {
    input: isUpload ? Math.ceil((plain?.length ?? 0) / UPLOADED_BYTES_A_TOKEN) : input,
    output: WITHOUT_OUTPUT.has(kind) ? 0 : Math.min(outputLimit ?? learned, learned) * choices,
  };
}

/** Of the most expensive upstream, in 1e-9 US dollars; an upstream: its price of the model is not known. */
export function costDemand(
  { inbound, candidates, isForNobody }: ClientDemand,
  { input, output }: TokenDemand,
  prices: Prices,
): number | Upstream {
  if (isForNobody === true || isFree(inbound)) return 0;
  const { model, kind, startedAtMs: atMs } = inbound;
  let most = 0;
  let lastId: number | null = null;
  for (const upstream of candidates) {
    // Its keys follow each other.
    if (upstream.id === lastId) continue;
    lastId = upstream.id;
    const rates = prices.ratesOf({
      ...{ kind, atMs, upstream, responseModel: null },
      model: model === null ? null : modelAt(upstream, model),
    });
    if (rates === null) return upstream;
    most = Math.max(most, Math.ceil(rates.input * input + rates.output * output + rates.request));
  }
  return Math.min(most, Number.MAX_SAFE_INTEGER);
}
