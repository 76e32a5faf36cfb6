/**
 * Whom a request may be sent to, and in which order: what the rules allow, then by policy, by session, by model, those that
 * cool last, each with its keys, and the owner of an id that the request names in front of all.
 *
 * Owns the sequence of these steps; each is a pure function in core/. Synchronous: it runs for every request.
 */
import { isOwner, keyPreference } from "../core/affinity_order.ts";
import type { JsonBody } from "../core/json_body.ts";
import { keyOrder } from "../core/key_order.ts";
import type { ModelCatalog } from "../core/model_catalog.ts";
import { modelAt } from "../core/model_alias.ts";
import type { Prices } from "../core/prices.ts";
import { usualCost } from "../core/cheapest.ts";
import { behindOthers, type ModelStandings } from "../core/model_order.ts";
import { keyHashOf } from "../core/owned_ids.ts";
import { candidates } from "../core/policy.ts";
import type { Inbound, OrderPolicy, Upstream } from "../core/types.ts";
import type { Affinity } from "./affinity/affinity.ts";
import type { RequestTies } from "./affinity/request_ties.ts";
import type { Speeds } from "./attempt/speeds.ts";
import type { UpstreamHealth } from "./attempt/upstream_health.ts";
import type { Waiting } from "./attempt/waiting.ts";
import type { ClientView } from "./client_view.ts";
import type { PreparedSnapshot } from "./prepared_snapshot.ts";

export interface CandidateOrderDeps {
  /** null: the database's policy, or `order`. */
  readonly policy: OrderPolicy | null;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly health: UpstreamHealth;
  readonly affinity: Affinity;
  readonly models: { readonly catalog: ModelCatalog };
  readonly speeds: Speeds;
  readonly prices: Pick<Prices, "ratesOf">;
  readonly waiting: Pick<Waiting, "capacity">;
}

export interface OrderedCandidates {
  readonly candidates: readonly Upstream[];
  /** What ties the request to one of them; null: nothing. */
  readonly ties: RequestTies | null;
  /** Which upstreams have its model; null: nothing distinguishes them. */
  readonly models: ModelStandings | null;
}

export class CandidateOrder {
  readonly #deps: CandidateOrderDeps;
  #turn = 0;

  constructor(deps: CandidateOrderDeps) {
    this.#deps = deps;
  }

  /** @param json null: the request has no JSON body */
  of(
    inbound: Inbound,
    json: JsonBody | null,
    { prepared, view }: { readonly prepared: PreparedSnapshot; readonly view: ClientView },
  ): OrderedCandidates {
    const { affinity, health, models, random, speeds } = this.#deps;
    const policy = this.#deps.policy ?? prepared.snapshot.policy ?? "order";
    const allowed = prepared.allowed(inbound, view);
    const ties = affinity.tiesOf({ inbound, json, policy, allowed });
    const standing = (upstream: Upstream) => health.standing(upstream, inbound);
    const having = models.catalog.standings(allowed, inbound);
    const ordered = candidates(allowed, {
      ...{ policy, standing, random, turn: this.#turn++ },
      models: having,
      ...(policy === "fastest" ? { speeds: speeds.of(inbound) } : {}),
      ...(policy === "cheapest" ? { costOf: (upstream) => this.#costAt(upstream, inbound) } : {}),
      ...(ties === null
        ? {}
        : { reorder: (preferred) => this.#bySession(preferred, ties, { inbound, having }) }),
    });
    const keyed = prepared.hasSeveralKeys ? this.#withKeys(ordered, { inbound, prepared, ties }) : ordered;
    return { candidates: ties === null ? keyed : affinity.byOwner(keyed, ties), ties, models: having };
  }

  /** Of a usual request for the model; null: unknown. */
  #costAt(upstream: Upstream, { kind, model, startedAtMs }: Inbound): number | null {
    if (model === null) return null;
    const subject = {
      model: modelAt(upstream, model),
      responseModel: null,
      upstream,
      kind,
      atMs: startedAtMs,
    };
    const rates = this.#deps.prices.ratesOf(subject);
    return rates === null ? null : usualCost(rates);
  }

  /** Sessions stay with one of those that are well and have the model. */
  #bySession(
    preferred: Upstream[],
    ties: RequestTies,
    { inbound, having }: { readonly inbound: Inbound; readonly having: ModelStandings | null },
  ): readonly Upstream[] {
    const { affinity, health } = this.#deps;
    const isBehind = behindOthers(having);
    return affinity.bySession(
      preferred,
      ties,
      (upstream) =>
        isBehind?.(upstream) === true || health.standing(upstream, inbound).availability === "cooling",
    );
  }

  #withKeys(
    ordered: readonly Upstream[],
    { inbound, prepared, ties }: {
      readonly inbound: Inbound;
      readonly prepared: PreparedSnapshot;
      readonly ties: RequestTies | null;
    },
  ): readonly Upstream[] {
    const { health, waiting } = this.#deps;
    const owner = ties?.owner ?? null;
    // It is waited for when it is full, and asked while it cools, however many others there are.
    const isOwners = (variant: Upstream) => owner !== null && isOwner(variant, owner);
    return keyOrder(ordered, {
      variantsOf: (upstream) => prepared.variantsOf(upstream),
      standing: (variant) => {
        const standing = health.keyStanding(variant, inbound);
        return standing === "cooling" && isOwners(variant) ? "ready" : standing;
      },
      hasRoom: (variant) => isOwners(variant) || waiting.capacity.hasRoom(variant),
      turns: health.keyTurns,
      ...(ties === null ? {} : { preferred: (variants) => preferredKey(variants, ties) }),
    });
  }
}

/** Where a session's prompts are cached, or whose account knows an id: one of the keys; -1: any. */
function preferredKey(variants: readonly Upstream[], { owner, session }: RequestTies): number {
  if (owner !== null && owner.keyHash !== null && variants[0]?.id === owner.upstreamId) {
    return variants.findIndex((variant) => keyHashOf(variant) === owner.keyHash);
  }
  const isFill = variants[0]?.keyPolicy === "fill";
  return session === null || isFill ? -1 : keyPreference(session.hash, variants.length);
}
