/**
 * What models cost, as the rest of the program needs it. Types only; the prices themselves: pricing/.
 */
import type { EndpointKind, Upstream } from "./types.ts";
import type { Usage } from "./usage.ts";

/** Whose price is asked for. */
export interface CostSubject {
  /** As the upstream was asked for it; null: the request names none. */
  readonly model: string | null;
  /** As the reply names it; null: it does not, or there is none yet. */
  readonly responseModel: string | null;
  readonly upstream: Pick<Upstream, "endpoint" | "billing">;
  readonly kind: EndpointKind;
  /** When the request began; wall clock. Some prices depend on the time of day. */
  readonly atMs: number;
}

/** In 1e-9 US dollars, possibly with a fraction. */
export interface TokenRates {
  /** For one token of the request. */
  readonly input: number;
  /** For one token of the reply. */
  readonly output: number;
  /** For the request itself. */
  readonly request: number;
}

export interface Prices {
  /** In 1e-9 US dollars, an integer; null: unknown, which is not 0. Synchronous and cheap: it runs for every request. */
  costOf(usage: Usage, subject: CostSubject): number | null;
  /** For an estimate before the request is sent; null: unknown. As cheap. */
  ratesOf(subject: CostSubject): TokenRates | null;
}

/** Knows no price. */
export const NO_PRICES: Prices = { costOf: () => null, ratesOf: () => null };
