/**
 * What a request may use and cost before anybody has answered it: what its token's limits are debited with.
 *
 * Pure. What it did use: charge.ts.
 */
import { isChargedElsewhere } from "../../core/api_path.ts";
import { mediaTypeOf } from "../../core/body_form.ts";
import type { JsonBody } from "../../core/json_body.ts";
import { isLookUp } from "../../core/look_up.ts";
import { modelAt } from "../../core/model_alias.ts";
import type { OutputSizes } from "../../core/output_sizes.ts";
import type { Prices, TokenRates } from "../../core/prices.ts";
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
  /**
   * Output that money is reserved for. Small replies of the past do not lower it: whoever has asked for twenty of them
   * could have any number of large ones at once.
   */
  readonly pricedOutput: number;
}

export interface CostDemand {
  /** In 1e-9 US dollars. */
  readonly costNano: number;
  /** The highest of each kind. */
  readonly rates: TokenRates;
}

const NO_TOKENS: TokenDemand = { input: 0, output: 0, pricedOutput: 0 };
export const NO_COST: CostDemand = { costNano: 0, rates: { input: 0, output: 0, request: 0 } };
const WITHOUT_OUTPUT: ReadonlySet<EndpointKind> = new Set<EndpointKind>(["embeddings", "moderations"]);
const WITHOUT_COST: ReadonlySet<EndpointKind> = new Set<EndpointKind>(["files"]);

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
    ? requestSize({ headers, body, decodedBody: plain }, kind)
    : jsonSize(json, kind);
  const isUpload = mediaTypeOf(headers.get("content-type")).startsWith("multipart/");
  const learned = (model === null ? null : sizes.p95(model)) ?? DEFAULT_OUTPUT_TOKENS;
  const output = (most: number) =>
    WITHOUT_OUTPUT.has(kind) ? 0 : Math.min(outputLimit ?? most, most) * choices;
  return {
    input: isUpload ? Math.ceil((plain?.length ?? 0) / UPLOADED_BYTES_A_TOKEN) : input,
    output: output(learned),
    pricedOutput: output(Math.max(learned, DEFAULT_OUTPUT_TOKENS)),
  };
}

/** Of the most expensive upstream; an upstream: its price of the model is not known. */
export function costDemand(
  { inbound, candidates, isForNobody }: ClientDemand,
  { input, pricedOutput }: TokenDemand,
  prices: Prices,
): CostDemand | Upstream {
  if (isForNobody === true || isFree(inbound)) return NO_COST;
  const { model, kind, path, startedAtMs: atMs } = inbound;
  const most = { costNano: 0, rates: { input: 0, output: 0, request: 0 } };
  let lastId: number | null = null;
  for (const upstream of candidates) {
    // Its keys follow each other.
    if (upstream.id === lastId) continue;
    lastId = upstream.id;
    const rates = isChargedElsewhere(path) ? null : prices.ratesOf({
      ...{ kind, atMs, upstream, responseModel: null },
      model: model === null ? null : modelAt(upstream, model),
    });
    if (rates === null) return upstream;
    const cost = Math.ceil(rates.input * input + rates.output * pricedOutput + rates.request);
    most.costNano = Math.min(Math.max(most.costNano, cost), Number.MAX_SAFE_INTEGER);
    for (const name of ["input", "output", "request"] as const) {
      most.rates[name] = Math.max(most.rates[name], rates[name]);
    }
  }
  return most;
}
