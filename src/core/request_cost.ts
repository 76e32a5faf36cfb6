/**
 * Which upstream the money of a request went to, and which requests have no known cost.
 *
 * Owns what counts as a request without a price, and that the shares of upstreams add up to the request's cost. Pure.
 */
import { endpointKind } from "./api_path.ts";
import type { EndpointKind } from "./types.ts";

/** The parts of a settled request that say what it cost, and whom. */
export interface CostedRequest {
  readonly method: string | null;
  readonly path: string | null;
  readonly model: string | null;
  readonly status: number | null;
  readonly upstreamId: number | null;
  /** Of all its attempts, in 1e-9 US dollars; null: unknown. */
  readonly costNano: number | null;
  readonly attempts: readonly CostedAttempt[];
}

interface CostedAttempt {
  readonly upstreamId: number;
  readonly errorClass: string | null;
  /** null or absent: unknown. */
  readonly costNano?: number | null;
}

/** The part of a request's cost that is another upstream's than the one that answered. */
export interface CostShare {
  readonly upstreamId: number;
  readonly costNano: number;
}

const NO_SHARES: readonly CostShare[] = [];

/** A million dollars for one request: sums must stay exact, whatever a provider claims. */
const MAX_NANO = 1e15;

const CLIENT_GONE = 499;

/** Kinds of calls that providers charge for. */
const CHARGED: ReadonlySet<EndpointKind> = new Set([
  "chat",
  "completions",
  "responses",
  "messages",
  "embeddings",
  "images",
  "audio",
]);

/** What is known of the cost: of a request whose cost is not known as a whole, that of its failed attempts. */
export function knownNano({ costNano, attempts }: CostedRequest): number {
  if (costNano !== null) return sane(costNano);
  let sum = 0;
  for (const attempt of attempts) sum += failedNano(attempt);
  return sane(sum);
}

/** What failed attempts cost, all together no more than {@link knownNano}. The rest is the answering upstream's. */
export function sharesOf(request: CostedRequest): readonly CostShare[] {
  let shares: CostShare[] | null = null;
  let left = knownNano(request);
  for (const attempt of request.attempts) {
    const costNano = Math.min(failedNano(attempt), left);
    if (costNano === 0) continue;
    left -= costNano;
    (shares ??= []).push({ upstreamId: attempt.upstreamId, costNano });
  }
  return shares ?? NO_SHARES;
}

/**
 * An upstream did what providers charge for, or began to, and nobody knows what it cost. Look-ups, uploads and refusals
 * cost nothing.
 */
export function isUnpriced(request: CostedRequest): boolean {
  const { costNano, upstreamId, status, method, path, model } = request;
  if (costNano !== null || upstreamId === null || method !== "POST") return false;
  if (path === null || model === null) return false;
  const code = status ?? 0;
  return (code < 400 || code === CLIENT_GONE) && CHARGED.has(endpointKind(path));
}

function failedNano({ errorClass, costNano }: CostedAttempt): number {
  return errorClass === null ? 0 : sane(costNano ?? 0);
}

function sane(nano: number): number {
  return nano > 0 ? Math.min(Math.round(nano), MAX_NANO) : 0;
}
