/**
 * What something cost, and what is not known of it; how many tokens are estimated.
 *
 * Owns that an unknown cost never reads like a cost of nothing.
 */
import type { JSX } from "hono/jsx/jsx-runtime";
import type { PageContext } from "../page_context.ts";

interface CostFigures {
  /** In 1e-9 US dollars. */
  readonly costNano: number;
  readonly unpriced: number;
}

/** `$12.40`, and below it how many requests have no price; a dash when nothing is known. */
export function Cost({ page, figures }: { page: PageContext; figures: CostFigures }): JSX.Element {
  const { m, format } = page;
  const { costNano, unpriced } = figures;
  return (
    <>
      {costText(page, figures)}
      {unpriced === 0 ? null : (
        <span class={costNano === 0 ? "line second muted" : "line second warn-text"}>
          {m.costUnpriced(format.short(unpriced))}
        </span>
      )}
    </>
  );
}

export function costText({ format }: PageContext, { costNano, unpriced }: CostFigures): string {
  return format.usd(costNano === 0 && unpriced > 0 ? null : costNano);
}

/** `~1.2K`; nothing when none is. */
export function EstimatedTokens({ page: { m, format }, count }: {
  page: PageContext;
  count: number;
}): JSX.Element | null {
  return count === 0
    ? null
    : <span class="line second muted">{m.tokensEstimated(`~${format.short(count)}`)}</span>;
}
