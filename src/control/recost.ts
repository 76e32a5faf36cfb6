/**
 * What a stored record costs by the prices of now, as if it had just ended. Pure.
 */
import { isLookUp } from "../core/look_up.ts";
import { aliasOf } from "../core/model_alias.ts";
import type { Prices } from "../core/prices.ts";
import type { Usage } from "../core/usage.ts";
import type { NewCosts, PricedUpstream, RecostRecord } from "../store/write/recost.ts";

/** An upstream that prices can be asked for. */
interface KnownUpstream {
  readonly endpoint: string;
  readonly billing: { readonly usage: null; readonly priceFactor: number };
  readonly modelMap: Readonly<Record<string, string>>;
}

/** What these answer is free. */
const FREE_PATHS = ["/count_tokens", "/input_tokens"];

/** Computes costs with one list of prices and the upstreams of one table. */
export class RecordCosts {
  readonly #prices: Prices;
  readonly #upstreams: ReadonlyMap<number, KnownUpstream>;

  constructor(prices: Prices, upstreams: readonly PricedUpstream[]) {
    this.#prices = prices;
    this.#upstreams = new Map(upstreams.map((each) => [each.id, known(each)]));
  }

  of(record: RecostRecord): NewCosts {
    const none = { costNano: null, attempts: record.attempts.map(() => null) };
    if (isLookUp(record.method ?? "")) return none;
    const own = this.#own(record);
    // The last attempt without a report of its own, at the upstream that answered.
    const given = record.attempts.findLastIndex(({ usage, upstreamId }) =>
      usage === null && upstreamId === record.upstreamId
    );
    let others: number | null = null;
    const attempts = record.attempts.map(({ usage, upstreamId }, place) => {
      if (place === given) return own;
      const cost = usage === null ? null : this.#cost(record, { usage, upstreamId, responseModel: null });
      if (cost !== null) others = (others ?? 0) + cost;
      return cost;
    });
    const isAnswered = record.upstreamId !== null && (record.status ?? 0) < 400;
    const isMissing = own === null && (record.usage !== null || isAnswered);
    if (isMissing || (own === null && others === null)) return { costNano: null, attempts };
    return { costNano: (own ?? 0) + (others ?? 0), attempts };
  }

  #own(record: RecostRecord): number | null {
    const { path, usage, status, upstreamId, responseModel } = record;
    const isFree = FREE_PATHS.some((end) => path?.endsWith(end) === true);
    if (isFree && upstreamId !== null && (status ?? 0) < 400) return 0;
    return usage === null ? null : this.#cost(record, { usage, upstreamId, responseModel });
  }

  #cost(
    { model, createdAtMs }: RecostRecord,
    { usage, upstreamId, responseModel }: {
      readonly usage: Usage;
      readonly upstreamId: number | null;
      readonly responseModel: string | null;
    },
  ): number | null {
    const upstream = upstreamId === null ? undefined : this.#upstreams.get(upstreamId);
    if (upstream === undefined) return usage.details?.costNano ?? null;
    const asked = model === null ? null : aliasOf(upstream.modelMap, model) ?? model;
    return this.#prices.costOf(usage, {
      model: asked,
      responseModel,
      upstream,
      kind: "other",
      atMs: createdAtMs,
    });
  }
}

function known({ endpoint, priceFactor, modelMap }: PricedUpstream): KnownUpstream {
  const factor = priceFactor >= 0 && priceFactor <= 1_000 ? priceFactor : 1;
  return { endpoint, billing: { usage: null, priceFactor: factor }, modelMap: aliases(modelMap) };
}

/** What cannot be read is no alias. */
function aliases(json: string | null): Readonly<Record<string, string>> {
  try {
    const value: unknown = JSON.parse(json ?? "");
    if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(
      Object.entries(value).filter((each): each is [string, string] => typeof each[1] === "string"),
    );
  } catch {
    return {};
  }
}
